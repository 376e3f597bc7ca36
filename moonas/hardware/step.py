"""One operator call of a traced network, as a module."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from moonas.hardware.trace import TENSOR, Operation


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


def _convolution(
    x: Any, weight: Any, bias: Any = None, *, transposed: bool, output_padding: Any, **options: Any
) -> Any:
    if transposed:
        return _TRANSPOSED[weight.ndim - 3](x, weight, bias, output_padding=output_padding, **options)
    return _STRAIGHT[weight.ndim - 3](x, weight, bias, **options)


_STRAIGHT = functional.conv1d, functional.conv2d, functional.conv3d
_TRANSPOSED = functional.conv_transpose1d, functional.conv_transpose2d, functional.conv_transpose3d
_PUBLIC: Mapping[str, Callable[..., Any]] = {
    "native_batch_norm": _batch_norm,
    "native_layer_norm": _layer_norm,
    "_softmax": _softmax,
    "max_pool2d_with_indices": _max_pool,
    "clone": _clone,
    "convolution": _convolution,
}
"""Operators that networks call by other names: ONNX exporters know only these, and PyTorch calls some more quickly."""


class Step(nn.Module):
    """An operator call with weights of its own.

    Attributes:
        is_public: whether it is called by another name, as modules of PyTorch do.
    """

    def __init__(self, operation: Operation):
        """Take what is called."""
        super().__init__()
        read = zip(operation.inputs, operation.input_shapes, strict=True)
        self._read = [
            nn.Parameter(torch.rand(shape), requires_grad=False) if made is None else None for made, shape in read
        ]
        self.weights = nn.ParameterList(each for each in self._read if each is not None)
        public = _PUBLIC.get(operation.kind)
        self.is_public = public is not None
        overload = getattr(getattr(torch.ops.aten, operation.kind), operation.overload)
        self._call = partial(public, **operation.options) if public else overload
        self._arguments = operation.arguments

    def forward(self, *made: torch.Tensor) -> Any:
        """Call it with what other operators made, in order."""
        others = iter(made)
        read = [next(others) if weight is None else weight for weight in self._read]
        if self.is_public:
            return self._call(*read)
        tensors = iter(read)
        result = self._call(**{name: _filled(value, tensors) for name, value in self._arguments})
        return result[0] if isinstance(result, tuple) else result


def _filled(argument: Any, tensors: Iterator[torch.Tensor]) -> Any:
    if isinstance(argument, tuple):
        return [_filled(each, tensors) for each in argument]
    return next(tensors) if argument == TENSOR else argument
