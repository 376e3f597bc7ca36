"""Depthwise convolutions on a CPU whose gradients do not fall off oneDNN's cliffs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

_FAST_WIDTH = 3
"""The widest kernel whose weight gradient oneDNN computes fast; its height does not matter."""


@contextmanager
def fast_depthwise(module: nn.Module) -> Iterator[None]:
    """Let the depthwise convolutions of a module compute their gradients in ways that are fast on a CPU.

    oneDNN takes 4 to 20 times as long as need be for weight gradients of kernels wider than 3, and in bfloat16 up to
    100 times for input gradients at strides above 1. The numbers are the same but for rounding.
    """
    layers = [layer for layer in module.modules() if isinstance(layer, nn.Conv2d) and _is_depthwise(layer)]
    with computing_by(_forward, layers):
        yield


@contextmanager
def computing_by(forward: Callable[..., torch.Tensor], layers: Sequence[nn.Module]) -> Iterator[None]:
    """Let layers compute by `forward(layer, inputs)` in place of their own way, and undo it in the end."""
    for layer in layers:
        layer.forward = partial(forward, layer)
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward


def _is_depthwise(layer: nn.Conv2d) -> bool:
    return (
        type(layer).forward is nn.Conv2d.forward
        and "forward" not in vars(layer)
        and 1 < layer.groups == layer.in_channels == layer.out_channels
        and layer.dilation == (1, 1)
        and layer.padding_mode == "zeros"
        and isinstance(layer.padding, tuple)
        and all(0 <= pad < side for pad, side in zip(layer.padding, layer.kernel_size, strict=True))
    )


def _forward(layer: nn.Conv2d, images: torch.Tensor) -> torch.Tensor:
    if not torch.is_grad_enabled():
        return nn.Conv2d.forward(layer, images)
    half = torch.is_autocast_enabled("cpu")
    if (layer.stride == (1, 1) or not half) and _is_fast(images, layer.weight, layer.padding):
        return nn.Conv2d.forward(layer, images)  # without the cost of going through Python
    weight = layer.weight
    if half:
        dtype = torch.get_autocast_dtype("cpu")
        images, weight = images.to(dtype), weight.to(dtype)
    output: torch.Tensor = _Depthwise.apply(images, weight, layer.stride, layer.padding)  # type: ignore[no-untyped-call]
    return output if layer.bias is None else output + layer.bias[:, None, None].to(output.dtype)


def _is_fast(images: torch.Tensor, weight: torch.Tensor, padding: Any) -> bool:
    """Whether oneDNN computes the weight gradient fast: of narrow kernels on images larger than these reach beyond."""
    sides, kernel = images.shape[2:], weight.shape[2:]
    roomy = all(side >= k + pad for side, k, pad in zip(sides, kernel, padding, strict=True))
    return roomy and kernel[1] <= _FAST_WIDTH


class _Depthwise(torch.autograd.Function):
    """A depthwise convolution without bias: images (n, channels, h, w), weight (channels, 1, kernel h, kernel w)."""

    @staticmethod
    def forward(ctx: Any, images: torch.Tensor, weight: torch.Tensor, stride: Any, padding: Any) -> torch.Tensor:
        ctx.save_for_backward(images, weight)
        ctx.stride, ctx.padding = stride, padding
        with torch.autocast("cpu", enabled=False):
            return functional.conv2d(images, weight, None, stride, padding, 1, len(weight))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: torch.Tensor) -> Any:
        (gradient,) = gradients
        images, weight = ctx.saved_tensors
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        of_images = _of_images(gradient, images, weight, ctx.stride, ctx.padding) if ctx.needs_input_grad[0] else None
        of_weight = _of_weight(gradient, images, weight, ctx.stride, ctx.padding) if ctx.needs_input_grad[1] else None
        return of_images, of_weight, None, None


def _of_images(
    gradient: torch.Tensor, images: torch.Tensor, weight: torch.Tensor, stride: Any, padding: Any
) -> torch.Tensor:
    """The gradient of the images: a convolution of the output's gradient with the kernel turned round."""
    if stride != (1, 1) and gradient.dtype == torch.float32:  # natively faster
        found: torch.Tensor = _native(gradient, images, weight, stride, padding, (True, False, False))[0]
        return found
    kernel = weight.shape[2:]
    if stride != (1, 1):  # outputs that the stride left out count as zeros
        sides = [side + 2 * pad - k + 1 for side, pad, k in zip(images.shape[2:], padding, kernel, strict=True)]
        spread = torch.empty(
            (*gradient.shape[:2], *sides), dtype=gradient.dtype, memory_format=torch.channels_last
        ).zero_()
        spread[:, :, :: stride[0], :: stride[1]] = gradient
        gradient = spread
    beyond = [k - 1 - pad for k, pad in zip(kernel, padding, strict=True)]
    return functional.conv2d(gradient, weight.flip(2, 3), None, 1, beyond, 1, len(weight))


def _of_weight(
    gradient: torch.Tensor, images: torch.Tensor, weight: torch.Tensor, stride: Any, padding: Any
) -> torch.Tensor:
    """The gradient of the weight; of wide kernels in parts of `_FAST_WIDTH` columns, of small images padded by us."""
    height, width = weight.shape[2:]
    if _is_fast(images, weight, padding):
        whole: torch.Tensor = _native(gradient, images, weight, stride, padding, (False, True, False))[1]
        return whole
    of_weight = torch.empty_like(weight)
    needed = (gradient.shape[2] - 1) * stride[0] + height  # rows of images, padding included
    columns = min(width, _FAST_WIDTH)
    reach = (gradient.shape[3] - 1) * stride[1] + columns
    part = weight[..., :columns]
    for start in (*range(0, width - columns, columns), width - columns):
        seen = _columns(images, start - padding[1], reach, above=padding[0], rows=needed)
        found = _native(gradient, seen, part, stride, (0, 0), (False, True, False))[1]
        of_weight[..., start : start + columns] = found
    return of_weight


def _columns(images: torch.Tensor, first: int, count: int, *, above: int, rows: int) -> torch.Tensor:
    """Columns of images from `first` on, zeros where there are none, under `above` rows of zeros, `rows` in all."""
    height, width = images.shape[2:]
    start, stop = (min(max(column, 0), width) for column in (first, first + count))
    missing = min(max(-first, 0), count), min(max(first + count - width, 0), count)
    return functional.pad(images[..., start:stop], (*missing, above, rows - height - above))


def _native(
    gradient: torch.Tensor, images: torch.Tensor, weight: torch.Tensor, stride: Any, padding: Any, wanted: Any
) -> Any:
    backward = torch.ops.aten.convolution_backward
    return backward(gradient, images, weight, None, stride, padding, (1, 1), False, (0, 0), len(weight), wanted)
