"""Energy of an inference, modelled where there is no meter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from moonas.hardware.energy import Energy
from moonas.hardware.kernels import kernels_of
from moonas.hardware.trace import Operation

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
    """

    multiply_add_pj: float
    byte_pj: float
    static_w: float
    fusion: tuple[str, ...] = ()

    def estimate(self, operations: Sequence[Operation], latency_ms: float) -> Energy:
        """Model one inference.

        Args:
            operations: of a network that was traced with the batch of the device.
            latency_ms: of one inference.
        """
        kernels = kernels_of(operations, self.fusion)
        picojoules = sum(self.multiply_add_pj * each.multiply_adds + self.byte_pj * each.bytes for each in kernels)
        above_idle_mj = picojoules * _MJ_PER_PJ
        energy_mj = above_idle_mj + self.static_w * latency_ms
        return Energy(
            energy_mj=energy_mj,
            above_idle_mj=above_idle_mj,
            power_w=energy_mj / latency_ms,
            uncertainty=None,
        )
