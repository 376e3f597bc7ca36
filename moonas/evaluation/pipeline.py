"""Cheap metrics, the constraints, then dear ones: no network is timed or trained that breaks a limit anyway."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Executor, Future, as_completed
from dataclasses import dataclass, field

from moonas.encoding.encoding import Genotype
from moonas.errors import CandidateError, WorkerStartError, one_line
from moonas.evaluation import worker
from moonas.evaluation.evaluator import Candidate, Evaluator, Failure, Outcome
from moonas.problem.objective import Constraint, plain
from moonas.problem.trial import Trial

_LARGEST_BATCH = 32
"""Candidates that an evaluator gets together: all of them are in memory at once."""


@dataclass
class _Pending:
    """A trial in the making."""

    number: int
    genotype: Genotype
    candidate: Candidate
    metrics: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    failure: str | None = None

    def take(self, outcome: Outcome, seconds: float) -> None:
        self.seconds += seconds
        if isinstance(outcome, Failure):
            self.failure = outcome.reason
        else:
            self.metrics = {**outcome, **self.metrics}  # what a table says stays, whatever comes with other metrics

    def trial(self, constraints: Sequence[Constraint]) -> Trial:
        """The trial as it stands."""
        broken = _broken(constraints, self.metrics)
        return Trial(
            number=self.number,
            genotype=self.genotype,
            architecture=self.candidate.architecture,
            state="failed" if self.failure is not None else "infeasible" if broken else "complete",
            metrics=self.metrics,
            seconds=round(self.seconds, 6),
            error="; ".join(broken) if self.failure is None else self.failure,
        )


def _broken(constraints: Sequence[Constraint], metrics: dict[str, float]) -> list[str]:
    """The constraints that measured metrics break, worded."""
    return [
        f"breaks {constraint}: {plain(metrics[constraint.metric])}"
        for constraint in constraints
        if constraint.metric in metrics and constraint.violation(metrics[constraint.metric]) > 0
    ]


class Pipeline:
    """Evaluators in their order, and the constraints before those that are gated."""

    def __init__(self, study: str, evaluators: Sequence[Evaluator], constraints: Sequence[Constraint]):
        """Take the evaluators, which the executor's workers must have installed under the name `study`.

        Those that are not gated come first; else the order stays.
        """
        self.study = study
        self.evaluators = tuple(sorted(evaluators, key=lambda evaluator: evaluator.gated))
        self.constraints = tuple(constraints)

    def run(
        self,
        executor: Executor,
        asked: Sequence[tuple[int, Genotype, Candidate]],
        *,
        pulse: Callable[[], None] = lambda: None,
    ) -> Iterator[Trial]:
        """Evaluate candidates, and yield their trials as they end, in no particular order.

        Args:
            executor: where the work is done.
            asked: number, genotype and candidate of each trial.
            pulse: called whenever an evaluator has answered; what it raises ends the evaluation.
        """
        waiting = [_Pending(*entry) for entry in asked]
        for stage, evaluator in enumerate(self.evaluators):
            yield from (pending.trial(self.constraints) for pending in waiting if not self._goes_on(pending, evaluator))
            waiting = [pending for pending in waiting if self._goes_on(pending, evaluator)]
            if evaluator.gated:
                waiting.sort(key=_work, reverse=True)
            for pending in self._ask(executor, stage, waiting):
                pulse()
                if stage == len(self.evaluators) - 1:
                    yield pending.trial(self.constraints)

    def _goes_on(self, pending: _Pending, evaluator: Evaluator) -> bool:
        """Whether an evaluator is to be asked about a candidate."""
        return pending.failure is None and not (evaluator.gated and _broken(self.constraints, pending.metrics))

    def _ask(self, executor: Executor, stage: int, batch: Sequence[_Pending]) -> Iterator[_Pending]:
        """Ask one evaluator about a batch, and yield each candidate when it is answered.

        A chunk that breaks as a whole (its worker died, its time ran out) is taken apart, to find who broke it; and who
        fails in company is asked again alone, for the company may have taken all memory.
        """
        together = self.evaluators[stage].together
        size = _LARGEST_BATCH if together else 1
        chunks = [list(batch[start : start + size]) for start in range(0, len(batch), size)]
        while chunks:
            # What wants the machine for itself goes one at a time, also when a batch was taken apart.
            count = 1 if together else len(chunks)
            futures = {self._submit(executor, stage, chunk): chunk for chunk in chunks[:count]}
            chunks = chunks[count:]
            try:
                for future in as_completed(futures):
                    chunk = futures[future]
                    outcomes, seconds = _answer(future, len(chunk))
                    if outcomes is None:
                        chunks += [[pending] for pending in chunk]
                        continue
                    for pending, outcome in zip(chunk, outcomes, strict=True):
                        if isinstance(outcome, Failure) and len(chunk) > 1:
                            chunks.append([pending])
                            continue
                        pending.take(outcome, seconds / len(chunk))
                        yield pending
            finally:
                for future in futures:  # nobody waits any longer, if this was interrupted
                    future.cancel()

    def _submit(self, executor: Executor, stage: int, chunk: Sequence[_Pending]) -> Future[tuple[list[Outcome], float]]:
        return executor.submit(worker.evaluate, self.study, stage, [pending.candidate for pending in chunk])


def _answer(future: Future[tuple[list[Outcome], float]], count: int) -> tuple[list[Outcome] | None, float]:
    """The outcomes of a chunk of `count` candidates and their seconds; None for several that broke as a whole."""
    try:
        outcomes, seconds = future.result()
        if len(outcomes) != count:
            raise CandidateError(f"the evaluator gave {len(outcomes)} outcomes for {count} candidates")
    except (WorkerStartError, CancelledError):  # no candidate's fault
        raise
    except (Exception, SystemExit) as error:  # the trial border: whatever broke the chunk
        return (None if count > 1 else [Failure(one_line(error))]), getattr(error, "seconds", 0.0)
    return outcomes, seconds


def _work(pending: _Pending) -> float:
    """How much work a candidate is likely to be: largest first keeps the last worker from idling long."""
    return pending.metrics.get("flops", pending.metrics.get("params", 0.0))
