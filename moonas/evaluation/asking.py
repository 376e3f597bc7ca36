"""Evaluators asked about candidates, by way of an executor: what breaks there becomes the failure of a candidate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError, Executor, Future, as_completed
from dataclasses import dataclass, replace

from moonas.errors import CandidateError, WorkerStartError, one_line
from moonas.evaluation import worker
from moonas.evaluation.evaluator import Failure, Outcome
from moonas.evaluation.pending import Pending

LARGEST_BATCH = 32
"""Candidates that an evaluator gets together: all of them are in memory at once."""

Answer = Future[tuple[list[Outcome], float]]


@dataclass(frozen=True)
class Asking:
    """How the evaluators of a study are asked, which the executor's workers have installed under its name.

    Attributes:
        largest_batch: candidates that an evaluator gets together at most.
    """

    executor: Executor
    study: str
    largest_batch: int = LARGEST_BATCH

    def submit(self, stage: int, chunk: Sequence[Pending]) -> Answer:
        """Ask evaluator number `stage`, and do not wait."""
        candidates = [replace(pending.candidate, known=pending.metrics) for pending in chunk]
        return self.executor.submit(worker.evaluate, self.study, stage, candidates)

    def ask(self, stage: int, batch: Sequence[Pending], *, together: bool) -> Iterator[Pending]:
        """Ask one evaluator about a batch, and yield each candidate when it is answered.

        A chunk that breaks as a whole (its worker died, its time ran out) is halved, until it is found who broke it;
        and who fails in company is asked again in a smaller one, for the company may have taken all memory.
        """
        size = self.largest_batch if together else 1
        chunks = [batch[start : start + size] for start in range(0, len(batch), size)]
        while chunks:
            # What wants the machine for itself goes one at a time, also when a batch was taken apart.
            count = 1 if together else len(chunks)
            futures = {self.submit(stage, chunk): chunk for chunk in chunks[:count]}
            chunks = chunks[count:]
            try:
                for future in as_completed(futures):
                    chunk = futures[future]
                    outcomes, seconds = answer_of(future, len(chunk))
                    failed: list[Pending] = []
                    for pending, outcome in zip(chunk, outcomes, strict=True):
                        if isinstance(outcome, Failure) and len(chunk) > 1:
                            failed.append(pending)
                            continue
                        pending.take(outcome, seconds / len(chunk))
                        yield pending
                    chunks += _smaller(failed, len(chunk))
            finally:
                for future in futures:  # nobody waits any longer, if this was interrupted
                    future.cancel()


def _smaller(failed: Sequence[Pending], size: int) -> list[Sequence[Pending]]:
    """The companies in which candidates are asked again, each smaller than that in which they failed."""
    if len(failed) < size:
        return [failed] if failed else []
    half = size // 2
    return [failed[:half], failed[half:]]


def answer_of(future: Answer, count: int) -> tuple[list[Outcome], float]:
    """The outcomes of a chunk of `count` candidates and their seconds; if it broke as a whole, that for each."""
    try:
        outcomes, seconds = future.result()
        if len(outcomes) != count:
            raise CandidateError(f"the evaluator gave {len(outcomes)} outcomes for {count} candidates")
    except (WorkerStartError, CancelledError):  # no candidate's fault
        raise
    except (Exception, SystemExit) as error:  # the trial border: whatever broke the chunk
        return [Failure(one_line(error))] * count, getattr(error, "seconds", 0.0)
    return outcomes, seconds
