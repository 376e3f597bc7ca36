"""Energy of an inference, modelled where there is no meter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from moonas.hardware.energy import Energy
from moonas.hardware.kernels import kernels_of
from moonas.hardware.trace import trace

_MJ_PER_PJ = 1e-9


@dataclass(frozen=True)
class EnergyModel:
    """Energy from what a network computes and moves, and how long that takes.

    `multiply_add_pj` x multiply-adds + `byte_pj` x bytes + `static_w` x latency. Without constants measured on the very
    device its joules mean nothing: instructions and memories cost 10 to 100 times what bare arithmetic does. It tells
    networks that compute or move more from those that do less.

    Attributes:
        multiply_add_pj: of one multiply-add, in picojoules.
        byte_pj: of one byte that a kernel reads or writes.
        static_w: drawn whatever is computed, in watts.
        fusion: kinds of operations that the runtime computes with the one before: it moves nothing between them.
        batch: inputs of one inference.
    """

    multiply_add_pj: float
    byte_pj: float
    static_w: float
    fusion: tuple[str, ...] = ()
    batch: int = 1

    def estimate(self, module: nn.Module, input_shape: Sequence[int], latency_ms: float) -> Energy:
        """Model one inference.

        Args:
            module: takes (batch, *input_shape).
            input_shape: of one input, as (channels, height, width).
            latency_ms: of one inference.
        """
        kernels = kernels_of(trace(module, input_shape, batch=self.batch), self.fusion)
        picojoules = sum(self.multiply_add_pj * each.multiply_adds + self.byte_pj * each.bytes for each in kernels)
        above_idle_mj = picojoules * _MJ_PER_PJ
        energy_mj = above_idle_mj + self.static_w * latency_ms
        return Energy(
            energy_mj=energy_mj,
            above_idle_mj=above_idle_mj,
            power_w=energy_mj / latency_ms,
            uncertainty=None,
        )
