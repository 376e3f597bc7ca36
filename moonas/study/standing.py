"""How a search stands: its best value, its front, its hypervolume, kept up to date trial by trial."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from moonas.problem.objective import Objective
from moonas.problem.trial import Trial
from moonas.report.front import pareto_front
from moonas.report.hypervolume import Hypervolume, first_generation, with_box


class Standing:
    """The running figures of a search.

    Attributes:
        objectives: by which networks are compared.
        best: the best value of the first one so far; None before there is one.
    """

    def __init__(self, objectives: Sequence[Objective], population: int):
        """Begin with nothing; `population` trials are a generation."""
        self.objectives = tuple(objectives)
        self.best: float | None = None
        self._population = population
        self._waiting: list[Trial] = []  # for the box
        known = all(None not in (objective.reference, objective.ideal) for objective in objectives)
        self._growing = Hypervolume(objectives) if known else None

    def add(self, trial: Trial) -> None:
        """Take a trial into account."""
        sign = self.objectives[0].sign
        if trial.state == "complete":
            value = trial.metrics[self.objectives[0].metric]
            self.best = value if self.best is None or sign * value < sign * self.best else self.best
        if self._growing is None:
            self._waiting.append(trial)
            self._open_box()
        elif trial.state == "complete":
            self._growing.add(self._values(trial))

    def _values(self, trial: Trial) -> list[float]:
        return [trial.metrics[objective.metric] for objective in self.objectives]

    def _open_box(self) -> None:
        """Fix the box of the hypervolume, if the first generation with a complete trial is all there."""
        if len(self._waiting) % self._population:
            return
        first = first_generation(_frame(self._waiting, self.objectives), self._population)
        if len(first) == self._population:
            self._growing = Hypervolume(with_box(self.objectives, first))
            for trial in self._waiting:
                if trial.state == "complete":
                    self._growing.add(self._values(trial))
            self._waiting.clear()

    @property
    def hypervolume(self) -> float:
        """The share of the box that is dominated; NaN before the box is known."""
        return math.nan if self._growing is None else self._growing.value

    @property
    def front(self) -> int:
        """Networks on the front."""
        if self._growing is None:
            return len(pareto_front(_frame(self._waiting, self.objectives), self.objectives))
        return self._growing.size


def _frame(trials: Sequence[Trial], objectives: Sequence[Objective]) -> pd.DataFrame:
    """The frame of some trials, as far as `with_box` wants it."""
    metrics = [objective.metric for objective in objectives]
    rows = [(trial.number, trial.state, *map(trial.metrics.get, metrics)) for trial in trials]
    return pd.DataFrame(rows, columns=["number", "state", *metrics])
