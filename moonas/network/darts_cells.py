"""The PyTorch modules of DARTS. Feature maps are (batch, channels, height, width) throughout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional

from moonas.network.architecture import Task
from moonas.network.auxiliary import AuxiliaryHead
from moonas.network.darts import DARTS, INPUTS
from moonas.network.darts import Cell as Edged
from moonas.network.darts import Node as Edges
from moonas.network.layers import DropPath

_STEM = 3
"""The channels of the stem over those of the first cells' nodes."""


class Features(NamedTuple):
    """The shape of feature maps."""

    channels: int
    sides: tuple[int, ...]


class Halving(nn.Module):
    """Halves the sides, rounded up, by two convolutions of stride 2, the second a pixel further down and right."""

    def __init__(self, inputs: int, outputs: int, sides: Sequence[int]):
        """Take feature maps of `sides`."""
        super().__init__()
        self.even = nn.Conv2d(inputs, outputs - outputs // 2, 1, stride=2, bias=False)
        self.odd = nn.Conv2d(inputs, outputs // 2, 1, stride=2, bias=False) if outputs > 1 else None
        self.norm = nn.BatchNorm2d(outputs)
        height, width = sides
        self._missing = (0, width % 2, 0, height % 2)  # of an odd side the last pixel has none further on; a zero

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(batch, inputs, height, width) -> (batch, outputs, height / 2, width / 2)."""
        features = functional.relu(features)
        halves = [self.even(features)]
        if self.odd is not None:
            shifted = features[:, :, 1:, 1:]
            halves.append(self.odd(functional.pad(shifted, self._missing) if any(self._missing) else shifted))
        normalised: torch.Tensor = self.norm(torch.cat(halves, dim=1))
        return normalised


def _depthwise(channels: int, kernel: int, stride: int, dilation: int = 1) -> list[nn.Module]:
    """One convolution of each channel, and one of each pixel."""
    padding = dilation * (kernel // 2)
    return [
        nn.ReLU(),
        nn.Conv2d(
            channels, channels, kernel, stride=stride, padding=padding, dilation=dilation, groups=channels, bias=False
        ),
        nn.Conv2d(channels, channels, 1, bias=False),
        nn.BatchNorm2d(channels),
    ]


def _operation(name: str, channels: int, stride: int, sides: Sequence[int]) -> nn.Module:
    if name == "max_pool_3x3":
        return nn.MaxPool2d(3, stride=stride, padding=1)
    if name == "avg_pool_3x3":
        return nn.AvgPool2d(3, stride=stride, padding=1, count_include_pad=False)
    if name == "skip_connect":
        return nn.Identity() if stride == 1 else Halving(channels, channels, sides)
    kernel = 5 if name.endswith("5x5") else 3
    if name.startswith("dil_conv"):
        return nn.Sequential(*_depthwise(channels, kernel, stride, dilation=2))
    return nn.Sequential(*_depthwise(channels, kernel, stride), *_depthwise(channels, kernel, 1))


def _pointwise(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.ReLU(), nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs))


def _droppable(operation: nn.Module, drop_path: float) -> nn.Module:
    """The operation, to be left out now and then unless it only passes on."""
    if drop_path == 0 or isinstance(operation, nn.Identity):
        return operation
    return nn.Sequential(operation, DropPath(drop_path))


class Node(nn.Module):
    """The sum of what its edges bring; a node without edges is zero, in the shape of node 1."""

    def __init__(self, edges: Edges, channels: int, sides: Sequence[int], *, reduces: bool, drop_path: float):
        """Describe the edges, of a cell whose inputs have `sides`, which it halves if it `reduces`."""
        super().__init__()
        self._sources = [source for source, _ in edges]
        strides = [2 if reduces and source < INPUTS else 1 for source in self._sources]
        self.operations = nn.ModuleList(
            _droppable(_operation(name, channels, stride, sides), drop_path)
            for (_, name), stride in zip(edges, strides, strict=True)
        )
        self._halve = nn.MaxPool2d(1, stride=2) if reduces and not edges else nn.Identity()

    def forward(self, values: Mapping[int, torch.Tensor]) -> torch.Tensor:
        """Take the values of the nodes before, (batch, channels, *) each; give this one's."""
        if not self._sources:
            empty: torch.Tensor = self._halve(values[1]) * 0
            return empty
        brought = [operation(values[i]) for i, operation in zip(self._sources, self.operations, strict=True)]
        total: torch.Tensor = sum(brought[1:], brought[0])
        return total


class Cell(nn.Module):
    """Nodes, each of which reads those before it; the output is all of them, concatenated."""

    def __init__(self, cell: Edged, earlier: Features, last: Features, channels: int, **options: Any):
        """Describe the cell, what the two cells before it give, and the `options` of its nodes."""
        super().__init__()
        same = earlier.sides == last.sides
        reads = read_inputs(cell)
        self.inputs = nn.ModuleDict()
        if 0 in reads and same:
            self.inputs["0"] = _pointwise(earlier.channels, channels)
        elif 0 in reads:
            self.inputs["0"] = Halving(earlier.channels, channels, earlier.sides)
        if 1 in reads:
            self.inputs["1"] = _pointwise(last.channels, channels)
        self.nodes = nn.ModuleList(Node(edges, channels, last.sides, **options) for edges in cell)

    def forward(self, earlier: torch.Tensor, last: torch.Tensor) -> torch.Tensor:
        """(batch, *), (batch, channels, height, width) -> (batch, nodes * channels, *)."""
        values = {i: self.inputs[str(i)](given) for i, given in enumerate((earlier, last)) if str(i) in self.inputs}
        nodes = []
        for number, node in enumerate(self.nodes, INPUTS):
            values[number] = node(values)
            nodes.append(values[number])
        return torch.cat(nodes, dim=1)


def read_inputs(cell: Edged) -> set[int]:
    """Which of its two inputs a cell reads; nodes without edges take their shape from the last one."""
    reads = {source for edges in cell for source, _ in edges if source < INPUTS}
    return reads | ({1} if () in cell else set())


class DARTSNetwork(nn.Module):
    """A stem, cells of which each reads the two before it, and a classifier."""

    def __init__(self, network: DARTS, task: Task):
        super().__init__()
        reductions = (network.cells // 3, 2 * network.cells // 3)
        cells = [network.reduction if i in reductions else network.normal for i in range(network.cells)]
        needed = _needed(cells)
        auxiliary_after = reductions[1] if network.auxiliary and reductions[1] in needed else None
        channels = network.channels
        stem = Features(_STEM * channels, tuple(task.input_shape[1:]))
        self.stem = nn.Sequential(
            nn.Conv2d(task.input_shape[0], stem.channels, 3, padding=1, bias=False), nn.BatchNorm2d(stem.channels)
        )
        earlier = last = stem
        self.cells = nn.ModuleList()
        for i, cell in enumerate(cells):
            reduces = i in reductions
            channels *= 2 if reduces else 1
            options = {"reduces": reduces, "drop_path": network.drop_path}
            self.cells.append(Cell(cell, earlier, last, channels, **options) if i in needed else _Unread())
            sides = tuple(-(-side // 2) for side in last.sides) if reduces else last.sides
            earlier, last = last, Features(len(cell) * channels, sides)
            if i == auxiliary_after:
                self.auxiliary = AuxiliaryHead(_auxiliary(last, task.classes), network.auxiliary)
        self._auxiliary_after = auxiliary_after
        self.classifier = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(last.channels, task.classes))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(batch, *task.input_shape) -> logits (batch, task.classes)."""
        earlier = last = self.stem(images)
        for i, cell in enumerate(self.cells):
            earlier, last = last, cell(earlier, last)
            if i == self._auxiliary_after:
                self.auxiliary(last)
        logits: torch.Tensor = self.classifier(last)
        return logits


class _Unread(nn.Module):
    """Stands where no other cell reads the output."""

    def forward(self, earlier: torch.Tensor, last: torch.Tensor) -> torch.Tensor:
        return last


def _needed(cells: Sequence[Edged]) -> set[int]:
    """The cells on which the last one depends, itself included."""
    needed, pending = set[int](), [len(cells) - 1]
    while pending:
        i = pending.pop()
        if i >= 0 and i not in needed:
            needed.add(i)
            pending += [i - INPUTS + source for source in read_inputs(cells[i])]
    return needed


def _auxiliary(features: Features, classes: int) -> nn.Sequential:
    """The authors' auxiliary classifier for feature maps of 8x8; smaller ones are cut into 2x2 parts for it."""
    return nn.Sequential(
        nn.ReLU(),
        nn.AvgPool2d(5, stride=3) if min(features.sides) >= 8 else nn.AdaptiveAvgPool2d(2),
        *_convolved(features.channels, 128, 1),
        *_convolved(128, 768, 2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(768, classes),
    )


def _convolved(inputs: int, outputs: int, kernel: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, kernel, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
