"""Multiply-adds as fvcore counts them, read off a trace: fvcore itself takes longer than all else that is counted."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

_FREE = frozenset(
    {
        *("add", "sub", "mul", "cat", "clone", "constant_pad_nd", "_softmax"),
        *("relu", "leaky_relu", "hardtanh", "hardswish", "hardsigmoid", "sigmoid", "silu", "gelu"),
        *("avg_pool2d", "max_pool2d_with_indices"),
    }
)


def _inputs(operation: Any) -> int:
    return math.prod(operation.input_shape)


def _products(operation: Any) -> int:
    return int(operation.multiply_adds)


def _mean(operation: Any) -> int | None:
    """Adaptive pooling to one pixel, which fvcore counts, comes as this mean; other means it does not count."""
    is_pooling = operation.options.get("dim") == (-1, -2) and operation.options.get("keepdim") is True
    return _pooling(operation) if is_pooling else 0


def _pooling(operation: Any) -> int | None:
    """Adaptive pooling; that of sequences, which fvcore does not count, is one of images that are one pixel high."""
    *_, height, width = operation.input_shape
    return None if height == 1 and width > 1 else _inputs(operation)


def _unknown(operation: Any) -> None:
    """Nobody knows here."""


def _norm(operation: Any, *, plain: int) -> int | None:
    """By statistics that are known; fvcore counts more where they are taken from the input."""
    if operation.options.get("training"):
        return None
    is_affine = dict(operation.arguments).get("weight") is not None
    return _inputs(operation) * (plain + is_affine)


_COUNTED: Mapping[str, Callable[[Any], int | None]] = {
    "convolution": _products,
    "addmm": _products,
    "mm": _products,
    "bmm": _products,
    "native_batch_norm": lambda operation: _norm(operation, plain=1),
    "native_layer_norm": lambda operation: _norm(operation, plain=4),
    "_adaptive_avg_pool2d": _pooling,
    "mean": _mean,
    "upsample_nearest2d": lambda operation: math.prod(operation.output_shape),
    "upsample_bilinear2d": lambda operation: 4 * math.prod(operation.output_shape),
}


def flops_of(operations: Sequence[Any]) -> int | None:
    """Add up what fvcore would count; additions and activations do not.

    Of networks that somebody wrote a trace does not tell two things: what was an `einsum`, of which fvcore counts more,
    and that a result is not needed, which fvcore leaves out.

    Args:
        operations: of one input, see `moonas.hardware.trace.Operation`.

    Returns:
        None if there is an operator of which it is not known here what fvcore makes of it.
    """
    total = 0
    for operation in operations:
        kind = operation.kind.rstrip("_")
        counted = 0 if kind in _FREE else _COUNTED.get(kind, _unknown)(operation)
        if counted is None:
            return None
        total += counted
    return total
