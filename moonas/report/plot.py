"""Pictures: of a front, and what all have in common."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from moonas.problem.objective import Objective
from moonas.report.front import pareto_front
from moonas.report.hypervolume import hypervolume_history

_FRONT, _OTHERS = "#c2410c", "#94a3b8"


def plot_front(
    trials: pd.DataFrame,
    objectives: Sequence[Objective],
    path: Path,
    *,
    title: str = "",
    notes: dict[str, str] | None = None,
) -> None:
    """Draw the first objective against each other one, and the hypervolume over the trials.

    Args:
        trials: one row a trial.
        objectives: with reference and ideal.
        path: `.png` or `.svg`.
        title: above it all.
        notes: metric -> what its axis adds, as how a latency was measured.
    """
    from matplotlib.figure import Figure

    others = list(objectives[1:])
    panels = len(others) + 1
    figure = Figure(figsize=(4.6 * panels, 4.2), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left", fontweight="bold")
    axes = figure.subplots(1, panels, squeeze=False)[0]
    front = pareto_front(trials, objectives)
    for axis, other in zip(axes, others, strict=False):
        _scatter(axis, trials, front, other, objectives[0], notes or {})
    if others:
        _count_states(axes[0], trials)
    _history(axes[-1], trials, objectives)
    save(figure, path)


def single_panel() -> tuple[Any, Any]:
    """A figure with one panel, and its axis."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.6, 4.2), layout="constrained")
    axis = figure.subplots()
    axis.grid(alpha=0.25)
    return figure, axis


def save(figure: Any, path: Path) -> None:
    """Write a figure into a `.png` or `.svg` file."""
    import matplotlib

    metadata = {"Date": None} if path.suffix == ".svg" else {}
    with matplotlib.rc_context({"svg.hashsalt": "moonas"}):  # the same trials, the same bytes
        figure.savefig(path, dpi=130, metadata=metadata)


def _scatter(
    axis: Any, trials: pd.DataFrame, front: pd.DataFrame, x: Objective, y: Objective, notes: dict[str, str]
) -> None:
    """One panel. A network of the front may look beaten in it: it is better in an objective of another panel."""
    styles: dict[str, dict[str, Any]] = {
        "infeasible": {"marker": "x", "s": 16, "linewidths": 0.8},
        "complete": {"s": 14, "linewidths": 0},
    }
    for state, style in styles.items():
        rows = trials[trials["state"] == state].dropna(subset=[x.metric, y.metric])
        if len(rows):
            axis.scatter(rows[x.metric], rows[y.metric], color=_OTHERS, label=state, **style)
    if len(front):
        axis.scatter(front[x.metric], front[y.metric], s=34, color=_FRONT, label="Pareto front", zorder=3)
        axis.legend(frameon=False, fontsize=8)
    else:
        axis.text(0.5, 0.5, "no complete trials", transform=axis.transAxes, ha="center", color=_OTHERS)
    axis.set_xlabel(_label(x, notes, "←", "→"))
    axis.set_ylabel(_label(y, notes, "↓", "↑"))
    axis.grid(alpha=0.25)
    _point_to_better(axis, x, y)


def _count_states(axis: Any, trials: pd.DataFrame) -> None:
    """Say how many trials there are of each state.

    Failed and untrained ones have no place in a panel, and stopped ones none beside networks that were trained longer.
    """
    counts = trials["state"].value_counts()
    text = ", ".join(f"{count} {state}" for state, count in counts.items())
    axis.set_title(text, loc="right", fontsize=8, color="#64748b")


def _label(objective: Objective, notes: dict[str, str], smaller: str, larger: str) -> str:
    arrow = smaller if objective.goal == "minimize" else larger
    note = f"\n{textwrap.fill(notes[objective.metric], 50)}" if objective.metric in notes else ""
    return f"{objective.metric}  ({arrow} better){note}"


def _point_to_better(axis: Any, x: Objective, y: Objective) -> None:
    """Say above the panel in which corner networks are better in both."""
    arrow = {("minimize", "maximize"): "↖", ("maximize", "maximize"): "↗"}
    arrow |= {("minimize", "minimize"): "↙", ("maximize", "minimize"): "↘"}
    axis.set_title(f"{arrow[x.goal, y.goal]} better", loc="left", fontsize=9, color="#0f766e")


def _history(axis: Any, trials: pd.DataFrame, objectives: Sequence[Objective]) -> None:
    history = hypervolume_history(trials, objectives)
    axis.step(history["number"] + 1, history["hypervolume"], where="post", color=_FRONT)
    axis.set_xlabel("trials")
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.set_ylabel("hypervolume  (↑ better)\nshare of the box from reference to ideal")
    axis.grid(alpha=0.25)
