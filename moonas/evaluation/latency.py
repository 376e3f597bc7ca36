"""Latency as a metric: a batch of candidates, timed side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from moonas.evaluation.evaluator import Candidate, Evaluator, Failure, Outcome, attempt, build
from moonas.network.architecture import Task


@dataclass(frozen=True)
class Loader:
    """Loads candidates onto the device.

    Attributes:
        prepare: makes a module callable, given the shape of one input.
    """

    task: Task
    prepare: Callable[[Any, Sequence[int]], Any]

    def __call__(self, candidate: Candidate) -> Any:
        """Build, load and run once; return the call for one inference."""
        inference = self.prepare(build(candidate, self.task), self.task.input_shape)
        inference()
        return inference


class DryRunEvaluator(Evaluator):
    """Runs each candidate once on the device, by itself.

    What hangs, crashes or takes too much memory there shows itself here, and cannot spoil a batch that is timed.
    """

    metrics = ()
    gated = True

    def __init__(self, load: Loader):
        """Take what loads a candidate."""
        self._load = load

    def evaluate(self, candidates: Sequence[Candidate]) -> list[Outcome]:
        """Load and run each candidate."""
        return [attempt(partial(self._run, candidate)) for candidate in candidates]

    def _run(self, candidate: Candidate) -> Mapping[str, float]:
        self._load(candidate)
        return {}


class LatencyEvaluator(Evaluator):
    """Times whole networks on the device, all candidates of a batch in interleaved rounds."""

    gated = True
    together = True

    def __init__(self, metrics: Sequence[str], load: Loader, measure: Callable[[Sequence[Any]], Sequence[Any]]):
        """Take what loads a candidate, and what times loaded ones side by side."""
        self.metrics = tuple(metrics)
        self._load, self._time = load, measure

    def evaluate(self, candidates: Sequence[Candidate]) -> list[Outcome]:
        """Load all candidates, then time those that ran."""
        inferences: list[Any] = []

        def load(candidate: Candidate) -> Mapping[str, float]:
            inferences.append(self._load(candidate))
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
