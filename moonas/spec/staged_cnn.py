"""What an encoding file of the family `staged_cnn` may say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import Field

from moonas.spec.family import EncodingSpec
from moonas.spec.gene import flag, gene, number, one_of, whole
from moonas.spec.validation import LISTED, SOME, SpecModel

USES: dict[str, frozenset[str]] = {
    "plain": frozenset(),
    "residual": frozenset({"squeeze_ratio"}),
    "bottleneck": frozenset({"bottleneck_ratio", "groups", "squeeze_ratio"}),
    "separable": frozenset(),
    "inverted_residual": frozenset({"expansion", "squeeze_ratio"}),
    "fused_inverted_residual": frozenset({"expansion", "squeeze_ratio"}),
}
"""The kinds of blocks, and which of the fields that not all of them use each one uses."""
BLOCKS = tuple(USES)
ACTIVATIONS = ("relu", "relu6", "hardswish", "silu")

Width = Annotated[Any, gene(whole(1, 65536))]
WidthOrNone = Annotated[Any, gene(whole(0, 65536))]
Kernel = Annotated[Any, gene(whole(1, 31, odd=True))]
Stride = Annotated[Any, gene(whole(1, 4))]
Activation = Annotated[Any, gene(one_of(*ACTIVATIONS))]
Chance = Annotated[Any, gene(number(0, 0.95))]


class StemSpec(SpecModel):
    """The first convolution, and whether a 3x3 max pooling of stride 2 follows."""

    width: Width
    kernel: Kernel = 3
    stride: Stride = 1
    activation: Activation = "relu"
    max_pool: Annotated[Any, gene(flag)] = False


class StageSpec(SpecModel):
    """Blocks of one kind and width; the first one takes the stride. A depth of 0 leaves the stage out."""

    block: Annotated[Any, gene(one_of(*BLOCKS))]
    depth: Annotated[Any, gene(whole(0, 1000))]
    width: Width
    kernel: Kernel = 3
    stride: Stride = 2
    expansion: Annotated[Any, gene(number(0.25, 16))] = 4
    bottleneck_ratio: Annotated[Any, gene(number(0.0625, 4))] = 0.25
    groups: Annotated[Any, gene(whole(1, 1024))] = 1
    squeeze_ratio: Annotated[Any, gene(number(0, 1))] = 0
    activation: Activation = "relu"

    def pruned(self) -> Self:
        """The same, fields that none of its kinds of blocks uses at their defaults."""
        blocks = self.block if isinstance(self.block, tuple) else (self.block,)
        used = frozenset().union(*(USES[block] for block in blocks))
        unused = frozenset().union(*USES.values()) - used
        return self.model_copy(update={name: type(self).model_fields[name].default for name in unused})


class HeadSpec(SpecModel):
    """What follows the stages: a 1x1 convolution of `width`, pooling, a linear layer of `hidden`, another one."""

    width: WidthOrNone = 0
    hidden: WidthOrNone = 0
    activation: Activation = "relu"
    dropout: Chance = 0


class NormSpec(SpecModel):
    """Batch normalisation throughout the network."""

    eps: Annotated[float, Field(gt=0, le=1)] = 1e-5
    momentum: Annotated[float, Field(gt=0, le=1)] = 0.1


class SqueezeSpec(SpecModel):
    """What the squeeze-excite layers of a network have in common."""

    of: Literal["input", "hidden"] = "input"
    divisor: Annotated[int, Field(ge=1, le=1024)] = 1
    activation: Literal["relu", "relu6", "hardswish", "silu"] = "relu"
    gate: Literal["sigmoid", "hard_sigmoid"] = "sigmoid"


class StagedCNNSpec(EncodingSpec):
    """The whole of an encoding file of the family `staged_cnn`."""

    family: Literal["staged_cnn"]
    stem: StemSpec
    stages: Annotated[tuple[StageSpec, ...], LISTED, SOME]
    head: HeadSpec = HeadSpec()
    resolution: Annotated[Any, gene(whole(0, 4096))] = 0
    drop_path: Chance = 0
    zero_gamma: Annotated[Any, gene(flag)] = False
    norm: NormSpec = NormSpec()
    squeeze: SqueezeSpec = SqueezeSpec()

    def tree(self) -> dict[str, Any]:
        """The choices; see `EncodingSpec.tree`."""
        tree = super().tree()
        return {**tree, "stages": list(tree["stages"])}

    def narrowed(self, choices: Mapping[str, Sequence[Any]]) -> Self:
        """The same, but for the choices of some genes; stages that are never there go, and fields without effect."""
        smaller = super().narrowed(choices)
        stages = [stage.pruned() for stage in smaller.stages if stage.depth != 0]
        return smaller.model_copy(update={"stages": tuple(stages or smaller.stages[:1])})
