"""A trial in the making: a candidate, and what was measured of it so far."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from moonas.encoding.encoding import Genotype
from moonas.evaluation.evaluator import Candidate, Failure, Outcome
from moonas.problem.objective import Constraint, plain
from moonas.problem.trial import State, Trial


@dataclass
class Pending:
    """A trial in the making.

    Attributes:
        failure: why it failed, if it did.
        stopped: why it was not trained further, if a halving decided so.
        rung: the last at which it was trained, from 1; 0 before, and without a halving.
        ended: whether its trial is there already, and it is here only to be compared with others.
    """

    number: int
    genotype: Genotype
    candidate: Candidate
    metrics: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    failure: str | None = None
    stopped: str | None = None
    rung: int = 0
    ended: bool = False

    @property
    def key(self) -> str:
        """The identity of its architecture."""
        return self.candidate.architecture.key

    @property
    def work(self) -> float:
        """How much work it is likely to be: largest first keeps the last worker from idling long."""
        return self.metrics.get("flops", self.metrics.get("params", 0.0))

    def take(self, outcome: Outcome, seconds: float) -> None:
        """Add what one evaluator says."""
        self.seconds += seconds
        if isinstance(outcome, Failure):
            self.failure = outcome.reason
        found = outcome.found if isinstance(outcome, Failure) else outcome
        self.metrics = {**found, **self.metrics}  # what a table says stays, whatever comes with other metrics

    def broken(self, constraints: Iterable[Constraint]) -> list[str]:
        """The constraints that measured metrics break, worded."""
        return [
            f"breaks {constraint}: {plain(self.metrics[constraint.metric])}"
            for constraint in constraints
            if constraint.metric in self.metrics and constraint.violation(self.metrics[constraint.metric]) > 0
        ]

    def trial(self, constraints: Sequence[Constraint]) -> Trial:
        """The trial as it stands. Training that a halving stopped cannot break a limit: it was not all there is."""
        state, error = self._ending(constraints)
        return Trial(
            number=self.number,
            genotype=self.genotype,
            architecture=self.candidate.architecture,
            state=state,
            metrics=self.metrics,
            seconds=round(self.seconds, 6),
            error=error,
            rung=self.rung if state == "stopped" else 0,
        )

    def _ending(self, constraints: Sequence[Constraint]) -> tuple[State, str]:
        if self.failure is not None:
            return "failed", self.failure
        if self.stopped is not None:
            return "stopped", self.stopped
        broken = self.broken(constraints)
        return "infeasible" if broken else "complete", "; ".join(broken)
