"""The last stages of a pipeline under a halving: trained a little, compared, the better ones trained more."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, wait
from dataclasses import dataclass, field
from typing import Protocol

from moonas.evaluation.asking import Answer, Asking, answer_of
from moonas.evaluation.evaluator import Candidate, Failure, Outcome
from moonas.evaluation.pending import Pending
from moonas.problem.trial import Trial

UNTRAINED = 0
"""The place, before all rungs, of what was measured of a candidate without training."""


@dataclass(frozen=True)
class PartialResult:
    """A result on the way to a trial.

    Attributes:
        metrics: what was measured; nothing if it failed.
        seconds: that it took.
        error: why it failed; empty if it did not.
    """

    metrics: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    error: str = ""

    @classmethod
    def of(cls, outcome: Outcome, seconds: float) -> PartialResult:
        """The partial result that an evaluator's answer is."""
        if isinstance(outcome, Failure):
            return cls({}, round(seconds, 6), outcome.reason)
        return cls(dict(outcome), round(seconds, 6))

    @property
    def outcome(self) -> Outcome:
        """What the evaluator said."""
        return Failure(self.error) if self.error else self.metrics


class Memory(Protocol):
    """Where partial results are kept, so that a search that was interrupted repeats none."""

    def recall(self, key: str) -> Mapping[int, PartialResult]:
        """The results of an architecture by rung."""

    def keep(self, key: str, rung: int, result: PartialResult) -> None:
        """Keep a result; on return it is safe."""


class Moves(Protocol):
    """What follows from a result; see `moonas.strategy.halving.Moves`."""

    @property
    def promoted(self) -> Sequence[tuple[int, int]]:
        """Members and the rungs at which they are to be trained now."""

    @property
    def stopped(self) -> Sequence[tuple[int, str]]:
        """Members that do not go on, and why."""


class Bracket(Protocol):
    """Decides who goes on; see `moonas.strategy.halving.Bracket`."""

    def answer(self, member: int, rung: int, metrics: Mapping[str, float] | None) -> Moves:
        """Take the result of a member at a rung, and tell what follows."""


@dataclass(frozen=True)
class Rungs:
    """How a generation is halved.

    Attributes:
        count: of rungs, the top one included.
        bracket: makes the bracket of so many members.
        memory: where results are kept.
    """

    count: int
    bracket: Callable[[int], Bracket]
    memory: Memory

    def recalls(self, pending: Pending) -> bool:
        """Give a candidate back what an interrupted search measured of it before training; tell whether it did."""
        untrained = self.memory.recall(pending.key).get(UNTRAINED)
        if untrained is not None:
            pending.take(untrained.outcome, untrained.seconds)
        return untrained is not None

    def run(
        self,
        asking: Asking,
        first_stage: int,
        waiting: Sequence[Pending],
        ended: Sequence[Trial],
        pulse: Callable[[], None],
    ) -> Iterator[Pending]:
        """Train candidates as the bracket decides, and yield each as it ends.

        Args:
            asking: how evaluators are asked.
            first_stage: the evaluator of the first rung; those of the others follow.
            waiting: the candidates, all of which keep the limits so far.
            ended: trials of the same generation that are there already.
            pulse: called after each result.
        """
        for pending in waiting:
            if UNTRAINED not in self.memory.recall(pending.key):
                self.memory.keep(pending.key, UNTRAINED, PartialResult(pending.metrics, round(pending.seconds, 6)))
        others = [pending for pending in map(_as_member, ended) if self.recalls(pending)]
        members = sorted([*waiting, *others], key=lambda pending: pending.number)
        yield from _Halving(self, asking, first_stage, members).run(pulse)


def _as_member(trial: Trial) -> Pending:
    candidate = Candidate(trial.architecture, seed=0)  # nobody trains it again
    return Pending(trial.number, trial.genotype, candidate, ended=True)


class _Halving:
    """One generation on its way through the rungs."""

    def __init__(self, rungs: Rungs, asking: Asking, first_stage: int, members: Sequence[Pending]):
        self._count, self._memory = rungs.count, rungs.memory
        self._asking, self._first_stage, self._members = asking, first_stage, members
        self._bracket = rungs.bracket(len(members))
        self._untrained = [dict(pending.metrics) for pending in members]
        self._running: dict[Answer, tuple[int, int]] = {}
        largest_first = sorted(range(len(members)), key=lambda member: -members[member].work)
        self._entering = deque((member, 1) for member in largest_first)

    def run(self, pulse: Callable[[], None]) -> Iterator[Pending]:
        try:
            yield from self._enter()
            while self._running:
                for future in wait(self._running, return_when=FIRST_COMPLETED).done:
                    member, rung = self._running.pop(future)
                    result = _result_of(future)
                    self._memory.keep(self._members[member].key, rung, result)  # before anything is decided by it
                    yield from self._conclude(member, rung, result)
                    yield from self._enter()
                    pulse()
        finally:
            for future in self._running:
                future.cancel()

    def _enter(self) -> Iterator[Pending]:
        """Begin all trainings that are due; results that are known are taken from memory."""
        while self._entering:
            member, rung = self._entering.popleft()
            pending = self._members[member]
            known = self._memory.recall(pending.key).get(rung)
            if known is not None or pending.ended:
                yield from self._conclude(member, rung, known)
            else:
                future = self._asking.submit(self._first_stage + rung - 1, [pending])
                self._running[future] = member, rung

    def _conclude(self, member: int, rung: int, result: PartialResult | None) -> Iterator[Pending]:
        """Let the bracket decide by a result, None for one that is missing of a trial that ended before it."""
        pending = self._members[member]
        if result is not None:
            pending.metrics = {**result.metrics, **self._untrained[member]}  # in place of those of the rung below
            pending.seconds, pending.rung = pending.seconds + result.seconds, rung
            pending.failure = result.error or None
        failed = result is None or bool(result.error)
        if failed or rung == self._count:
            yield from self._out(member)
        moves = self._bracket.answer(member, rung, None if failed else pending.metrics)
        self._entering.extend(moves.promoted)
        for stopped, why in moves.stopped:
            self._members[stopped].stopped = why
            yield from self._out(stopped)

    def _out(self, member: int) -> Iterator[Pending]:
        if not self._members[member].ended:
            yield self._members[member]


def _result_of(future: Answer) -> PartialResult:
    outcomes, seconds = answer_of(future, 1)
    return PartialResult.of(outcomes[0], seconds)
