"""The statistics of batch normalisation after a short training."""

from __future__ import annotations

import math

import torch
from torch import nn

EVALUATION_BATCH = 512
"""Images that are evaluated together, for the sake of memory."""


def recalibrate(module: nn.Module, images: torch.Tensor) -> None:
    """Set the statistics of batch normalisation to those of `images` under the final weights.

    Running averages lag behind the weights, and after a short training they still remember their initial values (Wu &
    Johnson, 2021, arXiv:2105.07576).

    Args:
        module: with any batch normalisation layers, or none.
        images: (n, channels, height, width).
    """
    norms = [layer for layer in module.modules() if isinstance(layer, nn.modules.batchnorm._BatchNorm)]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # plain averages over the batches
    module.eval()  # without dropout, as the statistics will be used
    for norm in norms:
        norm.train()
    with torch.no_grad():
        for batch in torch.chunk(images, math.ceil(len(images) / EVALUATION_BATCH)):  # of like size
            module(batch)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
