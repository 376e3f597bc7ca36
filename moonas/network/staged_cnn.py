"""Convolutional networks by stages: a stem, stages of equal blocks, a head."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from moonas.errors import EncodingError
from moonas.network.architecture import Architecture, Task
from moonas.spec.encoding import BLOCKS

if TYPE_CHECKING:
    from torch import nn


def _check_convolution(part: Any, fields: tuple[str, ...]) -> None:
    """Refuse sizes that no convolution with same padding has."""
    for field in fields:
        value = getattr(part, field)
        if not isinstance(value, int) or value < 1 or (field == "kernel" and value % 2 == 0):
            kind = "an odd number" if field == "kernel" else "a whole number"
            raise EncodingError(f"{field} must be {kind} of at least 1, is {value!r}")


@dataclass(frozen=True)
class Stem:
    """The first convolution.

    Raises:
        EncodingError: if no such convolution can be built.
    """

    width: int
    kernel: int = 3
    stride: int = 1

    def __post_init__(self) -> None:
        _check_convolution(self, ("width", "kernel", "stride"))


@dataclass(frozen=True)
class Stage:
    """`depth` blocks of one kind and width, of which the first takes the stride.

    Attributes:
        block: `plain`, `residual`, `separable` or `inverted_residual`.
        expansion: of inverted residual blocks; always 1 for the others, which have none.

    Raises:
        EncodingError: if no such stage can be built.
    """

    block: str
    depth: int
    width: int
    kernel: int
    stride: int
    expansion: int = 1

    def __post_init__(self) -> None:
        if self.block not in BLOCKS:
            raise EncodingError(f"block must be one of {', '.join(BLOCKS)}, is {self.block!r}")
        _check_convolution(self, ("depth", "width", "kernel", "stride", "expansion"))
        if self.expansion != 1 and self.block != "inverted_residual":
            raise EncodingError(f"expansion must be 1 for {self.block} blocks, is {self.expansion}")


@dataclass(frozen=True)
class StagedCNN(Architecture):
    """A staged convolutional network.

    Attributes:
        head_width: channels of a 1x1 convolution before the pooling; 0 for none.
    """

    stem: Stem
    stages: tuple[Stage, ...]
    head_width: int = 0

    family: ClassVar[str] = "staged_cnn"

    def build(self, task: Task) -> nn.Module:
        """Build the network; see `Architecture.build`."""
        from moonas.network.blocks import build_staged_cnn  # torch

        self._check_strides(task)
        return build_staged_cnn(self, task)

    def _check_strides(self, task: Task) -> None:
        side = smallest = min(task.input_shape[1:])
        for place, stride in (
            ("stem", self.stem.stride),
            *((f"stage {i}", s.stride) for i, s in enumerate(self.stages)),
        ):
            if stride > side:
                raise EncodingError(
                    f"an input of {smallest} pixels is too small: {side} reach the {place}, whose stride is {stride}"
                )
            side = -(-side // stride)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> StagedCNN:
        """Rebuild the description; see `Architecture.from_dict`."""
        return cls(
            stem=Stem(**fields["stem"]),
            stages=tuple(Stage(**stage) for stage in fields["stages"]),
            head_width=fields.get("head_width", 0),
        )
