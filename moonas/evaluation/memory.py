"""Peak memory as a metric: what one inference holds at once, computed and not run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from moonas.evaluation.evaluator import Candidate, Evaluator, Outcome, attempt, build
from moonas.evaluation.static import stored_bytes
from moonas.network.architecture import Task


class MemoryEvaluator(Evaluator):
    """Adds the weights to the most that activations take at once."""

    def __init__(self, metrics: Sequence[str], task: Task, activation_bytes: Callable[[Any, Sequence[int]], int]):
        """Take what computes activations.

        Args:
            metrics: those of `peak_memory_mb` and `peak_activations_mb` that are wanted.
            task: of the networks.
            activation_bytes: of a module, given the shape of one input.
        """
        self.metrics = tuple(metrics)
        self._task, self._activation_bytes = task, activation_bytes

    def evaluate(self, candidates: Sequence[Candidate]) -> list[Outcome]:
        """Build each candidate and compute its peak."""
        return [attempt(partial(self._compute, candidate)) for candidate in candidates]

    def _compute(self, candidate: Candidate) -> Mapping[str, float]:
        module = build(candidate, self._task).eval()
        activations = self._activation_bytes(module, self._task.input_shape)
        found = {
            "peak_activations_mb": activations / 1e6,
            "peak_memory_mb": (stored_bytes(module) + activations) / 1e6,
        }
        return {name: found[name] for name in self.metrics}
