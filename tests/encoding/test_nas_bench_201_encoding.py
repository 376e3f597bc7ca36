"""The search space of NAS-Bench-201, walked through."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest

from moonas.encoding.nas_bench_201 import NASBench201Encoding
from moonas.errors import EncodingError
from moonas.network.nas_bench_201 import NASBench201
from moonas.network.staged_cnn import StagedCNN, Stem
from moonas.spec.nas_bench_201 import OPERATIONS, NASBench201Spec

NAMES = ("from_0_to_1", "from_0_to_2", "from_1_to_2", "from_0_to_3", "from_1_to_3", "from_2_to_3")


def space(**changes: Any) -> NASBench201Encoding:
    edges = dict.fromkeys(NAMES, OPERATIONS) | changes
    return NASBench201Encoding(NASBench201Spec(name="space", family="nas_bench_201", edges=edges).tree())


NARROW = {
    "whole": {},
    "two operations": dict.fromkeys(NAMES, ("nor_conv_3x3", "avg_pool_3x3")),
    "no zero": dict.fromkeys(NAMES, OPERATIONS[1:]),
    "one edge": dict.fromkeys(NAMES, "skip_connect") | {"from_1_to_2": ("none", "nor_conv_1x1")},
    "backwards": dict.fromkeys(NAMES, OPERATIONS[::-1]),
}


@pytest.mark.parametrize("changes", NARROW.values(), ids=NARROW.keys())
def test_the_laws_hold_for_every_genotype(changes: dict[str, Any]) -> None:
    encoding, draw = space(**changes), random.Random(0)
    for genotype in itertools.product(*(range(len(gene.choices)) for gene in encoding.genes)):
        network = encoding.decode(genotype)
        canonical = encoding.encode(network)
        assert encoding.decode(canonical) == network
        active = encoding.active(genotype)
        varied = tuple(
            index if keep else draw.randrange(len(gene.choices))
            for index, keep, gene in zip(genotype, active, encoding.genes, strict=True)
        )
        assert encoding.decode(varied) == network
        assert encoding.active(varied) == active


def test_a_cell_as_it_is_written_is_encoded_as_what_it_computes() -> None:
    written = NASBench201.from_string("|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|")
    assert space().decode(space().encode(written)) == written.simplified


def test_a_cell_outside_of_the_space_is_refused() -> None:
    with pytest.raises(EncodingError, match="outside"):
        space(**NARROW["two operations"]).encode(NASBench201(("skip_connect",) * 6))
    with pytest.raises(EncodingError, match="outside"):
        space().encode(NASBench201(("skip_connect",) * 6, channels=32))


def test_a_network_of_another_family_is_refused() -> None:
    with pytest.raises(EncodingError, match="StagedCNN is not a network of NAS-Bench-201"):
        space().encode(StagedCNN(Stem(4), ()))
