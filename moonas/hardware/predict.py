"""Latencies predicted from what is known of a device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from moonas.errors import MoonasError
from moonas.hardware.kernels import kernels_of
from moonas.hardware.roofline import Roofline
from moonas.hardware.table import KernelTable
from moonas.hardware.trace import Operation, trace


@dataclass(frozen=True)
class Prediction:
    """The latency of a network on a device.

    Attributes:
        latency_ms: of one inference of a batch.
        coverage: share of it that is of kernels that were measured; 1 where no table of them is used.
    """

    latency_ms: float
    coverage: float


@dataclass(frozen=True)
class LatencyModel:
    """Predicts latencies on one device.

    Attributes:
        batch: inputs of one inference.
        fusion: kinds of operations that the runtime computes with the one before.
        table: kernels that were measured, or the costs of what networks do.
        scale: by which the sum of kernels is multiplied.
    """

    batch: int
    fusion: tuple[str, ...]
    table: KernelTable | Roofline
    scale: float = 1.0

    def predict(self, module: nn.Module, input_shape: Sequence[int]) -> Prediction:
        """Predict the latency of a module that takes (batch, *input_shape)."""
        return self.predict_operations(trace(module, input_shape, batch=self.batch))

    def predict_operations(self, operations: Sequence[Operation]) -> Prediction:
        """Predict the latency of a network that was traced with the batch of the device.

        Raises:
            MoonasError: if the table does not tell: a search would take what costs nothing for the best.
        """
        kernels = kernels_of(operations, self.fusion)
        if isinstance(self.table, Roofline):
            return Prediction(self.scale * self.table.latency_ms(kernels), 1.0)
        found = self.table.sum(kernels)
        if found.latency_ms <= 0:
            raise MoonasError(
                f"the latency cannot be predicted: the {len(kernels)} kernels add up to {1000 * found.latency_ms:.3g} "
                "microseconds, so noisy is their table; measure it again"
            )
        return Prediction(self.scale * found.latency_ms, found.coverage)
