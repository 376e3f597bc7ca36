"""What runs a network, and how it is timed there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class DeviceProfile:
    """A device whose latency is measured live.

    Attributes:
        name: of the profile.
        kind: how its numbers come about.
        processor: `cpu`, or `cuda` for the first GPU.
        runtime: `onnxruntime` or `torch`.
        threads: CPU threads of one inference.
        batch: inputs of one inference.
        rounds: visits to each candidate.
        round_ms: duration of a visit.
    """

    name: str
    kind: Literal["measured"]
    processor: Literal["cpu", "cuda"]
    runtime: Literal["onnxruntime", "torch"]
    threads: int
    batch: int
    rounds: int
    round_ms: float

    def describe(self) -> str:
        """How a latency of this device is to be read, for axes and reports."""
        if self.processor == "cuda":
            return f"{self.kind}, PyTorch on CUDA, batch {self.batch}"
        runtime = "ONNX Runtime" if self.runtime == "onnxruntime" else "PyTorch"
        threads = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        return f"{self.kind}, {runtime} on CPU, {threads}, batch {self.batch}"
