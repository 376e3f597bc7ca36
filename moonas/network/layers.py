"""The layers of which convolutional blocks are made. Feature maps are (batch, channels, height, width) throughout."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn
from torch.nn import functional

from moonas.network.rounding import round_to_multiple
from moonas.network.staged_cnn import Norm, Squeeze

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": lambda: nn.ReLU(inplace=True),
    "relu6": lambda: nn.ReLU6(inplace=True),
    "hardswish": lambda: nn.Hardswish(inplace=True),
    "silu": lambda: nn.SiLU(inplace=True),
}
GATES: dict[str, Callable[[], nn.Module]] = {"sigmoid": nn.Sigmoid, "hard_sigmoid": nn.Hardsigmoid}


def convolution(
    inputs: int,
    outputs: int,
    kernel: int,
    *,
    stride: int = 1,
    groups: int = 1,
    activation: str | None = "relu",
    norm: Norm = Norm(),  # noqa: B008  # frozen
) -> nn.Sequential:
    """Convolution with same padding and no bias, batch normalisation and, if any, the activation."""
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs, eps=norm.eps, momentum=norm.momentum),
    ]
    if activation is not None:
        layers.append(ACTIVATIONS[activation]())
    return nn.Sequential(*layers)


class SqueezeExcite(nn.Module):
    """Weighs the channels by what all pixels together say (Hu et al., 2017, arXiv:1709.01507)."""

    def __init__(self, channels: int, inputs: int, ratio: float, squeeze: Squeeze):
        """Weigh `channels` in a block of `inputs` channels."""
        super().__init__()
        wanted = ratio * (channels if squeeze.of == "hidden" else inputs)
        squeezed = round_to_multiple(wanted, squeeze.divisor) if squeeze.divisor > 1 else max(1, round(wanted))
        self.weigh = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, squeezed, 1),
            ACTIVATIONS[squeeze.activation](),
            nn.Conv2d(squeezed, channels, 1),
            GATES[squeeze.gate](),
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Shape stays."""
        weighed: torch.Tensor = features * self.weigh(features)
        return weighed


class DropPath(nn.Module):
    """Leaves out a residual branch, for each image by itself, in training only (Huang et al., 2016, arXiv:1603.09382).

    What stays is scaled up, so that the expectation is the same.
    """

    def __init__(self, chance: float):
        super().__init__()
        self.chance = chance

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Shape stays."""
        if not self.training or self.chance == 0:
            return features
        shape = (features.shape[0], *(1 for _ in features.shape[1:]))
        kept = features.new_empty(shape).bernoulli_(1 - self.chance)
        return features * kept / (1 - self.chance)


class Resize(nn.Module):
    """Resizes images bilinearly, keeping their aspect."""

    def __init__(self, sides: Sequence[int], resolution: int):
        """Bring the shorter of two `sides` to `resolution` pixels."""
        super().__init__()
        self.sides = tuple(round(side * resolution / min(sides)) for side in sides)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(batch, channels, *) -> (batch, channels, *sides)."""
        return functional.interpolate(images, self.sides, mode="bilinear", align_corners=False)


def initialise(module: nn.Module) -> None:
    """Draw the weights of a convolutional network as its papers do.

    Convolutions from a normal distribution scaled by their fan-out (He et al., 2015, arXiv:1502.01852), linear layers
    with a deviation of 0.01, biases zero.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            fan_out = layer.weight[0, 0].numel() * layer.out_channels // layer.groups
            nn.init.normal_(layer.weight, std=(2 / fan_out) ** 0.5)
        elif isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=0.01)
        if isinstance(layer, nn.Conv2d | nn.Linear) and layer.bias is not None:
            nn.init.zeros_(layer.bias)
