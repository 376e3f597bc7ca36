"""Convolutional networks by stages: a stem, stages of equal blocks, a head."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar

from moonas.errors import EncodingError
from moonas.network.architecture import Architecture, Task
from moonas.spec.staged_cnn import ACTIVATIONS, BLOCKS, USES

if TYPE_CHECKING:
    from torch import nn


def _check_convolution(part: Any, *fields: str) -> None:
    """Refuse sizes that no convolution with same padding has."""
    for field in fields:
        value = getattr(part, field)
        if not isinstance(value, int) or value < 1 or (field == "kernel" and value % 2 == 0):
            kind = "an odd number" if field == "kernel" else "a whole number"
            raise EncodingError(f"{field} must be {kind} of at least 1, is {value!r}")


def _check_activation(name: str) -> None:
    if name not in ACTIVATIONS:
        raise EncodingError(f"activation must be one of {', '.join(ACTIVATIONS)}, is {name!r}")


@dataclass(frozen=True)
class Stem:
    """The first convolution.

    Attributes:
        max_pool: whether a 3x3 max pooling of stride 2 follows.

    Raises:
        EncodingError: if no such convolution can be built.
    """

    width: int
    kernel: int = 3
    stride: int = 1
    activation: str = "relu"
    max_pool: bool = False

    def __post_init__(self) -> None:
        _check_convolution(self, "width", "kernel", "stride")
        _check_activation(self.activation)


@dataclass(frozen=True)
class Stage:
    """`depth` blocks of one kind and width, of which the first takes the stride.

    Attributes:
        block: one of `moonas.spec.staged_cnn.BLOCKS`.
        expansion: hidden over input channels of inverted residual blocks.
        bottleneck_ratio: hidden over output channels of bottleneck blocks; see `bottleneck_width`.
        groups: of the middle convolution of bottleneck blocks.
        squeeze_ratio: channels of the squeeze-excite layer over those that `Squeeze.of` names; 0 for none.

    What the kind of block does not use must have its default, so that equal stages are equal.

    Raises:
        EncodingError: if no such stage can be built.
    """

    block: str
    depth: int
    width: int
    kernel: int
    stride: int
    expansion: float = 1
    bottleneck_ratio: float = 0.25
    groups: int = 1
    squeeze_ratio: float = 0
    activation: str = "relu"

    def __post_init__(self) -> None:
        if self.block not in BLOCKS:
            raise EncodingError(f"block must be one of {', '.join(BLOCKS)}, is {self.block!r}")
        _check_convolution(self, "depth", "width", "kernel", "stride", "groups")
        _check_activation(self.activation)
        for field in ("expansion", "bottleneck_ratio", "squeeze_ratio"):
            value = getattr(self, field)
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not number or not (0 < value <= 1024 or (value == 0 and field == "squeeze_ratio")):
                raise EncodingError(f"{field} must be a number above 0 and at most 1024, is {value!r}")
        for field, default in UNUSED.items():
            if field not in USES[self.block] and getattr(self, field) != default:
                raise EncodingError(f"{field} must be {default} for {self.block} blocks, is {getattr(self, field)}")


def bottleneck_width(width: int, ratio: float, groups: int) -> int:
    """The hidden channels of bottleneck blocks: `ratio` of the output's `width`, in whole `groups`."""
    return groups * max(1, round(width * ratio / groups))


UNUSED: Mapping[str, Any] = {
    field.name: field.default
    for field in fields(Stage)
    if field.default is not MISSING and any(field.name in uses for uses in USES.values())
}
"""What those fields of a stage that only some kinds of blocks use are for the other kinds."""


@dataclass(frozen=True)
class Head:
    """What follows the stages: a convolution, average pooling, linear layers.

    Attributes:
        width: channels of a 1x1 convolution before the pooling; 0 for none.
        hidden: outputs of a linear layer before the last; 0 for none.
        activation: of both.
        dropout: before the last layer.
    """

    width: int = 0
    hidden: int = 0
    activation: str = "relu"
    dropout: float = 0

    def __post_init__(self) -> None:
        _check_activation(self.activation)
        for field in ("width", "hidden"):
            if not isinstance(getattr(self, field), int) or getattr(self, field) < 0:
                raise EncodingError(f"{field} of the head must be a whole number, is {getattr(self, field)!r}")


@dataclass(frozen=True)
class Squeeze:
    """What squeeze-excite layers have in common (Hu et al., 2017, arXiv:1709.01507).

    Attributes:
        of: the channels that the ratio refers to, those of the block's `input` or the `hidden` ones.
        divisor: the squeezed channels are rounded to a multiple of it.
        activation: between the two layers.
        gate: the last function, `sigmoid` or `hard_sigmoid`.
    """

    of: str = "input"
    divisor: int = 1
    activation: str = "relu"
    gate: str = "sigmoid"

    def __post_init__(self) -> None:
        _check_activation(self.activation)
        if self.of not in ("input", "hidden"):
            raise EncodingError(f"squeeze must be of input or hidden, is of {self.of!r}")
        if self.gate not in ("sigmoid", "hard_sigmoid"):
            raise EncodingError(f"gate must be sigmoid or hard_sigmoid, is {self.gate!r}")


@dataclass(frozen=True)
class Norm:
    """The batch normalisation throughout."""

    eps: float = 1e-5
    momentum: float = 0.1


@dataclass(frozen=True)
class StagedCNN(Architecture):
    """A staged convolutional network.

    Attributes:
        resolution: pixels of the shorter side, to which the network resizes its input; 0 takes it as it is.
        drop_path: the chance that the last residual block is left out in training; it grows from 0 with the depth
            (stochastic depth, Huang et al., 2016, arXiv:1603.09382).
        zero_gamma: whether residual blocks begin as identities (Goyal et al., 2017, arXiv:1706.02677).
    """

    stem: Stem
    stages: tuple[Stage, ...]
    head: Head = Head()
    resolution: int = 0
    drop_path: float = 0
    zero_gamma: bool = False
    norm: Norm = Norm()
    squeeze: Squeeze = Squeeze()

    family: ClassVar[str] = "staged_cnn"

    def build(self, task: Task) -> nn.Module:
        """Build the network; see `Architecture.build`."""
        from moonas.network.blocks import build_staged_cnn  # torch

        self._check_strides(task)
        return build_staged_cnn(self, task)

    def _check_strides(self, task: Task) -> None:
        side = smallest = self.resolution or task.side
        for place, stride in (
            ("stem", self.stem.stride),
            *((("max pooling", 2),) if self.stem.max_pool else ()),
            *((f"stage {i}", s.stride) for i, s in enumerate(self.stages)),
        ):
            if stride > side:
                raise EncodingError(
                    f"an input of {smallest} pixels is too small: {side} reach the {place}, whose stride is {stride}"
                )
            side = -(-side // stride)
