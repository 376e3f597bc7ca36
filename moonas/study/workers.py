"""Worker processes as a search has them, for those who ask evaluators outside of one."""

from __future__ import annotations

import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from moonas.encoding.encoding import Genotype
from moonas.errors import CandidateError, one_line
from moonas.evaluation import worker
from moonas.evaluation.evaluator import Candidate, Evaluator, Failure, Outcome
from moonas.evaluation.pipeline import Pipeline
from moonas.problem.objective import Constraint
from moonas.problem.trial import Trial
from moonas.spec.problem import ProblemSpec
from moonas.study.assemble_evaluation import assemble_executor, usable_cores


class Workers:
    """Worker processes with evaluators installed.

    Attributes:
        count: how many.
        startup: seconds until the last had started.
    """

    def __init__(self, spec: ProblemSpec, evaluators: Sequence[Evaluator]):
        """Take the evaluators, those that are gated last; `with` starts the processes."""
        self.count = usable_cores() if spec.workers == "auto" else max(1, spec.workers)
        self.startup = 0.0
        self._spec, self._evaluators, self._name = spec, evaluators, uuid.uuid4().hex

    def __enter__(self) -> Workers:
        with ExitStack() as stack:
            scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            self._executor: Executor = assemble_executor(self._spec, self._name, self._evaluators, scratch)
            stack.callback(self._executor.shutdown)
            started = time.perf_counter()
            self._start()
            self.startup = time.perf_counter() - started
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def submit(self, evaluator: int, candidates: Sequence[Candidate]) -> Future[Any]:
        """Have the next free worker ask an evaluator; `answer_about_one` reads the answer."""
        return self._executor.submit(worker.evaluate, self._name, evaluator, candidates)

    def run(
        self,
        asked: Sequence[tuple[int, Genotype, Candidate]],
        constraints: Sequence[Constraint],
        *,
        pulse: Callable[[], None] = lambda: None,
    ) -> Iterator[Trial]:
        """Have all evaluators asked about candidates, one after the other; see `Pipeline.run`."""
        return Pipeline(self._name, self._evaluators, constraints).run(self._executor, asked, pulse=pulse)

    def _start(self) -> None:
        calls = [self._executor.submit(_answer_nothing, self._name, 0, [None]) for _ in range(self.count)]
        for call in calls:
            call.result()


def _answer_nothing(*_: object) -> tuple[list[Outcome], float]:
    """What a worker is asked first, so that it starts; the arguments and the result are as of `worker.evaluate`."""
    return [], 0.0


def answer_about_one(answered: Future[Any]) -> tuple[Outcome, float]:
    """What a worker has answered about a single candidate, and the seconds that it took."""
    try:
        (outcome,), seconds = answered.result()
    except CandidateError as error:  # its time ran out, or its worker died
        return Failure(one_line(error)), error.seconds
    return outcome, seconds
