"""Kernels as modules, computed on tensors like those that they get inside of a network."""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any

import torch
from torch import fx, nn

from moonas.hardware.kernels import OUTSIDE, Kernel
from moonas.hardware.step import Step
from moonas.hardware.trace import INPUT, Operation

_PREFIX_CHANNELS = 4
_REST_CHANNELS = 1024

Place = tuple[bool, tuple[tuple[int, ...], ...]]
"""Whether a kernel is kept apart from what makes its inputs, and their shapes."""


def place_of(kernel: Kernel) -> Place:
    """Where a kernel is: those of one place have the same context."""
    return kernel.multiply_adds == 0, kernel.outside_shapes


def context_of(place: Place) -> Replayed:
    """A module that computes what makes the inputs of the kernels of a place, and nothing else."""
    apart, shapes = place
    return Context(shapes, apart=apart) if shapes else Nothing()


class Replayed(nn.Module, ABC):
    """A module with the inputs that it takes.

    Attributes:
        inputs: batches included.
    """

    inputs: tuple[torch.Tensor, ...]

    def forward(self, *given: torch.Tensor) -> Any:
        """Compute it."""
        return self.compute(given, 0)

    @abstractmethod
    def compute(self, given: Sequence[torch.Tensor], first: int) -> Any:
        """Compute it of those that are given, its own beginning with the number `first`."""


class KernelInContext(Replayed):
    """What makes the inputs of a kernel, and the kernel.

    Each input is a pointwise convolution (or a linear layer) of a thin one: so a runtime hands it over in the layout
    that it has within a network, and the difference of both times is that of the kernel alone. The network's own input
    is given as it is. Of the result one pixel is looked at, since the layout of the whole would have to be changed to
    hand it over. Where a kernel has no multiply-adds, a pooling of single pixels stands between it and the convolution:
    runtimes compute activations and sums with a convolution, and in its network they did not.
    """

    def __init__(self, kernel: Kernel):
        """Take the kernel."""
        super().__init__()
        self.kernel = kernel
        self.steps = nn.ModuleList(map(Step, kernel.steps))
        self._sources = [_sources(kernel, step) for step in kernel.steps]
        self._look = _look(kernel.steps[-1].output_shape)
        read = [pair for step in kernel.steps for pair in zip(step.inputs, step.input_shapes, strict=True)]
        given = [(made, shape) for made, shape in read if made in (INPUT, OUTSIDE)]
        self.prefixes = nn.ModuleList(
            nn.Identity() if made == INPUT else _prefix(shape, apart=kernel.multiply_adds == 0) for made, shape in given
        )
        self.inputs = tuple(torch.randn(shape if made == INPUT else _thin(shape)) for made, shape in given)

    def compute(self, given: Sequence[torch.Tensor], first: int) -> Any:
        """Compute the last step."""
        comes = iter([prefix(given[first + i]) for i, prefix in enumerate(self.prefixes)])
        results: list[Any] = []
        for step, sources in zip(self.steps, self._sources, strict=True):
            made = (next(comes) if i < 0 else results[i] if s is None else results[i].reshape(s) for i, s in sources)
            results.append(step(*made))
        return self._look(results[-1])


class Context(Replayed):
    """What makes the inputs of a kernel, alone; one pixel is looked at."""

    def __init__(self, shapes: Sequence[tuple[int, ...]], *, apart: bool):
        """Take the shapes of what is made, batch included, and whether the kernel is kept apart from it."""
        super().__init__()
        self.prefixes = nn.ModuleList(_prefix(shape, apart=apart) for shape in shapes)
        self.looks = nn.ModuleList(map(_look, shapes))
        self.inputs = tuple(torch.randn(_thin(shape)) for shape in shapes)

    def compute(self, given: Sequence[torch.Tensor], first: int) -> Any:
        """Compute all of them."""
        parts = enumerate(zip(self.looks, self.prefixes, strict=True), start=first)
        return tuple(look(prefix(given[i])) for i, (look, prefix) in parts)


class SideBySide(Replayed):
    """Several parts in one call, each with inputs and weights of its own."""

    def __init__(self, parts: Sequence[Replayed]):
        """Take the parts."""
        super().__init__()
        self.parts = nn.ModuleList(parts)
        self.inputs = tuple(given for part in parts for given in part.inputs)
        self._firsts = list(accumulate((len(part.inputs) for part in parts), initial=0))

    def compute(self, given: Sequence[torch.Tensor], first: int) -> Any:
        """Compute all of them."""
        parts: Iterable[Any] = self.parts
        return tuple(part.compute(given, first + i) for part, i in zip(parts, self._firsts, strict=False))


class Nothing(Replayed):
    """What takes no time but that of a call."""

    inputs = (torch.zeros(1, 1),)

    def compute(self, given: Sequence[torch.Tensor], first: int) -> Any:
        """Compute something."""
        return given[first] + 1


class Rest(Replayed):
    """What stands for the rest of a network: it reads as many weights."""

    def __init__(self, weight_bytes: int):
        """Take how many bytes of weights it reads, in 32 bits each."""
        super().__init__()
        outputs = max(1, weight_bytes // 4 // _REST_CHANNELS)
        self.weights = nn.Conv2d(_REST_CHANNELS, outputs, 1, bias=False)
        self.inputs = (torch.randn(1, _REST_CHANNELS, 1, 1),)

    def compute(self, given: Sequence[torch.Tensor], first: int) -> Any:
        """Read them."""
        return self.weights(given[first])


def _sources(kernel: Kernel, step: Operation) -> list[tuple[int, tuple[int, ...] | None]]:
    """What other steps make for this one: their numbers, and the shape in which it is read, if that is another."""
    read = zip(step.inputs, step.input_shapes, strict=True)
    made = [(number, shape) for number, shape in read if number is not None]
    return [(i, None if i < 0 or shape == kernel.steps[i].output_shape else shape) for i, shape in made]


def _thin(shape: tuple[int, ...]) -> tuple[int, ...]:
    if len(shape) == 4:
        return shape[0], _PREFIX_CHANNELS, *shape[2:]
    return (*shape[:-1], _PREFIX_CHANNELS)


def _prefix(shape: tuple[int, ...], *, apart: bool) -> nn.Module:
    if len(shape) == 4:
        made = nn.Conv2d(_PREFIX_CHANNELS, shape[1], 1, bias=False)
        return nn.Sequential(made, nn.MaxPool2d(1)) if apart else made
    return nn.Linear(_PREFIX_CHANNELS, shape[-1], bias=False)


class Look(nn.MaxPool2d):
    """Looks at one pixel."""


def _look(shape: tuple[int, ...]) -> nn.Module:
    return Look(1, stride=shape[2:]) if len(shape) == 4 else nn.Identity()


def straight(module: Replayed) -> nn.Module:
    """The same as plain calls one after the other: what Python does around them takes longer than many an operator.

    Nothing is looked at: eager PyTorch hands over every result as it is.
    """
    graph, held = _Tracer().trace(module), dict[str, Any]()
    for node in list(graph.nodes):
        if node.op not in ("call_module", "get_attr"):
            continue
        named = operator.attrgetter(str(node.target))(module)
        if isinstance(named, Look):
            node.replace_all_uses_with(node.args[0])
            graph.erase_node(node)
            continue
        node.target = f"held_{len(held)}"  # found more quickly than by the way through all that holds it
        held[node.target] = named
    return fx.GraphModule(held, graph)


class _Tracer(fx.Tracer):
    def is_leaf_module(self, module: nn.Module, qualified_name: str) -> bool:
        """Whether it is called as a whole."""
        is_called = isinstance(module, Look) or (isinstance(module, Step) and module.is_elaborate)
        return is_called or super().is_leaf_module(module, qualified_name)
