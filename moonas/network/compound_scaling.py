"""Compound scaling: one network, wider, deeper and for larger images (Tan & Le, 2019, arXiv:1905.11946)."""

from __future__ import annotations

from dataclasses import replace
from math import ceil

from moonas.network.rounding import round_to_multiple
from moonas.network.staged_cnn import StagedCNN

_DIVISOR = 8


def scaled(network: StagedCNN, *, width: float = 1, depth: float = 1, resolution: int = 0) -> StagedCNN:
    """Scale a network by the rounding rules of EfficientNet.

    Args:
        network: the base.
        width: factor of all channel counts, which are rounded to multiples of 8; 1 leaves them as they are.
        depth: factor of the blocks of each stage, rounded up.
        resolution: pixels of the shorter side of the input; 0 takes it as it is.
    """

    def channels(count: int) -> int:
        return count if width == 1 or count == 0 else round_to_multiple(count * width, _DIVISOR)

    stages = (replace(stage, width=channels(stage.width), depth=ceil(stage.depth * depth)) for stage in network.stages)
    return replace(
        network,
        stem=replace(network.stem, width=channels(network.stem.width)),
        stages=tuple(stages),
        head=replace(network.head, width=channels(network.head.width), hidden=channels(network.head.hidden)),
        resolution=resolution,
    )
