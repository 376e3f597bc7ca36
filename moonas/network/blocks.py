"""The blocks of staged CNNs, and whole networks of them. Feature maps are (batch, channels, height, width) throughout.

Each block maps (batch, inputs, height, width) to (batch, stage.width, height / stride, width / stride), rounded up.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import nn

from moonas.network.architecture import Task
from moonas.network.layers import ACTIVATIONS, DropPath, Resize, SqueezeExcite, convolution, initialise
from moonas.network.staged_cnn import Stage, StagedCNN, bottleneck_width


class Block(nn.Module):
    """A body, beside a shortcut if `shortcut` is not None, and an activation or none after their sum."""

    def __init__(self, body: list[nn.Module], shortcut: nn.Module | None, drop_path: float, activation: str | None):
        super().__init__()
        self.body = nn.Sequential(*body)
        self.shortcut = shortcut
        self.drop_path = DropPath(drop_path)
        self.activation = nn.Identity() if activation is None else ACTIVATIONS[activation]()

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """See the head of this file."""
        changed: torch.Tensor = self.body(features)
        if self.shortcut is not None:
            changed = self.shortcut(features) + self.drop_path(changed)
        activated: torch.Tensor = self.activation(changed)
        return activated


class BlockMaker:
    """Makes the blocks of a network, with its conventions."""

    def __init__(self, network: StagedCNN):
        self._network = network
        self._convolution = partial(convolution, norm=network.norm)

    def make(self, inputs: int, stride: int, stage: Stage, drop_path: float = 0) -> nn.Module:
        """Make one block of a stage, the first of the path that it drops."""
        makers: dict[str, Callable[[int, int, Stage, float], nn.Module]] = {
            "plain": self._plain,
            "residual": self._residual,
            "bottleneck": self._bottleneck,
            "separable": self._separable,
            "inverted_residual": self._inverted_residual,
            "fused_inverted_residual": self._fused_inverted_residual,
        }
        return makers[stage.block](inputs, stride, stage, drop_path)

    def _plain(self, inputs: int, stride: int, stage: Stage, drop_path: float) -> nn.Module:
        return self._convolution(inputs, stage.width, stage.kernel, stride=stride, activation=stage.activation)

    def _separable(self, inputs: int, stride: int, stage: Stage, drop_path: float) -> nn.Module:
        """Depthwise, then pointwise (Howard et al., 2017, arXiv:1704.04861)."""
        return nn.Sequential(
            self._convolution(inputs, inputs, stage.kernel, stride=stride, groups=inputs, activation=stage.activation),
            self._convolution(inputs, stage.width, 1, activation=stage.activation),
        )

    def _residual(self, inputs: int, stride: int, stage: Stage, drop_path: float) -> nn.Module:
        """Two convolutions beside a shortcut (He et al., 2015, arXiv:1512.03385, the basic block)."""
        body = [
            self._convolution(inputs, stage.width, stage.kernel, stride=stride, activation=stage.activation),
            self._convolution(stage.width, stage.width, stage.kernel, activation=None),
            *self._squeeze_excite(stage.width, inputs, stage),
        ]
        return self._beside_projection(body, inputs, stride, stage, drop_path)

    def _bottleneck(self, inputs: int, stride: int, stage: Stage, drop_path: float) -> nn.Module:
        """Reduce, convolve in groups, expand, beside a shortcut (He et al., 2015, arXiv:1512.03385).

        The stride is that of the middle convolution. Groups as in Xie et al., 2016, arXiv:1611.05431; squeeze-excite
        after the middle convolution as in Radosavovic et al., 2020, arXiv:2003.13678.
        """
        hidden = bottleneck_width(stage.width, stage.bottleneck_ratio, stage.groups)
        body = [
            self._convolution(inputs, hidden, 1, activation=stage.activation),
            self._convolution(
                hidden, hidden, stage.kernel, stride=stride, groups=stage.groups, activation=stage.activation
            ),
            *self._squeeze_excite(hidden, inputs, stage),
            self._convolution(hidden, stage.width, 1, activation=None),
        ]
        return self._beside_projection(body, inputs, stride, stage, drop_path)

    def _inverted_residual(self, inputs: int, stride: int, stage: Stage, drop_path: float) -> nn.Module:
        """Expand, convolve each channel, project (Sandler et al., 2018, arXiv:1801.04381)."""
        hidden = max(1, round(inputs * stage.expansion))
        expand = [self._convolution(inputs, hidden, 1, activation=stage.activation)] if hidden != inputs else []
        body = [
            *expand,
            self._convolution(hidden, hidden, stage.kernel, stride=stride, groups=hidden, activation=stage.activation),
            *self._squeeze_excite(hidden, inputs, stage),
            self._convolution(hidden, stage.width, 1, activation=None),
        ]
        return self._beside_identity(body, inputs, stride, stage, drop_path)

    def _fused_inverted_residual(self, inputs: int, stride: int, stage: Stage, drop_path: float) -> nn.Module:
        """Expand by the convolution itself, project (Tan & Le, 2021, arXiv:2104.00298)."""
        hidden = max(1, round(inputs * stage.expansion))
        if hidden == inputs:
            body = [
                self._convolution(inputs, stage.width, stage.kernel, stride=stride, activation=stage.activation),
                *self._squeeze_excite(stage.width, inputs, stage),
            ]
        else:
            body = [
                self._convolution(inputs, hidden, stage.kernel, stride=stride, activation=stage.activation),
                *self._squeeze_excite(hidden, inputs, stage),
                self._convolution(hidden, stage.width, 1, activation=None),
            ]
        return self._beside_identity(body, inputs, stride, stage, drop_path)

    def _squeeze_excite(self, channels: int, inputs: int, stage: Stage) -> list[nn.Module]:
        if stage.squeeze_ratio == 0:
            return []
        return [SqueezeExcite(channels, inputs, stage.squeeze_ratio, self._network.squeeze)]

    def _beside_projection(
        self, body: list[nn.Module], inputs: int, stride: int, stage: Stage, drop_path: float
    ) -> Block:
        """Beside the input, projected where the shapes differ; the activation comes after the sum."""
        same = inputs == stage.width and stride == 1
        shortcut = nn.Identity() if same else self._convolution(inputs, stage.width, 1, stride=stride, activation=None)
        return Block(body, shortcut, drop_path, stage.activation)

    @staticmethod
    def _beside_identity(body: list[nn.Module], inputs: int, stride: int, stage: Stage, drop_path: float) -> Block:
        """Beside the input where the shapes are the same; no activation, for the last convolution is linear."""
        same = inputs == stage.width and stride == 1
        return Block(body, nn.Identity() if same else None, drop_path if same else 0, None)


def build_staged_cnn(network: StagedCNN, task: Task) -> nn.Sequential:
    """Build the module: (batch, *task.input_shape) -> logits (batch, task.classes)."""
    make = partial(convolution, norm=network.norm)
    stem, head = network.stem, network.head
    layers = OrderedDict[str, nn.Module]()
    if network.resolution and network.resolution != task.side:
        layers["resize"] = Resize(task.input_shape[1:], network.resolution)
    layers["stem"] = make(task.input_shape[0], stem.width, stem.kernel, stride=stem.stride, activation=stem.activation)
    if stem.max_pool:
        layers["max_pool"] = nn.MaxPool2d(3, stride=2, padding=1)
    layers.update(_stages(network))
    width = network.stages[-1].width if network.stages else stem.width
    if head.width:
        layers["head"] = make(width, head.width, 1, activation=head.activation)
        width = head.width
    layers["pool"] = nn.AdaptiveAvgPool2d(1)
    layers["flatten"] = nn.Flatten()
    if head.hidden:
        layers["hidden"] = nn.Sequential(nn.Linear(width, head.hidden), ACTIVATIONS[head.activation]())
        width = head.hidden
    if head.dropout:
        layers["dropout"] = nn.Dropout(head.dropout)
    layers["classifier"] = nn.Linear(width, task.classes)
    module = nn.Sequential(layers)
    initialise(module)
    if network.zero_gamma:
        _zero_gamma(module)
    return module


def _stages(network: StagedCNN) -> Iterator[tuple[str, nn.Sequential]]:
    maker, inputs, done = BlockMaker(network), network.stem.width, 0
    count = sum(stage.depth for stage in network.stages)
    for i, stage in enumerate(network.stages):
        blocks = []
        for j in range(stage.depth):
            drop_path = network.drop_path * done / max(1, count - 1)
            blocks.append(maker.make(inputs, stage.stride if j == 0 else 1, stage, drop_path))
            inputs, done = stage.width, done + 1
        yield f"stage{i}", nn.Sequential(*blocks)


def _zero_gamma(module: nn.Module) -> None:
    """Let every residual block begin as its shortcut: the last scale of its body is zero."""
    for block in module.modules():
        if isinstance(block, Block) and block.shortcut is not None:
            last = [layer for layer in block.body.modules() if isinstance(layer, nn.BatchNorm2d)][-1]
            nn.init.zeros_(last.weight)
