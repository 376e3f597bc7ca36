"""Networks of DARTS: their published size, their shapes, and what counts as the same network."""

from __future__ import annotations

import copy
import random
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import moonas
from moonas.encoding.darts import DARTSEncoding
from moonas.errors import EncodingError
from moonas.evaluation.evaluator import Candidate, build
from moonas.network.architecture import Task, architecture_from_dict
from moonas.network.auxiliary import AuxiliaryHead, weighted_logits, without_auxiliary_heads
from moonas.network.darts import DARTS, Cell, Node, orders
from moonas.network.darts_cells import Halving
from moonas.spec.darts import OPERATIONS, DARTSSpec
from moonas.testing import check_encoding

CIFAR = Task((3, 32, 32), 10)
PLAIN = (((0, "skip_connect"), (1, "skip_connect")),)

# As the authors write it, in the genotypes.py beside their paper.
V2_NORMAL = [
    ("sep_conv_3x3", 0),
    ("sep_conv_3x3", 1),
    ("sep_conv_3x3", 0),
    ("sep_conv_3x3", 1),
    ("sep_conv_3x3", 1),
    ("skip_connect", 0),
    ("skip_connect", 0),
    ("dil_conv_3x3", 2),
]
V2_REDUCE = [
    ("max_pool_3x3", 0),
    ("max_pool_3x3", 1),
    ("skip_connect", 2),
    ("max_pool_3x3", 1),
    ("max_pool_3x3", 0),
    ("skip_connect", 2),
    ("skip_connect", 2),
    ("max_pool_3x3", 1),
]


def params(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def network(normal: Cell = PLAIN, reduction: Cell = PLAIN, **fields: Any) -> DARTS:
    return DARTS(normal, reduction, **{"channels": 4, "cells": 4, **fields})


def test_the_known_network_has_its_published_parameters() -> None:
    with torch.device("meta"):
        assert round(params(moonas.architecture("darts_v2").build(CIFAR)) / 1e6, 3) == 3.349


def test_the_authors_notation_gives_the_known_network() -> None:
    concatenated = {"normal_concat": [2, 3, 4, 5], "reduce_concat": [2, 3, 4, 5]}
    written = DARTS.from_genotype(V2_NORMAL, V2_REDUCE, **concatenated, channels=36, cells=20)
    assert written.simplified == moonas.architecture("darts_v2")
    with torch.device("meta"):
        assert params(written.build(CIFAR)) == params(moonas.architecture("darts_v2").build(CIFAR))


@pytest.mark.parametrize(("height", "width"), [(4, 4), (5, 7), (28, 28), (33, 46)])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_each_operation_fits_sides_of_any_parity(operation: str, height: int, width: int) -> None:
    cell = DARTS.from_genotype([(operation, 0), (operation, 1)], [(operation, 0), (operation, 1)]).normal
    module = network(cell, cell).build(Task((2, height, width), 3))
    assert module(torch.randn(2, 2, height, width)).shape == (2, 3)


def test_halving_sees_the_pixels_of_both_diagonals() -> None:
    for sides in ((6, 6), (5, 7)):
        images = torch.rand(1, 1, *sides, requires_grad=True)
        halving = Halving(1, 2, sides).eval()
        halving(images).sum().backward()
        assert images.grad is not None
        rows, columns = torch.meshgrid(*(torch.arange(side) % 2 for side in sides), indexing="ij")
        assert torch.equal(images.grad[0, 0].ne(0), rows == columns)


# The whole network once more, by functions: what the paper says, with the weights of ours.


def norm(features: Tensor, layers: list[Any]) -> Tensor:
    layer = layers.pop(0)
    return functional.batch_norm(features, None, None, layer.weight, layer.bias, training=True)


def convolve(features: Tensor, layers: list[Any], **options: Any) -> Tensor:
    return functional.conv2d(features, layers.pop(0).weight, **options)


def depthwise(features: Tensor, layers: list[Any], **options: Any) -> Tensor:
    grouped = convolve(features.relu(), layers, groups=features.shape[1], **options)
    return norm(convolve(grouped, layers), layers)


def halve(features: Tensor, layers: list[Any]) -> Tensor:
    features = features.relu()
    even, odd = (convolve(part, layers, stride=2) for part in (features, features[:, :, 1:, 1:]))
    return norm(torch.cat([even, odd], dim=1), layers)


def operate(name: str, features: Tensor, stride: int, layers: list[Any]) -> Tensor:
    if name == "max_pool_3x3":
        return functional.max_pool2d(features, 3, stride, 1)
    if name == "avg_pool_3x3":
        return functional.avg_pool2d(features, 3, stride, 1, count_include_pad=False)
    if name == "skip_connect":
        return features if stride == 1 else halve(features, layers)
    if name in ("sep_conv_3x3", "sep_conv_5x5"):
        padding = {"sep_conv_3x3": 1, "sep_conv_5x5": 2}[name]
        first = depthwise(features, layers, stride=stride, padding=padding)
        return depthwise(first, layers, stride=1, padding=padding)
    padding = {"dil_conv_3x3": 2, "dil_conv_5x5": 4}[name]
    return depthwise(features, layers, stride=stride, padding=padding, dilation=2)


def by_functions(described: DARTS, module: nn.Module, images: Tensor) -> Tensor:
    layers = [part for part in module.modules() if isinstance(part, nn.Conv2d | nn.BatchNorm2d | nn.Linear)]
    earlier = last = norm(convolve(images, layers, padding=1), layers)
    for i in range(described.cells):
        reduces = i in (described.cells // 3, 2 * described.cells // 3)
        after_reduction = i - 1 in (described.cells // 3, 2 * described.cells // 3)
        first = halve(earlier, layers) if after_reduction else norm(convolve(earlier.relu(), layers), layers)
        nodes = [first, norm(convolve(last.relu(), layers), layers)]
        for edges in described.reduction if reduces else described.normal:
            strides = [2 if reduces and source < 2 else 1 for source, _ in edges]
            nodes.append(
                sum(
                    operate(how, nodes[source], stride, layers)
                    for (source, how), stride in zip(edges, strides, strict=True)
                )
            )
        earlier, last = last, torch.cat(nodes[2:], dim=1)
    (classifier,) = layers
    return functional.linear(last.mean(dim=(2, 3)), classifier.weight, classifier.bias)


@pytest.mark.parametrize("seed", range(12))
def test_the_network_computes_what_the_paper_says(seed: int) -> None:
    draw = random.Random(seed)
    cells = [
        tuple(
            tuple(sorted((source, draw.choice(OPERATIONS[1:])) for source in draw.sample(range(node), 2)))
            for node in range(2, 6)
        )
        for _ in range(2)
    ]
    cells = [(((0, "skip_connect"), (1, draw.choice(OPERATIONS[1:]))), *cell[1:]) for cell in cells]  # reads both
    described = DARTS(*cells, channels=4, cells=draw.randint(3, 6))
    module = described.build(CIFAR).double().train()
    images = torch.randn(2, 3, 16, 16, dtype=torch.float64)
    torch.testing.assert_close(module(images), by_functions(described, module, images))


def test_drop_path_leaves_out_edges_in_training_alone() -> None:
    edge = (((0, "sep_conv_3x3"), (1, "sep_conv_3x3")),)
    torch.manual_seed(0)
    module = network(edge, edge, drop_path=0.5).build(CIFAR)
    images = torch.randn(1, 3, 32, 32).expand(16, -1, -1, -1)
    assert module(images).std(dim=0).max() > 1e-3
    assert module.eval()(images).std(dim=0).max() < 1e-4


def test_cells_that_read_only_the_one_before_the_last_leave_out_what_nothing_reads() -> None:
    short, long = (network(SKIPPING, SKIPPING, cells=cells).build(CIFAR) for cells in (6, 7))
    for module in (short, long):
        module(torch.randn(2, 3, 32, 32)).sum().backward()
        assert all(parameter.grad is not None for parameter in module.parameters())


def test_a_cell_without_edges_gives_zeros_and_builds() -> None:
    nothing: Cell = ((), ())
    module = network(nothing, nothing).build(CIFAR).eval()
    images = torch.randn(2, 3, 32, 32)
    assert torch.equal(module(images), module(images * 2))


# The auxiliary head.


@pytest.mark.parametrize("side", [4, 28, 32, 64])
def test_the_auxiliary_head_classifies_in_training(side: int) -> None:
    module = network(auxiliary=0.4).build(Task((3, side, side), 7))
    (weight, logits), (auxiliary_weight, auxiliary) = weighted_logits(module, torch.randn(2, 3, side, side))
    assert (weight, auxiliary_weight) == (1, 0.4)
    assert logits.shape == auxiliary.shape == (2, 7)
    module(torch.randn(2, 3, side, side))
    copied = copy.deepcopy(module)  # though a tensor with a history can be neither copied nor pickled
    assert len(weighted_logits(copied, torch.randn(2, 3, side, side))) == 2
    assert len(weighted_logits(module.eval(), torch.randn(2, 3, side, side))) == 1


SKIPPING: Cell = (((0, "sep_conv_3x3"),),)
"""Reads only the cell before the last."""


@pytest.mark.parametrize("cells", [4, 5, 6])
@pytest.mark.parametrize("normal", [PLAIN, SKIPPING], ids=["plain", "skipping"])
def test_a_candidate_is_measured_without_its_auxiliary_head(normal: Cell, cells: int) -> None:
    networks = (network(normal, auxiliary=weight, cells=cells) for weight in (0, 0.4))
    plain, auxiliary = (build(Candidate(each, 0), CIFAR) for each in networks)
    assert params(plain) == params(auxiliary)
    images = torch.randn(2, 3, 32, 32)
    assert plain.eval()(images).shape == auxiliary.eval()(images).shape


def test_taking_the_head_off_changes_no_logits() -> None:
    module = network(auxiliary=0.4).build(CIFAR).eval()
    images = torch.randn(2, 3, 32, 32)
    before = module(images)
    assert torch.equal(without_auxiliary_heads(module)(images), before)
    assert not any(isinstance(part, AuxiliaryHead) for part in module.modules())


# Equal networks.


def test_edges_from_empty_nodes_without_weights_bring_nothing() -> None:
    empty = network(((), ((0, "skip_connect"), (2, "avg_pool_3x3"))))
    assert empty.simplified.normal == ((), ((0, "skip_connect"),))


def test_a_node_that_only_passes_on_is_read_where_its_value_comes_from() -> None:
    passing: Node = ((0, "skip_connect"),)
    through = (passing, ((1, "skip_connect"), (2, "sep_conv_3x3")))
    direct = (passing, ((0, "sep_conv_3x3"), (1, "skip_connect")))
    assert network(through).simplified == network(direct).simplified
    reduces = network(PLAIN, through).simplified.reduction  # there, a skip from an input halves and has weights
    assert reduces == through
    twice = (passing, ((0, "sep_conv_5x5"), (2, "sep_conv_3x3")))  # a node reads another one once
    assert network(twice).simplified.normal == twice


def test_an_operation_with_weights_on_an_empty_node_stays() -> None:
    """Its normalisation shifts, so it is a constant that is learnt."""
    cell: Cell = ((), ((2, "sep_conv_3x3"),))
    assert network(cell).simplified.normal == cell


def function_of(cell: Cell, order: Cell, images: torch.Tensor) -> torch.Tensor:
    """The last node's value, all weights being determined by the operations that lead to it."""
    torch.manual_seed(0)
    values = {0: images, 1: images.flip(3)}
    for node, edges in enumerate(order, 2):
        values[node] = sum(
            (values[source] * (1 + len(how)) + OPERATIONS.index(how) for source, how in edges), images * 0
        )
    return torch.stack([values[node].mean() for node in range(2, 2 + len(cell))]).sort().values


def test_the_order_of_nodes_is_no_difference() -> None:
    draw = random.Random(0)
    images = torch.rand(1, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    for _ in range(200):
        cell = tuple(
            tuple(sorted((source, draw.choice(OPERATIONS[1:])) for source in draw.sample(range(node), 2)))
            for node in range(2, 6)
        )
        expected = function_of(cell, cell, images)
        for order in orders(cell):
            assert network(order).simplified == network(cell).simplified
            torch.testing.assert_close(function_of(cell, order, images), expected)


def test_twins_that_are_read_alike_are_one_whichever_is_first() -> None:
    twin = ((0, "sep_conv_3x3"), (1, "sep_conv_3x3"))
    one = network((twin, twin, ((0, "skip_connect"), (2, "sep_conv_5x5"))))
    other = network((twin, twin, ((0, "skip_connect"), (3, "sep_conv_5x5"))))
    assert one != other
    assert one.simplified == other.simplified


def test_the_description_is_read_back() -> None:
    written = replace(moonas.architecture("darts_v2"), auxiliary=0.4)
    assert architecture_from_dict(written.to_dict()) == written


# Spaces with narrowed lists.


def space(**changes: Any) -> DARTSEncoding:
    node = {"inputs": "0+1", "first": "sep_conv_3x3", "second": "skip_connect"}
    cell = {"normal": [node, node], "reduction": [node, node], **changes}
    return DARTSEncoding(DARTSSpec(name="space", family="darts", channels=2, cells=3, **cell).tree())


@pytest.mark.parametrize(
    "nodes",
    [
        [
            {"inputs": "0+1", "first": ["none", "sep_conv_3x3"], "second": "none"},
            {"inputs": ["0+1", "1+2"], "first": "skip_connect", "second": ["skip_connect", "dil_conv_3x3"]},
        ],
        [
            {"inputs": "0+1", "first": ["skip_connect", "sep_conv_3x3"], "second": "avg_pool_3x3"},
            {"inputs": "0+1", "first": ["dil_conv_3x3", "sep_conv_3x3"], "second": "max_pool_3x3"},
            {"inputs": ["0+1", "2+3", "1+2"], "first": "none", "second": ["none", "skip_connect"]},
        ],
        [{"inputs": "0+1", "first": list(OPERATIONS[::-1]), "second": list(OPERATIONS)}] * 6,
    ],
    ids=["none only at times", "nodes of other choices", "six nodes"],
)
def test_narrowed_spaces_keep_the_laws(nodes: list[dict[str, Any]]) -> None:
    check_encoding(space(normal=nodes), samples=300, builds=6)


def test_an_auxiliary_head_passes_the_public_check() -> None:
    check_encoding(space(auxiliary=[0, 0.4], drop_path=[0, 0.2]), samples=20, builds=4)


def test_a_network_outside_of_the_space_is_refused() -> None:
    with pytest.raises(EncodingError, match="outside"):
        space().encode(moonas.architecture("darts_v2"))
    with pytest.raises(EncodingError, match="StagedCNN is not a network of DARTS"):
        space().encode(moonas.architecture("resnet18"))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: network((((1, "skip_connect"), (0, "skip_connect")),)), "sorted"),
        (lambda: network((((0, "avg_pool_3x3"), (0, "skip_connect")),)), "reads another one once"),
        (lambda: network((((2, "skip_connect"),),)), "node 2 reads nodes 0 to 1, not 2"),
        (lambda: network((((0, "sep_conv_3x4"),),)), "did you mean 'sep_conv_3x3'"),
        (lambda: network(cells=2), "at least 3 cells"),
        (lambda: DARTS.from_genotype(V2_NORMAL[:3], V2_REDUCE), "two pairs for each node, not 3"),
        (lambda: DARTS.from_genotype(V2_NORMAL, V2_REDUCE, normal_concat=[2, 3]), "made of all nodes"),
        (lambda: network().build(Task((3, 3, 9), 2)), "3 pixels is too small"),
        (lambda: network().build(Task((9, 2), 2)), "take images"),
    ],
)
def test_what_is_no_network_is_refused(make: Any, message: str) -> None:
    with pytest.raises(EncodingError, match=message):
        make()
