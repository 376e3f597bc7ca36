"""What a device profile may say: how the numbers of a device come about."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from moonas import content
from moonas.spec.document import read_document
from moonas.spec.validation import MisplacedError, SpecModel, validate


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
    round_ms: Annotated[float, Field(gt=0, le=60_000, allow_inf_nan=False)] = 15.0

    @model_validator(mode="after")
    def _check_runtime(self) -> DeviceSpec:
        """Refuse what no runtime here can do."""
        if self.processor == "cuda" and self.runtime == "onnxruntime":
            raise MisplacedError(("runtime",), "onnxruntime measures on cpu only; for cuda set runtime: torch")
        return self


def load_device_tree(name: str) -> dict[str, Any]:
    """Read a device profile by path or shipped name, checked, as plain values to which a problem may add its own.

    Raises:
        SpecError: if the file is wrong.
        UnknownNameError: if there is no such file.
    """
    path = content.find("hw_profiles", name)
    document = read_document(path)
    document.tree.setdefault("name", Path(path).stem)
    return validate(DeviceSpec, document.tree, document).model_dump()
