"""Latency as a metric: a batch of candidates, timed side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from moonas.architecture.architecture import Task
from moonas.evaluation.evaluator import Candidate, Evaluator, Failure, Outcome, attempt, build


class LatencyEvaluator(Evaluator):
    """Times whole networks on the device, all candidates of a batch in interleaved rounds."""

    together = True

    def __init__(
        self,
        metrics: Sequence[str],
        task: Task,
        prepare: Callable[[Any, Sequence[int]], Any],
        measure: Callable[[Sequence[Any]], Sequence[Any]],
    ):
        """Take the two halves of a measurement: `prepare` makes a module callable, `measure` times the calls."""
        self.metrics = tuple(metrics)
        self._task, self._prepare, self._time = task, prepare, measure

    def evaluate(self, candidates: Sequence[Candidate]) -> list[Outcome]:
        """Load all candidates, run each once, then time those that ran."""
        inferences: list[Any] = []

        def load(candidate: Candidate) -> Mapping[str, float]:
            inference = self._prepare(build(candidate, self._task), self._task.input_shape)
            inference()
            inferences.append(inference)
            return {}

        outcomes = [attempt(partial(load, candidate)) for candidate in candidates]
        timings = iter(self._time(inferences))
        return [outcome if isinstance(outcome, Failure) else self._metrics(next(timings)) for outcome in outcomes]

    def _metrics(self, latency: Any) -> Outcome:
        values = {
            "latency_ms": latency.best,
            "latency_median_ms": latency.median,
            "latency_p90_ms": latency.p90,
            "latency_uncertainty": latency.uncertainty,
        }
        return attempt(lambda: values)
