"""Objectives and constraints, in natural values; the one place where signs flip for libraries that only minimise."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Matrix = np.ndarray[tuple[int, int], np.dtype[np.float64]]


@dataclass(frozen=True)
class Objective:
    """A metric to be made as large or as small as can be.

    Attributes:
        metric: the name of the metric, with its unit.
        goal: which way is better.
        reference: the worst value that still counts in the hypervolume; None takes it from the first generation.
        ideal: the best value that could be; None where nobody knows.
    """

    metric: str
    goal: Literal["maximize", "minimize"]
    reference: float | None = None
    ideal: float | None = None

    @property
    def sign(self) -> float:
        """The factor that makes smaller values better."""
        return -1.0 if self.goal == "maximize" else 1.0


@dataclass(frozen=True)
class Constraint:
    """A limit that a metric must keep, ends included."""

    metric: str
    at_most: float | None = None
    at_least: float | None = None

    def violation(self, value: float) -> float:
        """How far `value` is beyond the limit, as a share of the limit (of 1 for a limit of 0); 0 if it keeps it.

        A NaN breaks every limit infinitely.
        """
        if math.isnan(value):
            return math.inf
        over = 0.0 if self.at_most is None else (value - self.at_most) / (abs(self.at_most) or 1.0)
        under = 0.0 if self.at_least is None else (self.at_least - value) / (abs(self.at_least) or 1.0)
        return max(over, under, 0.0)

    def __str__(self) -> str:
        limits = []
        if self.at_least is not None:
            limits.append(f">= {plain(self.at_least)}")
        if self.at_most is not None:
            limits.append(f"<= {plain(self.at_most)}")
        return f"{self.metric} {' and '.join(limits)}"


def plain(value: float) -> str:
    """A number in full, whole ones without a decimal point."""
    return str(int(value)) if float(value).is_integer() else repr(value)


def minimised(objectives: Sequence[Objective], metrics: Sequence[Mapping[str, float]]) -> Matrix:
    """The objective values with signs such that smaller is better, (trials, objectives); NaN where not measured."""
    rows = [[o.sign * values.get(o.metric, math.nan) for o in objectives] for values in metrics]
    return np.array(rows, dtype=np.float64).reshape(len(metrics), len(objectives))


def total_violation(constraints: Sequence[Constraint], metrics: Mapping[str, float]) -> float:
    """The sum of the violations of those constraints whose metric was measured."""
    return sum(c.violation(metrics[c.metric]) for c in constraints if c.metric in metrics)
