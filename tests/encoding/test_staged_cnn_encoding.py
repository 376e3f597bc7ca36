"""The search space of staged CNNs: laws over every shipped file, and spaces small enough to be walked through."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
import torch

from moonas.encoding.catalogue import encoding_of
from moonas.encoding.encoding import Encoding, Genotype
from moonas.encoding.staged_cnn import StagedCNNEncoding
from moonas.errors import EncodingError
from moonas.network.architecture import Architecture, Task
from moonas.network.staged_cnn import Head, Stage, StagedCNN, Stem
from moonas.spec.encoding import load_encoding
from moonas.spec.staged_cnn import StagedCNNSpec


def all_genotypes(encoding: Encoding) -> list[Genotype]:
    return list(itertools.product(*(range(len(gene.choices)) for gene in encoding.genes)))


# One space by hand, with its networks.

BLOCKS = ("plain", "inverted_residual")


def stage(**fields: Any) -> dict[str, Any]:
    return {"block": "plain", "depth": 1, "width": 8, "kernel": 3, "stride": 2, "expansion": 4} | fields


def space(*stages: dict[str, Any], stem: Any = 4, head: Any = 0) -> StagedCNNEncoding:
    tree = {"stem": {"width": stem, "kernel": 3, "stride": 1}, "stages": list(stages), "head": {"width": head}}
    return StagedCNNEncoding(StagedCNNSpec(name="space", family="staged_cnn", **tree).tree())


SMALL = space(
    stage(stride=1),
    stage(block=BLOCKS, depth=(0, 1), width=(8, 16), expansion=(2, 4)),
    stem=(4, 8),
    head=(0, 32),
)
# The genes: stem.width, stages.1.block, stages.1.depth, stages.1.width, stages.1.expansion, head.width


def test_a_genotype_decodes_to_the_network_that_its_choices_say() -> None:
    assert SMALL.decode((1, 1, 1, 0, 1, 1)) == StagedCNN(
        Stem(8), (Stage("plain", 1, 8, 3, 1), Stage("inverted_residual", 1, 8, 3, 2, expansion=4)), Head(32)
    )


def test_a_stage_of_depth_zero_is_left_out_and_its_other_genes_are_inactive() -> None:
    assert SMALL.decode((0, 1, 0, 1, 1, 0)) == StagedCNN(Stem(4), (Stage("plain", 1, 8, 3, 1),))
    assert SMALL.active((0, 1, 0, 1, 1, 0)) == (True, False, True, False, False, True)


def test_the_expansion_is_active_in_inverted_residual_blocks_only() -> None:
    assert SMALL.active((0, 0, 1, 0, 0, 0)) == (True, True, True, True, False, True)
    assert SMALL.active((0, 1, 1, 0, 0, 0)) == (True,) * 6
    assert SMALL.decode((0, 0, 1, 0, 1, 0)).stages[1].expansion == 1


def test_inactive_genes_take_their_first_choice_in_canonical_genotypes() -> None:
    assert SMALL.canonical((1, 1, 0, 1, 1, 1)) == (1, 0, 0, 0, 0, 1)
    assert SMALL.canonical((1, 0, 1, 1, 1, 1)) == (1, 0, 1, 1, 0, 1)
    assert SMALL.canonical((1, 1, 1, 1, 1, 1)) == (1, 1, 1, 1, 1, 1)


def test_the_first_choice_counts_where_zero_is_not_the_first_depth() -> None:
    encoding = space(stage(depth=(2, 0, 1), width=(8, 16)))
    assert encoding.canonical((1, 1)) == (1, 0)
    assert encoding.decode((1, 1)).stages == ()


@pytest.mark.parametrize(
    "encoding",
    [
        SMALL,
        space(stage(depth=(0, 1)), stage(depth=(0, 1))),
        space(stage(depth=(0, 1, 2), width=(8, 16)), stage(depth=(0, 1), width=(16, 24)), stage(depth=(1, 0))),
        space(*(stage(block=BLOCKS, depth=(0, 1), expansion=(1, 2)) for _ in range(3))),
        space(stage(depth=(0, 1), width=(8, 16)), stage(), stage(depth=(0, 1), width=(8, 16)), head=(0, 8)),
        space(stage(depth=0), stage(depth=(0, 1), block=BLOCKS)),
    ],
    ids=["small", "two alike", "overlapping", "three alike", "fixed between optional", "never there"],
)
def test_in_small_spaces_networks_keys_and_canonical_genotypes_are_as_many(encoding: StagedCNNEncoding) -> None:
    every = all_genotypes(encoding)
    networks = {encoding.decode(genotype) for genotype in every}
    canonical = {encoding.canonical(genotype) for genotype in every}
    assert len({network.key for network in networks}) == len(networks) == len(canonical)
    assert {encoding.decode(genotype) for genotype in canonical} == networks
    assert all(encoding.canonical(genotype) == genotype for genotype in canonical)


def test_the_number_of_networks_of_the_small_space_is_that_counted_by_hand() -> None:
    # Two stems and two heads; the second stage absent, or plain of 2 widths, or inverted of 2 widths and 2 expansions.
    assert len({SMALL.decode(genotype).key for genotype in all_genotypes(SMALL)}) == 2 * 2 * (1 + 2 + 2 * 2)


def test_the_number_of_networks_of_tiny_cnn_is_that_counted_by_hand() -> None:
    encoding = encoding_of(load_encoding("tiny_cnn"))
    # First stage: 2 blocks, 2 widths, 2 kernels. Second: absent, residual (3 widths), or inverted (3 times 2).
    assert len({encoding.decode(genotype).key for genotype in all_genotypes(encoding)}) == 8 * (1 + 3 + 6)


def test_of_two_slots_for_one_stage_the_earlier_is_canonical() -> None:
    encoding = space(stage(depth=(0, 1)), stage(depth=(0, 1)))
    assert encoding.decode((0, 1)) == encoding.decode((1, 0))
    assert encoding.canonical((0, 1)) == (1, 0)


def test_a_stage_moves_on_to_a_later_slot_where_the_next_stage_needs_the_earlier() -> None:
    """The first slot could take the first stage, but then the second stage would find no place."""
    encoding = space(
        stage(depth=(0, 1), width=(8, 16)),
        stage(depth=(0, 1), width=8),
        stage(depth=(0, 1), width=16),
    )
    for genotype in all_genotypes(encoding):
        assert encoding.decode(encoding.canonical(genotype)) == encoding.decode(genotype)
    # 16 fits the first slot and the last, 8 the first two: 8 then 16 leaves out the middle one.
    assert encoding.canonical((0, 0, 1, 1)) == (1, 0, 0, 1)
    assert encoding.canonical((0, 0, 0, 1)) == (1, 1, 0, 0)


def test_a_first_slot_taken_in_vain_is_given_back() -> None:
    encoding = space(stage(depth=(0, 1), width=(8, 16)), stage(width=8), head=(0, 8))
    # The one stage of width 8 fits the optional slot, but the second slot must be filled.
    assert encoding.canonical((0, 1, 0)) == (0, 0, 0)


BASE = StagedCNN(Stem(4), (Stage("plain", 1, 8, 3, 1), Stage("inverted_residual", 1, 16, 3, 2, expansion=2)))


def test_a_network_of_the_space_is_encoded() -> None:
    assert SMALL.encode(BASE) == (0, 1, 1, 1, 0, 0)


def changed(i: int, **fields: Any) -> StagedCNN:
    stages = list(BASE.stages)
    stages[i] = replace(stages[i], **fields)
    return replace(BASE, stages=tuple(stages))


@pytest.mark.parametrize(
    "outside",
    [
        replace(BASE, stem=Stem(5)),
        replace(BASE, stem=Stem(4, kernel=5)),
        replace(BASE, stem=Stem(4, stride=2)),
        replace(BASE, head=Head(64)),
        replace(BASE, stages=()),
        replace(BASE, stages=BASE.stages[1:]),
        replace(BASE, stages=BASE.stages[::-1]),
        replace(BASE, stages=(*BASE.stages, BASE.stages[1])),
        changed(0, block="residual"),
        changed(0, width=16),
        changed(0, depth=2),
        changed(1, block="separable", expansion=1),
        changed(1, depth=2),
        changed(1, kernel=5),
        changed(1, stride=1),
        changed(1, expansion=3),
    ],
)
def test_a_network_outside_of_the_space_is_refused(outside: StagedCNN) -> None:
    with pytest.raises(EncodingError, match="outside"):
        SMALL.encode(outside)


@pytest.mark.parametrize("fields", [{"block": "plain", "expansion": 4}, {"depth": 0}])
def test_what_encode_accepts_decodes_to_it(fields: dict[str, Any]) -> None:
    """An unused expansion, a stage of no blocks: no genotype means these; to encode them would say that one does."""
    try:
        odd = changed(1, **fields)  # may be refused already here
        genotype = SMALL.encode(odd)
    except EncodingError:
        return
    assert SMALL.decode(genotype) == odd


def test_a_network_of_another_family_is_refused() -> None:
    class Other(Architecture):
        family = "other"

        def build(self, task: object) -> Any:
            raise NotImplementedError

    with pytest.raises(EncodingError, match="Other is not a staged CNN"):
        SMALL.encode(Other())


def test_optional_stages_stay_out_where_the_later_ones_must_be_filled() -> None:
    encoding = space(*(stage(depth=(0, 1)) for _ in range(4)), *(stage(depth=1) for _ in range(3)))
    assert encoding.canonical((0, 0, 0, 0)) == (0, 0, 0, 0)
    assert encoding.canonical((0, 0, 1, 1)) == (1, 1, 0, 0)


# One network, one architecture.


def wide(**fields: Any) -> dict[str, Any]:
    return stage(block="residual", width=8, **fields)


GOING_ON = space(
    wide(depth=(1, 2), stride=1),
    wide(depth=(0, 1, 2), stride=(1, 2)),
    wide(depth=(0, 1, 3), stride=1, kernel=(3, 5)),
)


def test_a_stage_that_goes_on_with_the_one_before_is_part_of_it() -> None:
    networks = [GOING_ON.decode(genotype) for genotype in all_genotypes(GOING_ON)]
    built: dict[tuple[float, ...], set[str]] = {}
    for network in networks:
        assert GOING_ON.decode(GOING_ON.encode(network)) == network
        torch.manual_seed(0)
        module = network.build(Task((3, 12, 12), 5)).eval()
        logits = module(torch.linspace(-1, 1, 2 * 3 * 144).reshape(2, 3, 12, 12))
        built.setdefault(tuple(logits.flatten().tolist()), set()).add(network.key)
    assert all(len(keys) == 1 for keys in built.values())
    assert len(built) == len({network.key for network in networks}) < len(networks)


def test_ratios_that_round_to_the_same_channels_are_one() -> None:
    encoding = space(stage(block="bottleneck", width=(32, 64), groups=32, bottleneck_ratio=(0.25, 0.5, 1)))
    networks = {genotype: encoding.decode(genotype) for genotype in all_genotypes(encoding)}
    assert [networks[genotype] for genotype in ((0, 0), (0, 1))] == [networks[0, 2]] * 2
    assert networks[1, 0] == networks[1, 1] != networks[1, 2]
    for network in networks.values():
        assert encoding.decode(encoding.encode(network)) == network


def test_the_activation_of_a_head_without_layers_is_inactive() -> None:
    tree = {"stem": {"width": 4}, "stages": [stage()], "head": {"width": (0, 8), "activation": ("relu", "silu")}}
    encoding = StagedCNNEncoding(StagedCNNSpec(name="space", family="staged_cnn", **tree).tree())
    assert encoding.decode((0, 0)) == encoding.decode((0, 1))
    assert encoding.active((0, 1)) == (True, False)
    assert encoding.active((1, 1)) == (True, True)
    assert encoding.canonical((0, 1)) == (0, 0)
