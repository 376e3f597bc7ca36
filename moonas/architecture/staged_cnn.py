"""Convolutional networks by stages: a stem, stages of equal blocks, a head."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from moonas.architecture.architecture import Architecture, Task
from moonas.errors import EncodingError

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Stem:
    """The first convolution."""

    width: int
    kernel: int = 3
    stride: int = 1


@dataclass(frozen=True)
class Stage:
    """`depth` blocks of one kind and width, of which the first takes the stride.

    Attributes:
        block: `plain`, `residual`, `separable` or `inverted_residual`.
        expansion: of inverted residual blocks; always 1 for the others, which have none.
    """

    block: str
    depth: int
    width: int
    kernel: int
    stride: int
    expansion: int = 1


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
        from moonas.architecture.blocks import build_staged_cnn  # torch

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
            head_width=fields["head_width"],
        )
