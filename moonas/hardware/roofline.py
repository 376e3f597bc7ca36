"""Latency as a sum of costs: what is known of a device without a table of its kernels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import astuple, dataclass

import numpy as np

from moonas.hardware.kernels import Kernel
from moonas.hardware.trace import Operation

_MICROSECOND, _PICOSECOND = 1e-3, 1e-9
UNIT_MS = (_MICROSECOND,) * 2 + (_PICOSECOND,) * 5
"""The unit of each cost, in milliseconds."""


@dataclass(frozen=True)
class Work:
    """What a network asks of a device; each field has its cost in `Roofline`, in the same order.

    Attributes:
        calls: inferences.
        kernels: operations that the runtime does not compute with the one before.
        dense: multiply-adds of convolutions that are none of the following, grouped ones included.
        pointwise: multiply-adds of convolutions of 1x1.
        depthwise: multiply-adds of convolutions with a group for each channel.
        linear: multiply-adds of linear layers, of convolutions of a single pixel, and of other matrix products.
        bytes: that kernels read and write, weights included.
    """

    calls: int = 1
    kernels: int = 0
    dense: int = 0
    pointwise: int = 0
    depthwise: int = 0
    linear: int = 0
    bytes: int = 0


def work_of(kernels: Sequence[Kernel]) -> Work:
    """Add up what the kernels of one network do."""
    multiply_adds: Counter[str] = Counter()
    for step in (step for kernel in kernels for step in kernel.steps if step.multiply_adds):
        multiply_adds[_kind(step)] += step.multiply_adds
    return Work(kernels=len(kernels), bytes=sum(kernel.bytes for kernel in kernels), **multiply_adds)


def _kind(step: Operation) -> str:
    if step.kind != "convolution":
        return "linear"
    (_, channels, *pixels), (_, _, *window) = step.input_shapes[:2]
    if 1 < channels == dict(step.arguments)["groups"]:
        return "depthwise"
    if max(window) > 1:
        return "dense"
    return "pointwise" if max(pixels) > 1 else "linear"


@dataclass(frozen=True)
class Roofline:
    """What each part of a network adds to its latency on a device.

    Costs, and not speeds: where a fit finds that something costs nothing, its cost is 0.

    Attributes:
        call_us: an inference, whatever it computes, in microseconds.
        kernel_us: a kernel, in microseconds.
        dense_ps: a multiply-add of a dense convolution, in picoseconds.
        pointwise_ps: a multiply-add of a convolution of 1x1.
        depthwise_ps: a multiply-add of a convolution with a group for each channel.
        linear_ps: a multiply-add of a linear layer or another matrix product.
        byte_ps: a byte that a kernel reads or writes.
    """

    call_us: float = 0.0
    kernel_us: float = 0.0
    dense_ps: float = 0.0
    pointwise_ps: float = 0.0
    depthwise_ps: float = 0.0
    linear_ps: float = 0.0
    byte_ps: float = 0.0

    def latency_ms(self, kernels: Sequence[Kernel]) -> float:
        """Predict the latency of a network by its kernels, in milliseconds."""
        return self.work_ms(work_of(kernels))

    def work_ms(self, work: Work) -> float:
        """Predict the latency of this work, in milliseconds."""
        return float(np.dot(astuple(work), np.multiply(astuple(self), UNIT_MS)))
