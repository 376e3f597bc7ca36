"""What every encoding inherits: checking, sampling and naming genotypes."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from moonas.encoding.staged_cnn import StagedCNNEncoding
from moonas.errors import EncodingError
from moonas.spec.staged_cnn import StagedCNNSpec

TREE = {
    "stem": {"width": (4, 8, 16), "kernel": 3, "stride": 1},
    "stages": [{"block": "plain", "depth": (1, 2), "width": 8, "kernel": 3, "stride": 2, "expansion": 4}],
    "head": {"width": 0},
}
ENCODING = StagedCNNEncoding(StagedCNNSpec(name="space", family="staged_cnn", **TREE).tree())


@pytest.mark.parametrize("genotype", [(), (0,), (0, 0, 0)])
def test_a_genotype_of_the_wrong_length_is_refused(genotype: tuple[int, ...]) -> None:
    with pytest.raises(EncodingError, match=f"2 genes, not {len(genotype)}"):
        ENCODING.decode(genotype)


@pytest.mark.parametrize(("genotype", "gene"), [((3, 0), "stem.width"), ((0, 2), "depth"), ((-1, 0), "stem.width")])
def test_an_index_without_a_choice_is_refused_by_the_name_of_its_gene(genotype: tuple[int, ...], gene: str) -> None:
    with pytest.raises(EncodingError, match=gene):
        ENCODING.decode(genotype)


def test_values_are_the_choices_by_name() -> None:
    assert ENCODING.values((2, 1)) == {"stem.width": 16, "stages.0.depth": 2}


def test_sizes_are_the_numbers_of_choices() -> None:
    assert ENCODING.sizes.tolist() == [3, 2]


def test_samples_are_plain_integers_equally_often_each() -> None:
    random = np.random.default_rng(0)
    drawn = [ENCODING.sample(random) for _ in range(6000)]
    assert all(type(index) is int for index in drawn[0])
    counts = Counter(drawn)
    assert len(counts) == 6
    # 1000 each is expected; the standard deviation is 29.
    assert all(abs(count - 1000) < 150 for count in counts.values())


def test_samples_repeat_with_the_seed() -> None:
    def draw(seed: int) -> list[tuple[int, ...]]:
        random = np.random.default_rng(seed)
        return [ENCODING.sample(random) for _ in range(20)]

    assert draw(1) == draw(1) != draw(2)


def test_an_encoding_without_genes_holds_its_one_network() -> None:
    fixed = StagedCNNEncoding({**ENCODING.tree, "stem": {**ENCODING.tree["stem"], "width": 4}, "stages": []})
    assert fixed.genes == ()
    assert fixed.sample(np.random.default_rng(0)) == ()
    assert fixed.encode(fixed.decode(())) == ()
