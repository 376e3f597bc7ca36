"""Frames, and the front, as tables for a terminal."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table

from moonas.problem.objective import Objective
from moonas.spec.metric import ENERGY_COLUMNS

_UNMEASURED = ("predicted", "modelled", "computed")
_ARROWS = {"maximize": "▲", "minimize": "▼"}


def print_front(
    console: Console,
    front: pd.DataFrame,
    objectives: Sequence[Objective],
    others: Sequence[str] = (),
    *,
    beside: Sequence[str] = (),
    notes: Mapping[str, str] | None = None,
) -> None:
    """Print a front with as many of the other metrics as there is room for.

    Objectives are always shown in full: in a terminal too narrow for them, lines wrap.

    Args:
        console: where.
        front: one row a network.
        objectives: in their order.
        others: metrics, the most wanted first.
        beside: metrics that are always shown, too.
        notes: metric -> how it came about; told of those that nobody has measured, and of energies.
    """
    for shown in range(len(others), -1, -1):
        table = front_table(front, objectives, [*beside, *others[:shown]])
        needed = Measurement.get(console, console.options.update(width=10_000), table).maximum
        if needed <= console.width or shown == 0:
            console.width = max(console.width, needed)
            console.print(table)
            for note in unmeasured_notes([*(each.metric for each in objectives), *others[:shown]], notes or {}):
                console.print(note, markup=False, highlight=False)
            return


def print_frame(frame: pd.DataFrame, title: str) -> None:
    """Print a frame for a reader, numbers to the right; to a file or pipe, in wide lines."""
    table = Table(box=box.SIMPLE_HEAD)
    for name, column in frame.items():
        numeric = pd.api.types.is_numeric_dtype(column)
        table.add_column(str(name), justify="right" if numeric else "left", no_wrap=numeric, overflow="fold")
    for row in frame.itertuples(index=False):
        table.add_row(*(number(value) if isinstance(value, int | float) else escape(str(value)) for value in row))
    console = wide_console()
    console.print(title, markup=False, highlight=False)
    console.print(table)


def wide_console() -> Console:
    """The terminal, or, where standard output goes elsewhere, wide lines."""
    return _PatientConsole(width=None if sys.stdout.isatty() else 140)


class _PatientConsole(Console):
    """A console that leaves it to its caller what happens when nobody reads any longer; rich would end the program."""

    def on_broken_pipe(self) -> None:
        """Let the error through."""
        raise BrokenPipeError


def front_table(front: pd.DataFrame, objectives: Sequence[Objective], others: Sequence[str] = ()) -> Table:
    """Lay out a front: its networks by key, objectives with an arrow towards better, then other metrics."""
    table = Table(
        title=f"Pareto front: {len(front)} network{'s' * (len(front) != 1)}", title_justify="left", box=box.SIMPLE_HEAD
    )
    table.add_column("key", no_wrap=True, min_width=max(map(len, front["key"]), default=3))
    for objective in objectives:
        table.add_column(f"{objective.metric} {_ARROWS[objective.goal]}", justify="right", style="bold", no_wrap=True)
    named = [objective.metric for objective in objectives]
    for metric in others:
        table.add_column(metric, justify="right", no_wrap=True)
    for _, row in front.iterrows():
        table.add_row(str(row["key"]), *(number(row[metric]) for metric in [*named, *others]))
    return table


def unmeasured_notes(metrics: Sequence[str], notes: Mapping[str, str]) -> list[str]:
    """Of those metrics that nobody has measured, and of energies, a line each: how they came about."""
    told = [metric for metric in metrics if metric in ENERGY_COLUMNS or notes.get(metric, "").startswith(_UNMEASURED)]
    return [f"{metric}: {notes[metric]}" for metric in told if metric in notes]


def number(value: Any) -> str:
    """A number at the precision that a reader can use."""
    if pd.isna(value):
        return "-"
    if isinstance(value, int) or (float(value).is_integer() and abs(value) >= 10):
        return f"{int(value):,}"
    return f"{value:.3g}" if abs(value) < 0.1 else f"{value:.4f}" if abs(value) < 10 else f"{value:,.1f}"
