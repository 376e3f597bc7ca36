"""Networks of NAS-Bench-201 against the table of the benchmark, and what equal keys promise."""

from __future__ import annotations

import itertools
import math
import random
from pathlib import Path

import pandas as pd
import pytest
import torch
from fvcore.nn import FlopCountAnalysis
from torch import nn

from moonas.errors import EncodingError
from moonas.network.architecture import Task, architecture_from_dict
from moonas.network.nas_bench_201 import EDGES, Cell, NASBench201, form
from moonas.spec.nas_bench_201 import OPERATIONS

TABLE = Path(__file__).parents[3] / "shared" / "data" / "nas_bench_201.csv.gz"
CIFAR = Task((3, 32, 32), 10)
EVERY_CELL = list(itertools.product(OPERATIONS, repeat=len(EDGES)))


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    if not TABLE.exists():
        pytest.skip("the table of NAS-Bench-201 is development data, and not here")
    return pd.read_csv(TABLE)


def counts(network: NASBench201) -> tuple[int, int]:
    """Parameters and multiply-adds by the benchmark's rule.

    fvcore's count less batch normalisation, which it counts and the benchmark does not, and with the additions of the
    classifier's bias, which it does not count and the benchmark does.
    """
    module = network.build(CIFAR).eval()
    analysis = FlopCountAnalysis(module, torch.zeros(1, *CIFAR.input_shape))
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    by_operator = analysis.by_operator()
    params = sum(parameter.numel() for parameter in module.parameters())
    return params, int(by_operator["conv"] + by_operator["linear"]) + CIFAR.classes


def covering_cells() -> list[Cell]:
    """The 25 cells among which any two operations meet on any two edges: an orthogonal array (Bose, 1938).

    Parameters and multiply-adds are sums over edges, so that cells which differ in more edges tell no more.
    """
    numbers = range(len(OPERATIONS))
    lines = [(b, *((a + b * slope) % len(OPERATIONS) for slope in numbers)) for a in numbers for b in numbers]
    return [tuple(OPERATIONS[number] for number in line) for line in lines]


def wrong_rows(rows: pd.DataFrame) -> list[str]:
    return [
        row.arch for row in rows.itertuples() if counts(NASBench201.from_string(row.arch)) != (row.params, row.macs)
    ]


def test_every_two_operations_meet_on_every_two_edges() -> None:
    met = {
        (*edges, *(cell[edge] for edge in edges))
        for edges in itertools.combinations(range(len(EDGES)), 2)
        for cell in covering_cells()
    }
    assert len(met) == math.comb(len(EDGES), 2) * len(OPERATIONS) ** 2


def test_covering_cells_have_the_parameters_and_multiply_adds_of_the_table(table: pd.DataFrame) -> None:
    covering = table[table["arch"].isin([NASBench201(cell).string for cell in covering_cells()])]
    assert len(covering) == 25
    assert wrong_rows(covering) == []


def test_a_sample_of_cells_has_the_parameters_and_multiply_adds_of_the_table(table: pd.DataFrame) -> None:
    assert wrong_rows(table.sample(200, random_state=0)) == []


@pytest.mark.slow
def test_every_cell_has_the_parameters_and_multiply_adds_of_the_table(table: pd.DataFrame) -> None:
    assert len(table) == len(EVERY_CELL)
    assert wrong_rows(table) == []


def test_every_cell_is_written_and_read_as_the_benchmark_writes_it() -> None:
    texts = {NASBench201(cell).string for cell in EVERY_CELL}
    assert len(texts) == len(EVERY_CELL)
    assert all(NASBench201.from_string(text).string == text for text in texts)


def test_the_table_writes_its_cells_as_ours(table: pd.DataFrame) -> None:
    assert set(table.arch) == {NASBench201(cell).string for cell in EVERY_CELL}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "|none~0|",
        "|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|conv~2|",
        "|none~0|+|none~0|none~0|+|none~0|none~1|none~2|",
        "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|+",
    ],
)
def test_what_is_no_cell_is_refused(text: str) -> None:
    with pytest.raises(EncodingError):
        NASBench201.from_string(text)


def test_an_input_too_small_is_refused() -> None:
    with pytest.raises(EncodingError, match="3 pixels is too small"):
        NASBench201(EVERY_CELL[0]).build(Task((1, 3, 8), 2))


def test_the_description_is_read_back() -> None:
    network = NASBench201(EVERY_CELL[1234], channels=8, cells=2)
    assert architecture_from_dict(network.to_dict()) == network


def test_simplifying_is_settled_and_keeps_what_is_computed() -> None:
    for cell in EVERY_CELL:
        simplified = NASBench201(cell).simplified
        assert form(simplified.cell) == form(cell)
        assert simplified.simplified == simplified


def test_the_cells_of_the_benchmark_are_5425_networks() -> None:
    """Its authors count 6,466: they tell sums of sums apart, and take two convolutions of one input for one."""
    assert len({NASBench201(cell).simplified.key for cell in EVERY_CELL}) == 5425


def test_simplifying_keeps_every_convolution_that_leads_to_the_output() -> None:
    """Equal forms have the same weights: a convolution that is read twice is neither doubled nor halved."""
    for cell in EVERY_CELL:
        edges = dict(zip(EDGES, cell, strict=True))
        useful, reached = {3}, {0}
        for source, target in EDGES:
            if source in reached and edges[source, target] != "none":
                reached.add(target)
        for source, target in reversed(EDGES):
            if target in useful and edges[source, target] != "none":
                useful.add(source)
        alive = [how for (source, target), how in edges.items() if source in reached and target in useful]
        simplified = NASBench201(cell).simplified.cell
        for operation in ("nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"):
            assert alive.count(operation) == simplified.count(operation), cell


def function_of(cell: Cell, images: torch.Tensor) -> torch.Tensor:
    """The logits of a small network, all weights being determined by the kind and place of their operation."""
    module = NASBench201(cell, channels=4, cells=1).build(Task((3, 8, 8), 5)).eval()
    for name, layer in module.named_modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            place = name.split(".operations.")[0]
            seed = random.Random(f"{place} {tuple(layer.weight.shape)}").getrandbits(40)
            generator = torch.Generator().manual_seed(seed)
            layer.weight.data = torch.randn(layer.weight.shape, generator=generator) / layer.weight[0].numel() ** 0.5
    module.classifier.bias.data.zero_()
    logits: torch.Tensor = module(images)
    return logits.detach()


def test_cells_with_one_key_compute_one_function() -> None:
    """With equal weights in equal operations; so they do with any, as their graphs are the same."""
    images = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    for cell in random.Random(0).sample(EVERY_CELL, 400):
        simplified = NASBench201(cell).simplified.cell
        torch.testing.assert_close(function_of(simplified, images), function_of(cell, images), rtol=1e-4, atol=1e-5)


def test_cells_with_other_convolutions_are_other_networks() -> None:
    """Twice one convolution is not the sum of two: the one has half of the weights."""
    conv, skip, none = "nor_conv_3x3", "skip_connect", "none"
    two = NASBench201((conv, conv, none, none, skip, skip))
    one_twice = NASBench201((conv, none, skip, none, skip, skip))
    assert two.simplified.key != one_twice.simplified.key


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            ("nor_conv_3x3", "none", "none", "none", "skip_connect", "none"),
            ("none",) * 3 + ("nor_conv_3x3", "none", "none"),
        ),
        (
            ("nor_conv_3x3", "none", "none", "nor_conv_1x1", "skip_connect", "none"),
            ("nor_conv_1x1", "none", "none", "nor_conv_3x3", "skip_connect", "none"),
        ),
    ],
)
def test_nodes_that_only_pass_on_or_add_are_no_difference(one: Cell, other: Cell) -> None:
    assert NASBench201(one).simplified == NASBench201(other).simplified


def test_nodes_that_lead_nowhere_are_built_as_written_and_left_out_when_simplified() -> None:
    dead = NASBench201(("nor_conv_3x3", "none", "none", "skip_connect", "none", "none"))
    assert dead.simplified.cell == ("none", "none", "none", "skip_connect", "none", "none")
    assert counts(dead)[0] - counts(dead.simplified)[0] == 5 * sum(9 * c * c + 2 * c for c in (16, 32, 64))
