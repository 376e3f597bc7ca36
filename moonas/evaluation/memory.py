"""Peak memory as a metric: what one inference holds at once, computed and not run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from moonas.evaluation.looking import BuiltNetwork, LookingEvaluator, Tracer
from moonas.evaluation.static import stored_bytes
from moonas.network.architecture import Task


class MemoryEvaluator(LookingEvaluator):
    """Adds the weights to the most that activations take at once."""

    def __init__(
        self,
        metrics: Sequence[str],
        task: Task,
        activation_bytes: Callable[..., int],
        trace: Tracer,
    ):
        """Take what computes activations.

        Args:
            metrics: those of `peak_memory_mb` and `peak_activations_mb` that are wanted.
            task: of the networks.
            activation_bytes: of a module, given the shape of one input, and by name what traces it.
            trace: lists the operations of a module.
        """
        super().__init__(metrics, task, trace)
        self._activation_bytes = activation_bytes

    def look(self, network: BuiltNetwork) -> Mapping[str, float]:
        """Compute the peak."""

        def operations(module: Any, input_shape: Sequence[int], *, batch: int) -> Sequence[Any]:
            return network.operations(batch)

        activations = self._activation_bytes(network.module, self.task.input_shape, trace=operations)
        found = {
            "peak_activations_mb": activations / 1e6,
            "peak_memory_mb": (stored_bytes(network.module) + activations) / 1e6,
        }
        return {name: found[name] for name in self.metrics}
