"""One operator call of a traced network, as a module."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from moonas.hardware.trace import TENSOR, Operation


def _batch_norm(
    *, x: Any, weight: Any, bias: Any, running_mean: Any, running_var: Any, training: bool, momentum: float, eps: float
) -> Any:
    if training:  # by statistics of what comes: so exporters know it
        return torch.instance_norm(x, weight, bias, None, None, True, momentum, eps, True)
    return torch.batch_norm(x, weight, bias, running_mean, running_var, False, momentum, eps, True)


def _layer_norm(*, x: Any, normalized_shape: Sequence[int], weight: Any, bias: Any, eps: float) -> Any:
    return functional.layer_norm(x, list(normalized_shape), weight, bias, eps)


def _group_norm(*, x: Any, group: int, weight: Any, bias: Any, eps: float, **_: Any) -> Any:
    return torch.group_norm(x, group, weight, bias, eps)


def _prelu(*, x: Any, weight: Any) -> Any:
    return functional.prelu(x, weight.flatten())


def _softmax(*, x: Any, dim: int, **_: Any) -> Any:
    return functional.softmax(x, dim)


def _max_pool(*, x: Any, **options: Any) -> Any:
    return functional.max_pool2d(x, **options)


def _adaptive_pool(*, x: Any, output_size: Any) -> Any:
    return functional.adaptive_avg_pool2d(x, output_size)


def _clone(*, x: Any, **_: Any) -> Any:
    return x.clone()


def _convolution(
    *, x: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, groups: int, **transposed: Any
) -> Any:
    if transposed["transposed"]:
        call, output_padding = _TRANSPOSED[weight.ndim - 3], transposed["output_padding"]
        return call(x, weight, bias, stride, padding, output_padding, groups, dilation)
    return _STRAIGHT[weight.ndim - 3](x, weight, bias, stride, padding, dilation, groups)


def _resized(mode: str) -> Callable[..., Any]:
    def resize(*, x: Any, output_size: Any, align_corners: bool | None = None, **named: Any) -> Any:
        return functional.interpolate(x, output_size, named.get("scale_factors"), mode, align_corners)

    return resize


_STRAIGHT = functional.conv1d, functional.conv2d, functional.conv3d
_TRANSPOSED = functional.conv_transpose1d, functional.conv_transpose2d, functional.conv_transpose3d
_PUBLIC: Mapping[str, Callable[..., Any]] = {
    "native_batch_norm": _batch_norm,
    "native_layer_norm": _layer_norm,
    "native_group_norm": _group_norm,
    "_prelu_kernel": _prelu,
    "_softmax": _softmax,
    "max_pool2d_with_indices": _max_pool,
    "_adaptive_avg_pool2d": _adaptive_pool,
    "clone": _clone,
    "convolution": _convolution,
    "upsample_nearest1d": _resized("nearest"),
    "upsample_nearest2d": _resized("nearest"),
    "upsample_linear1d": _resized("linear"),
    "upsample_bilinear2d": _resized("bilinear"),
    "upsample_bicubic2d": _resized("bicubic"),
}
"""Operators that networks call by other names: ONNX exporters know only these, and PyTorch calls some more quickly."""


class Step(nn.Module):
    """An operator call with weights of its own.

    Attributes:
        is_elaborate: whether the module that networks have for it does as much in Python as this one.
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
        self.is_elaborate = operation.kind == "native_batch_norm"
        self._call = public or getattr(getattr(torch.ops.aten, operation.kind), operation.overload)
        names = {"self": "x", "input": "x"} if public else {}
        arguments = [(names.get(name, name), value) for name, value in operation.arguments]
        self._read_alone = [name for name, value in arguments if value == TENSOR]
        self._settled = {name: value for name, value in arguments if value != TENSOR}
        self._has_lists = any(isinstance(value, tuple) and TENSOR in value for value in self._settled.values())
        self._arguments = arguments

    def forward(self, *made: torch.Tensor) -> Any:
        """Call it with what other operators made, in order."""
        others = iter(made)
        read = [next(others) if weight is None else weight for weight in self._read]
        if self._has_lists:
            tensors = iter(read)
            result = self._call(**{name: _filled(value, tensors) for name, value in self._arguments})
        else:
            result = self._call(**dict(zip(self._read_alone, read, strict=True)), **self._settled)
        return result[0] if isinstance(result, tuple) else result


def _filled(argument: Any, tensors: Iterator[torch.Tensor]) -> Any:
    if isinstance(argument, tuple):
        return [_filled(each, tensors) for each in argument]
    return next(tensors) if argument == TENSOR else argument
