"""The front as a table."""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from moonas.problem.objective import Objective
from moonas.report.table import front_table, number, print_front

OBJECTIVES = (Objective("accuracy", "maximize"), Objective("latency_ms", "minimize"))


def shown(front: pd.DataFrame, *others: str, width: int = 120) -> list[str]:
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(front_table(front, OBJECTIVES, others))
    return console.export_text().splitlines()


FRONT = pd.DataFrame(
    {
        "key": ["staged_cnn-4f2a9c01b7de", "staged_cnn-0123456789ab"],
        "params": [12345, 678],
        "accuracy": [0.91234, 0.8],
        "latency_ms": [1.5, 0.012345],
        "secret": [1, 2],
    }
)


def test_objectives_come_first_with_an_arrow_towards_better() -> None:
    header = next(line for line in shown(FRONT, "params") if "key" in line)
    words = header.split()
    assert words == ["key", "accuracy", "▲", "latency_ms", "▼", "params"]


def test_each_network_is_a_row_in_the_order_of_the_front() -> None:
    lines = shown(FRONT, "params")
    rows = [line.split() for line in lines if "staged_cnn-" in line]
    assert rows == [
        ["staged_cnn-4f2a9c01b7de", "0.9123", "1.5000", "12,345"],
        ["staged_cnn-0123456789ab", "0.8000", "0.0123", "678"],
    ]
    assert any("2 networks" in line for line in lines)


def test_a_narrow_terminal_still_shows_keys_whole() -> None:
    """They are what the next command is given."""
    assert any("staged_cnn-4f2a9c01b7de" in line for line in shown(FRONT, "params", width=40))


@pytest.mark.parametrize(("width", "words"), [(30, 0), (58, 0), (66, 1), (120, 2)])
def test_what_has_no_room_is_left_out_and_nothing_is_cut(width: int, words: int) -> None:
    console = Console(width=width, record=True, file=io.StringIO())
    print_front(console, FRONT, OBJECTIVES, ["params", "secret"])
    lines = [line.split() for line in console.export_text().splitlines()]
    header = ["key", "accuracy", "▲", "latency_ms", "▼", "params", "secret"][: 5 + words]
    row = ["staged_cnn-4f2a9c01b7de", "0.9123", "1.5000", "12,345", "1"][: 3 + words]
    assert header in lines
    assert row in lines


def test_an_empty_front_has_a_table_too() -> None:
    lines = shown(FRONT.iloc[:0], "params")
    assert any("0 networks" in line for line in lines)
    assert any("accuracy" in line for line in lines)


def test_one_network_is_spoken_of_in_the_singular() -> None:
    (title,) = (line for line in shown(FRONT.iloc[:1]) if "Pareto front" in line)
    assert title.strip() == "Pareto front: 1 network"


def test_what_was_not_measured_is_a_dash() -> None:
    rows = [line.split() for line in shown(FRONT.assign(params=[math.nan, 7]), "params") if "staged_cnn-" in line]
    assert rows[0][-1] == "-"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.0, "0"),
        (0.00012345, "0.000123"),
        (0.05, "0.05"),
        (0.91234, "0.9123"),
        (1.0, "1.0000"),
        (9.87654, "9.8765"),
        (12.345, "12.3"),
        (10, "10"),
        (1234567, "1,234,567"),
        (np.int64(20_000_000), "20,000,000"),
        (20_000_000.0, "20,000,000"),
        (123456.789, "123,456.8"),
        (-0.91234, "-0.9123"),
        (-1234.5, "-1,234.5"),
        (math.nan, "-"),
        (None, "-"),
        (math.inf, "inf"),
    ],
)
def test_numbers_have_the_precision_that_a_reader_can_use(value: Any, text: str) -> None:
    assert number(value) == text


def test_what_nobody_measured_says_how_it_came_about_under_the_table() -> None:
    notes = {
        "latency_ms": "predicted by hw_profiles/pi (fitted, +-25 %)",
        "accuracy": "validation",
        "secret": "predicted",
    }
    console = Console(width=120, record=True, file=io.StringIO())
    print_front(console, FRONT, OBJECTIVES, notes=notes)
    text = console.export_text()
    assert "latency_ms: predicted by hw_profiles/pi (fitted, +-25 %)" in text
    assert "validation" not in text
    assert "secret" not in text


def test_a_front_says_of_measured_energies_what_was_measured() -> None:
    console, measured = Console(record=True, width=140, file=io.StringIO()), "measured, package, RAPL, windows of 5 s"
    front = FRONT.assign(energy_mj=1.0)
    print_front(console, front, [Objective("energy_mj", "minimize")], notes={"energy_mj": measured})
    assert f"energy_mj: {measured}" in console.export_text()


def test_what_stands_beside_objectives_is_shown_however_narrow_the_terminal_is() -> None:
    console = Console(width=30, record=True, file=io.StringIO())
    print_front(console, FRONT, OBJECTIVES, ["params"], beside=["secret"])
    text = console.export_text()
    assert "secret" in text
    assert "params" not in text
