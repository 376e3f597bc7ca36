"""What runs a network, and how it is timed there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

_RUNTIMES = {"onnxruntime": "ONNX Runtime", "torch": "PyTorch", "ncnn": "ncnn"}

FUSION: Mapping[str, tuple[str, ...]] = {
    "onnxruntime": (
        "native_batch_norm",
        "relu",
        "leaky_relu",
        "hardtanh",
        "hardswish",
        "hardsigmoid",
        "sigmoid",
        "silu",
        "gelu",
        "add",
    ),
    "torch": (),
}
"""Kinds of operations that a runtime computes with the one before, or that are timed with it, as if it did."""


@dataclass(frozen=True)
class DeviceProfile:
    """A device, and how networks run on it.

    Attributes:
        name: of the profile.
        kind: how its numbers come about.
        processor: `cpu`, or `cuda` for the first GPU.
        runtime: `onnxruntime` or `torch`; others only where latencies are predicted.
        threads: CPU threads of one inference.
        batch: inputs of one inference.
        rounds: visits to each candidate.
        round_ms: duration of a visit.
        fusion: kinds of operations that the runtime computes with the one before.
    """

    name: str
    kind: Literal["measured", "fitted", "spec-sheet"]
    processor: Literal["cpu", "cuda"]
    runtime: Literal["onnxruntime", "torch", "ncnn"]
    threads: int
    batch: int
    rounds: int
    round_ms: float
    fusion: tuple[str, ...] = ()

    def describe(self) -> str:
        """How a latency that was measured on this device is to be read, for axes and reports."""
        return f"{self.kind}, {self.place}"

    @property
    def place(self) -> str:
        """What runs networks, and how many inputs at once, in words."""
        runtime = _RUNTIMES[self.runtime]
        if self.processor == "cuda":
            return f"{runtime} on CUDA, batch {self.batch}"
        threads = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        return f"{runtime} on CPU, {threads}, batch {self.batch}"
