"""The PyTorch modules of NAS-Bench-201. Feature maps are (batch, channels, height, width) throughout."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn

from moonas.network.architecture import Task
from moonas.network.nas_bench_201 import EDGES, NASBench201


def _relu_convolution(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
    )


def _operation(name: str, channels: int) -> nn.Module:
    if name == "nor_conv_1x1":
        return _relu_convolution(channels, channels, 1)
    if name == "nor_conv_3x3":
        return _relu_convolution(channels, channels, 3)
    if name == "avg_pool_3x3":
        return nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)
    return nn.Identity()


class Cell(nn.Module):
    """Four nodes, each the sum of what its edges bring.

    An inner node that leads nowhere is added to the output times zero, as the benchmark's zero operation does it: what
    is written is computed, and counted. Simplified cells have no such nodes.
    """

    def __init__(self, architecture: NASBench201, channels: int):
        super().__init__()
        self._edges = [(*edge, name) for edge, name in zip(EDGES, architecture.cell, strict=True) if name != "none"]
        sources, targets = ({edge[end] for edge in self._edges} for end in (0, 1))
        self._idle = [node for node in (1, 2) if node in targets and node not in sources]
        self.operations = nn.ModuleDict(
            {f"from_{source}_to_{target}": _operation(name, channels) for source, target, name in self._edges}
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Shape stays."""
        nodes = [features]
        for node in (1, 2, 3):
            brought = [
                self.operations[f"from_{source}_to_{target}"](nodes[source])
                for source, target, _ in self._edges
                if target == node
            ]
            total = brought[0] if brought else features * 0
            for more in brought[1:]:
                total = total + more
            nodes.append(total)
        for node in self._idle:
            nodes[-1] = nodes[-1] + nodes[node] * 0
        return nodes[-1]


class Reduction(nn.Module):
    """A residual block that halves the sides, rounded up, and changes the channels."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.body = nn.Sequential(_relu_convolution(inputs, outputs, 3, 2), _relu_convolution(outputs, outputs, 3))
        self.shortcut = nn.Sequential(nn.AvgPool2d(2, ceil_mode=True), nn.Conv2d(inputs, outputs, 1, bias=False))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(batch, inputs, height, width) -> (batch, outputs, height / 2, width / 2)."""
        summed: torch.Tensor = self.shortcut(features) + self.body(features)
        return summed


def build_nas_bench_201(architecture: NASBench201, task: Task) -> nn.Sequential:
    """Build the module: (batch, *task.input_shape) -> logits (batch, task.classes)."""
    channels = architecture.channels
    layers = OrderedDict[str, nn.Module]()
    layers["stem"] = nn.Sequential(
        nn.Conv2d(task.input_shape[0], channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels)
    )
    for group in range(3):
        if group:
            layers[f"reduction{group}"] = Reduction(channels, 2 * channels)
            channels *= 2
        layers[f"group{group}"] = nn.Sequential(*(Cell(architecture, channels) for _ in range(architecture.cells)))
    layers["last"] = nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU())
    layers["pool"] = nn.AdaptiveAvgPool2d(1)
    layers["flatten"] = nn.Flatten()
    layers["classifier"] = nn.Linear(channels, task.classes)
    return nn.Sequential(layers)
