"""What a device profile may say: how the numbers of a device come about."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from moonas import content
from moonas.spec.document import read_document
from moonas.spec.validation import Mistake, SpecModel, validate


class DeviceSpec(SpecModel):
    """A device on which latency is measured live.

    Attributes:
        processor: `cpu`, or `cuda` for the first NVIDIA GPU.
        runtime: what runs the network: ONNX Runtime (CPU only) or eager PyTorch.
        threads: CPU threads of one inference.
        batch: inputs of one inference.
        rounds: how often a batch of candidates is visited, in a new random order each time.
        round_ms: how long one candidate is timed in one round, at least three calls.
    """

    name: str = "here"
    kind: Literal["measured"] = "measured"
    processor: Literal["cpu", "cuda"] = "cpu"
    runtime: Literal["onnxruntime", "torch"] = "onnxruntime"
    threads: Annotated[int, Field(ge=1, le=1024)] = 1
    batch: Annotated[int, Field(ge=1, le=65536)] = 1
    rounds: Annotated[int, Field(ge=2, le=1000)] = 8
    round_ms: Annotated[float, Field(gt=0, le=60_000)] = 15.0

    def mistakes(self) -> Iterator[Mistake]:
        """Refuse what no runtime here can do."""
        if self.processor == "cuda" and self.runtime == "onnxruntime":
            yield ("runtime",), "onnxruntime measures on cpu only; for cuda set runtime: torch"


def load_device_tree(name: str, *, beside: Path = Path()) -> dict[str, Any]:
    """Read a device profile by path or shipped name, checked, as plain values to which a problem may add its own.

    Raises:
        SpecError: if the file is wrong.
        UnknownNameError: if there is no such file.
    """
    path = content.find("hw_profiles", name, beside=beside)
    document = read_document(path)
    document.tree.setdefault("name", path.stem)
    return validate(DeviceSpec, document.tree, document).model_dump()
