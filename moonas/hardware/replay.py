"""Kernels as modules, computed on tensors like those that they get inside of a network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from moonas.hardware.kernels import OUTSIDE, Kernel
from moonas.hardware.trace import INPUT, TENSOR, Operation

_PREFIX_CHANNELS = 4
_REST_CHANNELS = 1024


def _batch_norm(x: Any, weight: Any, bias: Any, mean: Any, variance: Any, *, eps: float, **_: Any) -> Any:
    return functional.batch_norm(x, mean, variance, weight, bias, eps=eps)


def _layer_norm(x: Any, weight: Any, bias: Any, *, normalized_shape: Sequence[int], eps: float) -> Any:
    return functional.layer_norm(x, list(normalized_shape), weight, bias, eps)


def _softmax(x: Any, *, dim: int, **_: Any) -> Any:
    return functional.softmax(x, dim)


def _max_pool(x: Any, **options: Any) -> Any:
    return functional.max_pool2d(x, **options)


def _clone(x: Any, **_: Any) -> Any:
    return x.clone()


_EXPORTABLE: Mapping[str, Callable[..., Any]] = {
    "native_batch_norm": _batch_norm,
    "native_layer_norm": _layer_norm,
    "_softmax": _softmax,
    "max_pool2d_with_indices": _max_pool,
    "clone": _clone,
}
"""Operators that ONNX exporters know under other names."""


Place = tuple[bool, tuple[tuple[int, ...], ...]]
"""Whether a kernel is kept apart from what makes its inputs, and their shapes."""


def place_of(kernel: Kernel) -> Place:
    """Where a kernel is: those of one place have the same context."""
    return kernel.multiply_adds == 0, kernel.outside_shapes


def context_of(place: Place) -> Replayed:
    """A module that computes what makes the inputs of the kernels of a place, and nothing else."""
    apart, shapes = place
    return Context(shapes, apart=apart) if shapes else Nothing()


class Replayed(nn.Module):
    """A module with the inputs that it takes.

    Attributes:
        inputs: batches included.
    """

    inputs: tuple[torch.Tensor, ...]


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
        self._steps = kernel.steps
        self._look = _look(kernel.steps[-1].output_shape)
        read = [pair for step in kernel.steps for pair in zip(step.inputs, step.input_shapes, strict=True)]
        given = [(made, shape) for made, shape in read if made in (INPUT, OUTSIDE)]
        self.prefixes = nn.ModuleList(
            nn.Identity() if made == INPUT else _prefix(shape, apart=kernel.multiply_adds == 0) for made, shape in given
        )
        self.inputs = tuple(torch.randn(shape if made == INPUT else _thin(shape)) for made, shape in given)
        weights = [torch.rand(shape) for made, shape in read if made is None]
        self.weights = nn.ParameterList(nn.Parameter(weight, requires_grad=False) for weight in weights)

    def forward(self, *given: torch.Tensor) -> Any:
        """Compute the last step."""
        comes = iter([prefix(each) for prefix, each in zip(self.prefixes, given, strict=True)])
        weights, results = iter(self.weights), list[torch.Tensor]()
        for step in self._steps:
            read = zip(step.inputs, step.input_shapes, strict=True)
            results.append(_compute(step, [self._take(*each, comes, weights, results) for each in read]))
        return self._look(results[-1])

    def _take(
        self, made: int | None, shape: tuple[int, ...], comes: Iterator[Any], weights: Iterator[Any], results: list[Any]
    ) -> Any:
        """What a step reads, in the shape in which it reads it."""
        if made is None:
            return next(weights)
        if made < 0:
            return next(comes)
        return results[made] if shape == self._steps[made].output_shape else results[made].reshape(shape)


class Context(Replayed):
    """What makes the inputs of a kernel, alone; one pixel is looked at."""

    def __init__(self, shapes: Sequence[tuple[int, ...]], *, apart: bool):
        """Take the shapes of what is made, batch included, and whether the kernel is kept apart from it."""
        super().__init__()
        self.prefixes = nn.ModuleList(_prefix(shape, apart=apart) for shape in shapes)
        self.looks = nn.ModuleList(map(_look, shapes))
        self.inputs = tuple(torch.randn(_thin(shape)) for shape in shapes)

    def forward(self, *given: torch.Tensor) -> Any:
        """Compute all of them."""
        parts = zip(self.looks, self.prefixes, given, strict=True)
        return tuple(look(prefix(each)) for look, prefix, each in parts)


class SideBySide(Replayed):
    """Several parts in one call, each with inputs and weights of its own."""

    def __init__(self, parts: Sequence[Replayed]):
        """Take the parts."""
        super().__init__()
        self.parts = nn.ModuleList(parts)
        self.inputs = tuple(given for part in parts for given in part.inputs)
        self._counts = [len(part.inputs) for part in parts]

    def forward(self, *given: torch.Tensor) -> Any:
        """Compute all of them."""
        left = iter(given)
        return tuple(part(*islice(left, count)) for part, count in zip(self.parts, self._counts, strict=True))


class Nothing(Replayed):
    """What takes no time but that of a call."""

    inputs = (torch.zeros(1, 1),)

    def forward(self, given: torch.Tensor) -> Any:
        """Compute something."""
        return given + 1


class Rest(Replayed):
    """What stands for the rest of a network: it reads as many weights."""

    def __init__(self, weight_bytes: int):
        """Take how many bytes of weights it reads, in 32 bits each."""
        super().__init__()
        outputs = max(1, weight_bytes // 4 // _REST_CHANNELS)
        self.weights = nn.Conv2d(_REST_CHANNELS, outputs, 1, bias=False)
        self.inputs = (torch.randn(1, _REST_CHANNELS, 1, 1),)

    def forward(self, given: torch.Tensor) -> Any:
        """Read them."""
        return self.weights(given)


def _compute(step: Operation, read: Sequence[torch.Tensor]) -> Any:
    if step.kind in _EXPORTABLE:
        return _EXPORTABLE[step.kind](*read, **step.options)
    tensors = iter(read)

    def filled(argument: Any) -> Any:
        if isinstance(argument, tuple):
            return [filled(each) for each in argument]
        return next(tensors) if argument == TENSOR else argument

    result = getattr(torch.ops.aten, step.kind)(**{name: filled(value) for name, value in step.arguments})
    return result[0] if isinstance(result, tuple) else result


def _thin(shape: tuple[int, ...]) -> tuple[int, ...]:
    if len(shape) == 4:
        return shape[0], _PREFIX_CHANNELS, *shape[2:]
    return (*shape[:-1], _PREFIX_CHANNELS)


def _prefix(shape: tuple[int, ...], *, apart: bool) -> nn.Module:
    if len(shape) == 4:
        made = nn.Conv2d(_PREFIX_CHANNELS, shape[1], 1, bias=False)
        return nn.Sequential(made, nn.MaxPool2d(1)) if apart else made
    return nn.Linear(_PREFIX_CHANNELS, shape[-1], bias=False)


def _look(shape: tuple[int, ...]) -> nn.Module:
    return nn.MaxPool2d(1, stride=shape[2:]) if len(shape) == 4 else nn.Identity()
