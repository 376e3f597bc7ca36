"""Cheap metrics, the constraints, then dear ones: no network is timed or trained that breaks a limit anyway."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor

from moonas.encoding.encoding import Genotype
from moonas.evaluation.asking import LARGEST_BATCH, Asking
from moonas.evaluation.evaluator import Candidate, Evaluator
from moonas.evaluation.pending import Pending
from moonas.evaluation.rungs import Rungs
from moonas.problem.objective import Constraint
from moonas.problem.trial import Trial


class Pipeline:
    """Evaluators in their order, and the constraints before those that are gated."""

    def __init__(
        self,
        study: str,
        evaluators: Sequence[Evaluator],
        constraints: Sequence[Constraint],
        *,
        rungs: Rungs | None = None,
        first_stage: int = 0,
        largest_batch: int = LARGEST_BATCH,
    ):
        """Take the evaluators, which the executor's workers must have installed under the name `study`.

        Those that are not gated come first; else the order stays.

        Args:
            study: the name.
            evaluators: in the order in which they are asked.
            constraints: what trials must keep.
            rungs: a halving; the last evaluators, one for each of its rungs, are asked as it decides.
            first_stage: where the evaluators begin among those that are installed.
            largest_batch: candidates that an evaluator gets together at most.
        """
        self.study = study
        self.evaluators = tuple(sorted(evaluators, key=lambda evaluator: evaluator.gated))
        self.constraints = tuple(constraints)
        self.first_stage = first_stage
        self._rungs, self._largest_batch = rungs, largest_batch
        self._straight = self.evaluators[: len(self.evaluators) - (rungs.count if rungs else 0)]

    def run(
        self,
        executor: Executor,
        asked: Sequence[tuple[int, Genotype, Candidate]],
        *,
        pulse: Callable[[], None] = lambda: None,
        ended: Sequence[Trial] = (),
    ) -> Iterator[Trial]:
        """Evaluate candidates, and yield their trials as they end, in no particular order.

        Args:
            executor: where the work is done.
            asked: number, genotype and candidate of each trial.
            pulse: called whenever an evaluator has answered; what it raises ends the evaluation.
            ended: trials of the same generation that are there already; a halving compares the new ones with them.
        """
        asking = Asking(executor, self.study, self._largest_batch)
        waiting = [Pending(*entry) for entry in asked]
        if self._rungs is None:
            ready = self._run_straight(asking, waiting, pulse)
        else:
            ready = self._run_halved(self._rungs, asking, waiting, ended, pulse)
        for pending in ready:
            yield pending.trial(self.constraints)

    def _run_straight(self, asking: Asking, waiting: list[Pending], pulse: Callable[[], None]) -> Iterator[Pending]:
        """Ask the evaluators one after the other; yield candidates when no other is to be asked about them."""
        if not self._straight:
            yield from waiting
        for stage, evaluator in enumerate(self._straight):
            yield from (pending for pending in waiting if not self._goes_on(pending, gated=evaluator.gated))
            waiting = [pending for pending in waiting if self._goes_on(pending, gated=evaluator.gated)]
            if evaluator.gated:
                waiting.sort(key=lambda pending: pending.work, reverse=True)
            for pending in asking.ask(self.first_stage + stage, waiting, together=evaluator.together):
                if stage == len(self._straight) - 1:
                    yield pending  # before the pulse, which may end all this
                pulse()

    def _run_halved(
        self,
        rungs: Rungs,
        asking: Asking,
        waiting: Sequence[Pending],
        ended: Sequence[Trial],
        pulse: Callable[[], None],
    ) -> Iterator[Pending]:
        """Ask the evaluators before the rungs about what is not known from an interrupted run, then halve."""
        entering = [pending for pending in waiting if rungs.recalls(pending)]
        known = {pending.key for pending in entering}
        for pending in self._run_straight(asking, [each for each in waiting if each.key not in known], pulse):
            if self._goes_on(pending, gated=True):
                entering.append(pending)
            else:
                yield pending
        yield from rungs.run(asking, self.first_stage + len(self._straight), entering, ended, pulse)

    def _goes_on(self, pending: Pending, *, gated: bool) -> bool:
        """Whether an evaluator is to be asked about a candidate."""
        return pending.failure is None and not (gated and pending.broken(self.constraints))
