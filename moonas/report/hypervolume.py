"""Hypervolume as a share of a fixed box, and its history."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import moocore
import numpy as np
import pandas as pd

from moonas.problem.objective import Objective

Values = np.ndarray[Any, np.dtype[np.float64]]


class Hypervolume:
    """The share of the box between reference and ideal point that a growing set of trials dominates, 0 to 1.

    With boxes fixed at the start, hypervolumes of different runs of a problem compare. By moocore (Fonseca et al.,
    2006, doi:10.1109/CEC.2006.1688440). Where an ideal value was taken from data, better ones count beyond 1.
    """

    def __init__(self, objectives: Sequence[Objective]):
        """Take objectives whose reference and ideal are known; see `with_box`."""
        self._metrics = [objective.metric for objective in objectives]
        self._reference = np.array([objective.reference for objective in objectives], dtype=float)
        ideal = np.array([objective.ideal for objective in objectives], dtype=float)
        self._span = ideal - self._reference
        self._front: Values = np.empty((0, len(objectives)))
        self._value: float | None = 0.0

    def add(self, values: Sequence[float]) -> bool:
        """Add a trial by its natural objective values; tell whether it is on the front now."""
        point = (np.asarray(values, dtype=float) - self._reference) / self._span  # 0: reference, 1: ideal
        dominated = (self._front >= point).all(axis=1) & (self._front > point).any(axis=1)
        if dominated.any():
            return False
        beaten = (self._front <= point).all(axis=1) & (self._front < point).any(axis=1)
        self._front = np.vstack([self._front[~beaten], point])
        self._value = None
        return True

    @property
    def size(self) -> int:
        """Trials on the front, in the box or not."""
        return len(self._front)

    @property
    def value(self) -> float:
        """The share that is dominated now."""
        if self._value is None:
            inside = self._front[(self._front > 0).all(axis=1)]
            self._value = float(moocore.hypervolume(inside, ref=np.zeros(len(self._span)), maximise=True))
        return self._value


def with_box(objectives: Sequence[Objective], first: pd.DataFrame) -> tuple[Objective, ...]:
    """Complete objectives that lack a reference or ideal: the worst and best of the complete trials of `first`.

    Stopped trials count for the worst, too: after less training they are no better than they would be, and a halving
    leaves so few complete ones that their worst may be their best.

    Args:
        objectives: as the problem gives them.
        first: the trials of the first generation.
    """
    return tuple(_completed(objective, first) for objective in objectives)


def first_generation(trials: pd.DataFrame, population: int) -> pd.DataFrame:
    """The trials of the first generation that has a complete one.

    Args:
        trials: one row a trial, in generations of `population` by their numbers.
        population: size of a generation.
    """
    generation = trials["number"] // population
    return trials[generation == generation[trials["state"] == "complete"].min()]


def _completed(objective: Objective, first: pd.DataFrame) -> Objective:
    costs = objective.sign * first[objective.metric].astype(float)
    worst = objective.sign * costs[first["state"].isin(["complete", "stopped"])].max()  # NaN where there is none
    best = objective.sign * costs[first["state"] == "complete"].min()
    reference = float(np.nan_to_num(worst)) if objective.reference is None else objective.reference
    ideal = float(np.nan_to_num(best)) if objective.ideal is None else objective.ideal
    if (ideal - reference) * objective.sign >= 0:  # no room between them: open the box by one
        ideal = reference - objective.sign
    return Objective(objective.metric, objective.goal, reference, ideal)


def hypervolume_history(trials: pd.DataFrame, objectives: Sequence[Objective]) -> pd.DataFrame:
    """The hypervolume after each trial, in the order of their numbers, as columns `number` and `hypervolume`.

    Args:
        trials: one row a trial.
        objectives: with reference and ideal; see `with_box`.
    """
    ordered = trials.sort_values("number")
    return pd.DataFrame({"number": ordered["number"].to_numpy(), "hypervolume": list(_grow(ordered, objectives))})


def _grow(ordered: pd.DataFrame, objectives: Sequence[Objective]) -> Iterator[float]:
    hypervolume = Hypervolume(objectives)
    rows = ordered[[objective.metric for objective in objectives]].to_numpy(dtype=float)
    for complete, row in zip(ordered["state"] == "complete", rows, strict=True):
        if complete:
            hypervolume.add(row)
        yield hypervolume.value
