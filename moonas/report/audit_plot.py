"""The picture of an audit: what the search sees against full training, as it is and at equal size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from moonas.report.agreement import Values
from moonas.report.audit import evidence, full_columns
from moonas.report.evidence import CEILING, FEWEST_AT_EQUAL_SIZE, KENDALL_AT_EQUAL_SIZE, found_in
from moonas.report.plot import save

_LINE, _BAR = "#94a3b8", "#cbd5e1"


def plot_audit(networks: pd.DataFrame, table: pd.DataFrame, judged: str, path: Path, *, title: str = "") -> None:
    """Draw the signal that the search goes by against the score after full training, and both beside size.

    Args:
        networks: see `moonas.report.audit`.
        table: its `agreement_table`.
        judged: the signal.
        path: `.png` or `.svg`.
        title: above it all.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.4, 4.2), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left", fontweight="bold")
    left, right = figure.subplots(1, 2)
    known = evidence(networks)
    score = full_columns(networks)[0].removeprefix("full_").removesuffix("_0")
    points = _scatter(left, known.signals[judged][:, 0], known.full, networks["flops"])
    left.set_xlabel(f"{'- ' if judged == 'training_loss' else ''}{judged} of the proxy  (→ better)")
    left.set_ylabel(f"{score} after full training  (↑ better)\nmean and range of {known.full.shape[1]} seeds")
    left.set_title(_figures(table, judged, "kendall"), loc="left", fontsize=9)
    if len(networks) >= FEWEST_AT_EQUAL_SIZE:
        rest = known.at_equal_size
        _scatter(right, rest.signals[judged][:, 0], rest.full, networks["flops"])
        right.axhline(0, color=_LINE, linewidth=0.8, zorder=1)
        right.axvline(0, color=_LINE, linewidth=0.8, zorder=1)
        right.set_xlabel("rank by the proxy, less what size tells")
        right.set_ylabel("rank after full training, less what size tells")
        right.set_title(f"at equal size: {_figures(table, judged, KENDALL_AT_EQUAL_SIZE)}", loc="left", fontsize=9)
    else:
        what = f"at equal size: {FEWEST_AT_EQUAL_SIZE} networks or more"
        right.text(0.5, 0.5, what, transform=right.transAxes, ha="center", color=_LINE)
    figure.colorbar(points, ax=[left, right], label="flops", shrink=0.85)
    save(figure, path)


def _scatter(axis: Any, signal: Values, full: Values, flops: pd.Series) -> Any:
    """Networks, with the range of their seeds, coloured by their multiply-adds; gives the points."""
    from matplotlib.colors import LogNorm

    mean = full.mean(axis=1)
    away = [mean - full.min(axis=1), full.max(axis=1) - mean]
    axis.errorbar(signal, mean, yerr=away, fmt="none", ecolor=_BAR, elinewidth=1.2, zorder=2)
    axis.grid(alpha=0.25)
    scale = LogNorm() if (flops > 0).all() and flops.nunique() > 1 else None
    return axis.scatter(signal, mean, c=flops, norm=scale, cmap="viridis", s=34, zorder=3)


def _figures(table: pd.DataFrame, judged: str, measure: str) -> str:
    found, ceiling = (found_in(table, signal, measure) for signal in (judged, CEILING))
    among = f"; full trainings among themselves {ceiling.value:.2f}" if ceiling.value == ceiling.value else ""
    return f"Kendall {found}{among}"
