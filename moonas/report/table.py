"""The front as a table for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from rich import box
from rich.table import Table

from moonas.problem.objective import Objective

_ARROWS = {"maximize": "▲", "minimize": "▼"}


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


def number(value: Any) -> str:
    """A number at the precision that a reader can use."""
    if pd.isna(value):
        return "-"
    if float(value).is_integer() and abs(value) >= 10:
        return f"{int(value):,}"
    return f"{value:.3g}" if abs(value) < 0.1 else f"{value:.4f}" if abs(value) < 10 else f"{value:,.1f}"
