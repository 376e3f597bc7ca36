"""What an encoding file of the family `regnet` may say."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from moonas.spec.family import EncodingSpec
from moonas.spec.gene import gene, number, whole
from moonas.spec.staged_cnn import Kernel, Stride, Width
from moonas.spec.validation import SpecModel


class RegNetStemSpec(SpecModel):
    """The first convolution."""

    width: Width = 32
    kernel: Kernel = 3
    stride: Stride = 2


class RegNetSpec(EncodingSpec):
    """The whole of an encoding file of the family `regnet`; see `moonas.network.regnet.regnet_stages`."""

    family: Literal["regnet"]
    stem: RegNetStemSpec = RegNetStemSpec()
    depth: Annotated[Any, gene(whole(1, 200))]
    initial_width: Annotated[Any, gene(whole(8, 4096))]
    slope: Annotated[Any, gene(number(0, 4096))]
    width_multiplier: Annotated[Any, gene(number(1.1, 8))]
    group_width: Annotated[Any, gene(whole(1, 4096))]
    squeeze_ratio: Annotated[Any, gene(number(0, 1))] = 0
    resolution: Annotated[Any, gene(whole(0, 4096))] = 0
