"""Latency as a metric: measured on the device, a batch of candidates side by side, or predicted of devices."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from moonas.evaluation.evaluator import Candidate, Evaluator, Failure, Outcome, attempt, build
from moonas.evaluation.looking import BuiltNetwork, LookingEvaluator, Tracer
from moonas.network.architecture import Task

TOGETHER = "timed_together"
"""How many networks were timed side by side."""


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


class SideBySideEvaluator(Evaluator):
    """Measures whole networks on the device, all candidates of a batch side by side."""

    gated = True
    together = True

    def __init__(self, metrics: Sequence[str], load: Loader, measure: Callable[[Sequence[Any]], Sequence[Any]]):
        """Take what loads a candidate, and what measures loaded ones side by side."""
        self.metrics = tuple(metrics)
        self._load, self._measure = load, measure

    def evaluate(self, candidates: Sequence[Candidate]) -> list[Outcome]:
        """Load all candidates, then measure those that ran."""
        inferences: list[Any] = []

        def load(candidate: Candidate) -> Mapping[str, float]:
            inferences.append(self._load(candidate))
            return {}

        outcomes = [attempt(partial(load, candidate)) for candidate in candidates]
        results = iter(self._measure(inferences) if inferences else ())
        return [
            outcome if isinstance(outcome, Failure) else attempt(partial(self.values, next(results)))
            for outcome in outcomes
        ]

    @abstractmethod
    def values(self, result: Any) -> Mapping[str, float]:
        """The metrics of one network, from what was measured of it."""


class LatencyEvaluator(SideBySideEvaluator):
    """Times networks in interleaved rounds."""

    def values(self, result: Any) -> Mapping[str, float]:
        """Name what was timed; see `moonas.hardware.latency.Latency`."""
        return {
            "latency_ms": result.best,
            "latency_median_ms": result.median,
            "latency_p90_ms": result.p90,
            "latency_uncertainty": result.uncertainty,
            **({} if result.wall is None else {"latency_wall_ms": result.wall}),
        }


class FrontLatencyEvaluator(LatencyEvaluator):
    """Times the networks of a front, and tells how well that went.

    Beside the metrics there are `repeatability` and `cpu_over_wall`, as of a `Latency`, and `timed_together`: the
    networks that were timed side by side, each counted that has figures.
    """

    def evaluate(self, candidates: Sequence[Candidate]) -> list[Outcome]:
        """Time all that can be loaded, and count them."""
        outcomes = super().evaluate(candidates)
        together = sum(not isinstance(outcome, Failure) for outcome in outcomes)
        return [each if isinstance(each, Failure) else {**each, TOGETHER: together} for each in outcomes]

    def values(self, result: Any) -> Mapping[str, float]:
        """Name what was timed, and how well."""
        how = {"repeatability": result.repeatability, "cpu_over_wall": result.cpu_over_wall}
        return {**super().values(result), **how}


class PredictedLatencyEvaluator(LookingEvaluator):
    """Predicts latencies on devices, the same ones whenever it is asked."""

    def __init__(self, metrics: Sequence[str], task: Task, models: Mapping[str, Any], trace: Tracer):
        """Take what predicts.

        Args:
            metrics: which latencies and coverages are wanted.
            task: of the networks.
            models: by the suffix that a device's metrics have; see `moonas.hardware.predict.LatencyModel`.
            trace: lists the operations of a module, given the shape of one input and the batch.
        """
        super().__init__(metrics, task, trace)
        self._models = models

    def look(self, network: BuiltNetwork) -> Mapping[str, float]:
        """Predict, from one trace for all devices of one batch."""
        found: dict[str, float] = {}
        for suffix, model in self._models.items():
            prediction = model.predict_operations(network.operations(model.batch))
            found |= {f"latency_ms{suffix}": prediction.latency_ms, f"coverage{suffix}": prediction.coverage}
        return {name: found[name] for name in self.metrics}
