"""Transformers for images by patches and for sequences by steps (Dosovitskiy et al., 2020, arXiv:2010.11929)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from moonas.errors import EncodingError
from moonas.network.architecture import Architecture, Task
from moonas.spec.transformer import POOLINGS

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Layer:
    """One layer.

    Attributes:
        heads: of the attention.
        mlp_ratio: hidden units of the perceptron over the embedding width.
    """

    heads: int
    mlp_ratio: float = 4


@dataclass(frozen=True)
class Transformer(Architecture):
    """A transformer encoder, layer by layer.

    The task decides what it reads: images (channels, height, width) in square patches, or sequences (length, channels)
    in runs of steps. What does not fill a patch is padded with zeros.

    Attributes:
        patch: pixels of a side, or steps.
        width: of the embedding.
        head_width: of each head; heads times it need not be the embedding width.
        layers: from the input on.
        pooling: `class_token` or `mean` of all tokens.
        dropout: after the embedding, the attention and both layers of the perceptrons.
        drop_path: the chance that the last residual branches are left out in training; it grows from 0 with the depth.

    Raises:
        EncodingError: if no such network can be built.
    """

    patch: int
    width: int
    layers: tuple[Layer, ...]
    head_width: int = 64
    pooling: str = "class_token"
    dropout: float = 0
    drop_path: float = 0

    family: ClassVar[str] = "transformer"

    def __post_init__(self) -> None:
        if self.pooling not in POOLINGS:
            raise EncodingError(f"pooling must be one of {', '.join(POOLINGS)}, is {self.pooling!r}")
        heads = (("heads", layer.heads) for layer in self.layers)
        for name, value in (("patch", self.patch), ("width", self.width), ("head_width", self.head_width), *heads):
            if not isinstance(value, int) or value < 1:
                raise EncodingError(f"{name} must be a whole number of at least 1, is {value!r}")

    def build(self, task: Task) -> nn.Module:
        """Build the network; see `Architecture.build`."""
        from moonas.network.attention import build_transformer  # torch

        smallest = min(task.input_shape[1:] if len(task.input_shape) == 3 else task.input_shape[:1])
        if smallest < self.patch:
            raise EncodingError(f"an input of {smallest} pixels or steps is too small for patches of {self.patch}")
        return build_transformer(self, task)
