"""The PyTorch modules of the staged CNN. Feature maps are (batch, channels, height, width) throughout."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import torch
from torch import nn

from moonas.network.architecture import Task
from moonas.network.staged_cnn import Stage, StagedCNN


def convolution(
    inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1, active: bool = True
) -> nn.Sequential:
    """Convolution with same padding and no bias, batch normalisation and, if `active`, ReLU."""
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    if active:
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)


class Residual(nn.Module):
    """Two convolutions beside a shortcut (He et al., 2015, arXiv:1512.03385, the basic block)."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int):
        super().__init__()
        self.body = nn.Sequential(
            convolution(inputs, outputs, kernel, stride=stride),
            convolution(outputs, outputs, kernel, active=False),
        )
        same = inputs == outputs and stride == 1
        self.shortcut = nn.Identity() if same else convolution(inputs, outputs, 1, stride=stride, active=False)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(batch, inputs, height, width) -> (batch, outputs, height / stride, width / stride)."""
        return torch.relu(self.body(features) + self.shortcut(features))


class InvertedResidual(nn.Module):
    """Expand, convolve each channel, project (Sandler et al., 2018, arXiv:1801.04381)."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int):
        super().__init__()
        hidden = inputs * expansion
        expand = [convolution(inputs, hidden, 1)] if expansion != 1 else []
        self.body = nn.Sequential(
            *expand,
            convolution(hidden, hidden, kernel, stride=stride, groups=hidden),
            convolution(hidden, outputs, 1, active=False),
        )
        self.has_shortcut = inputs == outputs and stride == 1

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(batch, inputs, height, width) -> (batch, outputs, height / stride, width / stride)."""
        projected: torch.Tensor = self.body(features)
        return features + projected if self.has_shortcut else projected


def _plain(inputs: int, outputs: int, stride: int, stage: Stage) -> nn.Module:
    return convolution(inputs, outputs, stage.kernel, stride=stride)


def _residual(inputs: int, outputs: int, stride: int, stage: Stage) -> nn.Module:
    return Residual(inputs, outputs, stage.kernel, stride)


def _separable(inputs: int, outputs: int, stride: int, stage: Stage) -> nn.Module:
    """Depthwise, then pointwise (Howard et al., 2017, arXiv:1704.04861)."""
    return nn.Sequential(
        convolution(inputs, inputs, stage.kernel, stride=stride, groups=inputs),
        convolution(inputs, outputs, 1),
    )


def _inverted_residual(inputs: int, outputs: int, stride: int, stage: Stage) -> nn.Module:
    return InvertedResidual(inputs, outputs, stage.kernel, stride, stage.expansion)


_BLOCKS: dict[str, Callable[[int, int, int, Stage], nn.Module]] = {
    "plain": _plain,
    "residual": _residual,
    "separable": _separable,
    "inverted_residual": _inverted_residual,
}


def _stage(inputs: int, stage: Stage) -> nn.Sequential:
    block = _BLOCKS[stage.block]
    first = block(inputs, stage.width, stage.stride, stage)
    return nn.Sequential(first, *(block(stage.width, stage.width, 1, stage) for _ in range(stage.depth - 1)))


def build_staged_cnn(architecture: StagedCNN, task: Task) -> nn.Sequential:
    """Build the module: (batch, *task.input_shape) -> logits (batch, task.classes)."""
    stem, head_width = architecture.stem, architecture.head_width
    layers = OrderedDict[str, nn.Module]()
    layers["stem"] = convolution(task.input_shape[0], stem.width, stem.kernel, stride=stem.stride)
    width = stem.width
    for i, stage in enumerate(architecture.stages):
        layers[f"stage{i}"] = _stage(width, stage)
        width = stage.width
    if head_width:
        layers["head"] = convolution(width, head_width, 1)
        width = head_width
    layers["pool"] = nn.AdaptiveAvgPool2d(1)
    layers["flatten"] = nn.Flatten()
    layers["classifier"] = nn.Linear(width, task.classes)
    return nn.Sequential(layers)
