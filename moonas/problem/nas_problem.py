"""The search as a pymoo Problem, for every algorithm that pymoo has."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from pymoo.core.problem import Problem

from moonas.encoding.encoding import Encoding, Genotype
from moonas.problem.objective import Constraint, Objective, minimised
from moonas.problem.trial import Trial


class NASProblem(Problem):  # type: ignore[misc]  # pymoo is untyped
    """Architecture search as a pymoo Problem on integer variables, one for each gene.

    `F` holds the objectives with signs flipped where the goal is to maximise. `G` holds the violation of each
    constraint, and a last column for what is unfit for a reason that no other tells, as that a halving stopped it,
    infinite for what failed: a network that breaks a limit is better than one that cannot be evaluated.
    Where an objective has no value, as for a candidate that was never trained, `F` is infinite: pymoo ranks infeasible
    solutions by `G` alone. Real-valued variables are cut into choices, so operators for real numbers work, too.
    """

    def __init__(
        self,
        encoding: Encoding,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint],
        evaluate: Callable[[list[Genotype]], list[Trial]],
    ):
        """Wrap `evaluate`, which answers each genotype with its trial."""
        self.encoding = encoding
        self.objectives = tuple(objectives)
        self.constraints = tuple(constraints)
        self._evaluate_genotypes = evaluate
        super().__init__(
            n_var=len(encoding.genes),
            n_obj=len(self.objectives),
            n_ieq_constr=len(self.constraints) + 1,
            xl=np.zeros(len(encoding.genes)),
            xu=encoding.sizes - 1,
            vtype=int,
        )

    def genotypes(self, x: Any) -> list[Genotype]:
        """Turn rows of variables, (solutions, genes), into genotypes."""
        values = np.atleast_2d(np.asarray(x, dtype=float))
        last = self.encoding.sizes - 1
        # Each choice gets an equal share of the range of its variable; whole numbers stay as they are.
        shares = np.floor(values * self.encoding.sizes / np.maximum(last, 1))
        return [tuple(int(index) for index in row) for row in np.clip(shares, 0, last)]

    def _evaluate(self, x: Any, out: dict[str, Any], *args: Any, **kwargs: Any) -> None:
        trials = self._evaluate_genotypes(self.genotypes(x))
        values = minimised(self.objectives, [trial.metrics for trial in trials])
        out["F"] = np.where(np.isnan(values), np.inf, values)
        out["G"] = np.array([self._violations(trial) for trial in trials], dtype=float)

    def _violations(self, trial: Trial) -> list[float]:
        measured = {} if trial.state == "stopped" else trial.metrics  # after too little training to be judged by it
        broken = [c.violation(measured[c.metric]) if c.metric in measured else 0.0 for c in self.constraints]
        feasible = trial.state == "complete" or (trial.state == "infeasible" and any(broken))
        return [*broken, 0.0 if feasible else math.inf if trial.state == "failed" else 1.0]
