"""Genes out of trees of choices, and choices back into them."""

from __future__ import annotations

import pytest

from moonas.encoding.encoding import Gene
from moonas.encoding.tree import fill, find_genes

TREE = {
    "stem": {"width": (8, 16), "kernel": 3},
    "stages": [{"block": ("plain", "residual"), "depth": 1}, {"block": "plain", "depth": (0, 1, 2)}],
    "flag": (True, False),
}


def test_tuples_are_genes_named_by_their_path_in_reading_order() -> None:
    assert list(find_genes(TREE)) == [
        Gene("stem.width", (8, 16), ordered=True),
        Gene("stages.0.block", ("plain", "residual"), ordered=False),
        Gene("stages.1.depth", (0, 1, 2), ordered=True),
        Gene("flag", (True, False), ordered=False),
    ]


def test_a_tree_without_tuples_has_no_genes() -> None:
    assert list(find_genes({"a": 1, "b": [{"c": "x"}]})) == []


@pytest.mark.parametrize(
    ("choices", "ordered"),
    [
        ((1, 2, 4), True),
        ((0.1, 1, 2.5), True),
        ((7,), True),
        ((2, 1, 4), False),
        (("a", "b"), False),
        ((False, True), False),
        ((1, "2"), False),
    ],
)
def test_ascending_numbers_are_ordered_and_nothing_else(choices: tuple[object, ...], ordered: bool) -> None:
    (gene,) = find_genes({"x": choices})
    assert gene.ordered is ordered


def test_filling_puts_each_choice_where_its_gene_stood() -> None:
    choices = {"stem.width": 16, "stages.0.block": "residual", "stages.1.depth": 2, "flag": False}
    filled = fill(TREE, iter(choices[gene.name] for gene in find_genes(TREE)))
    assert filled == {
        "stem": {"width": 16, "kernel": 3},
        "stages": [{"block": "residual", "depth": 1}, {"block": "plain", "depth": 2}],
        "flag": False,
    }


def test_filling_leaves_the_tree_as_it_was() -> None:
    before = repr(TREE)
    filled = fill(TREE, iter([8, "plain", 0, True]))
    filled["stages"][0]["depth"] = 99
    assert repr(TREE) == before
