"""The operations of a network, traced without computing them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import flop_registry

from moonas.hardware.meta import CONSTANT, META, Made, OnMeta, call_on_meta, form, is_flat, signature, storage, tensors
from moonas.hardware.twin import meta_twin

INPUT = -1
"""In place of an operation's number: the network's input."""
TENSOR = "tensor"
"""In place of an argument: one of the tensors that are read."""
_MOST_KNOWN = 100_000
_UNSAFE_VIEW = torch.ops.aten._unsafe_view.default
Arguments = tuple[tuple[str, Any], ...]
"""Names and values."""


@dataclass(frozen=True)
class Operation:
    """One operator call of a forward pass.

    Attributes:
        kind: the name of the ATen operator, as `convolution`, `addmm`, `relu_`.
        inputs: for each tensor that it reads, the number of the operation that made it, or `INPUT`; None for weights
            and whatever else does not depend on the network's input.
        input_shapes: of these tensors, batch included.
        output_shape: of its first result, batch included.
        arguments: by name, `TENSOR` standing for each tensor that it reads.
        multiply_adds: of convolutions and matrix products; 0 for the rest.
        bytes: moved at least: all tensors read, weights included, and the first result written.
        text: kind, shapes and options, to be read; operations of one text take equally long, but for who made their
            inputs. In place or not is one.
        is_result: whether the network gives back what it makes.
        overload: which one of the operators of this name, as PyTorch calls it.
    """

    kind: str
    inputs: tuple[int | None, ...]
    input_shapes: tuple[tuple[int, ...], ...]
    output_shape: tuple[int, ...]
    arguments: Arguments
    multiply_adds: int
    bytes: int
    text: str
    is_result: bool = False
    overload: str = "default"

    @property
    def options(self) -> dict[str, Any]:
        """Its arguments that are no tensors, as strides and paddings."""
        return dict(_options(self.arguments))

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Of the first tensor that it reads."""
        return self.input_shapes[0]


def trace(module: nn.Module, input_shape: Sequence[int], *, batch: int = 1) -> tuple[Operation, ...]:
    """List the operations of one forward pass in evaluation mode.

    A twin of the module runs on PyTorch's meta device, so nothing is computed and the module stays as it is.

    Args:
        module: takes (batch, *input_shape).
        input_shape: of one input, as (channels, height, width).
        batch: inputs of the pass.
    """
    twin = meta_twin(module)
    images = torch.empty(batch, *input_shape, device=META)
    with torch.no_grad(), _Recorder(images) as recorder:
        results = recorder.makers(twin.eval()(images))
    return tuple(
        replace(operation, inputs=inputs, is_result=number in results)
        for number, (operation, inputs) in enumerate(recorder.calls)
    )


class _Recorder(OnMeta):  # type: ignore[no-untyped-call]
    """Records operations, and answers from memory what was asked before: most of a trace goes into shapes.

    Who made a tensor is known by its storage: a view has that of what it shows, and what is written in place has that
    of before.

    Attributes:
        calls: each operation, and who made its inputs.
    """

    def __init__(self, inputs: torch.Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls: list[tuple[Operation, tuple[int | None, ...]]] = []
        self._makers = {storage(inputs): INPUT}
        self._alive = [inputs]  # the number of a storage may come again once it is gone

    def makers(self, value: Any) -> set[int | None]:
        """The numbers of the operations that made the tensors in a value."""
        return {self._makers.get(storage(tensor)) for tensor in tensors(value)}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func.is_view or func is _UNSAFE_VIEW:
            return call_on_meta(func, args, kwargs) if func is CONSTANT else func(*args, **kwargs)
        read: list[torch.Tensor] = []
        result, operation = _call(func, args, kwargs, (func, signature(args, read), signature(kwargs, read)))
        if operation is None:
            return result
        inputs = tuple([self._makers.get(storage(tensor)) for tensor in read])
        if inputs.count(None) < len(inputs):
            made = list(tensors(result))
            self._alive += made
            self._makers.update((storage(tensor), len(self.calls)) for tensor in made)
        self.calls.append((operation, inputs))
        return result


_known: dict[Any, tuple[Made, Operation | None]] = {}


def _call(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any], key: Any) -> tuple[Any, Operation | None]:
    """Call an operator, or answer as it did when it was given the same; and describe it."""
    if key in _known:
        made, operation = _known[key]
        return made.again(args), operation
    first = form(args[0]) if args and isinstance(args[0], torch.Tensor) else None
    result = call_on_meta(func, args, kwargs)
    operation = _describe(func, args, kwargs, result)
    if len(_known) >= _MOST_KNOWN:
        _known.clear()
    if first is not None and result is args[0] and form(result) == first:
        _known[key] = Made((), torch.Tensor), operation
    elif not func._schema.is_mutable and is_flat(result):
        container = torch.Tensor if isinstance(result, torch.Tensor) else type(result)
        _known[key] = Made(tuple(map(form, tensors(result))), container), operation
    return result, operation


def _describe(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any], result: Any) -> Operation | None:
    """Describe a call, but for who made its inputs; None for what only allocates."""
    inputs, outputs = list(tensors((args, kwargs))), list(tensors(result))
    if not inputs or not outputs:
        return None
    count = flop_registry.get(func.overloadpacket)
    flops = count(*args, **kwargs, out_val=result) if count else 0
    named = {argument.name: value for argument, value in zip(func._schema.arguments, args, strict=False)}
    kind, shapes = func.overloadpacket.__name__, tuple(tuple(tensor.shape) for tensor in inputs)
    arguments = tuple((name, _plain(value)) for name, value in {**named, **kwargs}.items())
    return Operation(
        kind=kind,
        inputs=(),
        input_shapes=shapes,
        output_shape=tuple(outputs[0].shape),
        arguments=arguments,
        multiply_adds=flops // 2,  # PyTorch counts a multiply-add as two
        bytes=sum(math.prod(t.shape) * t.element_size() for t in (*inputs, outputs[0])),
        text=_text(kind, shapes, arguments),
        overload=func._overloadname,
    )


def _text(kind: str, shapes: Sequence[tuple[int, ...]], arguments: Arguments) -> str:
    options = "".join(f" {name}={value}" for name, value in _options(arguments))
    return f"{kind.rstrip('_')} {', '.join('x'.join(map(str, shape)) or 'scalar' for shape in shapes)}{options}"


def _options(arguments: Arguments) -> list[tuple[str, Any]]:
    return [(name, value) for name, value in arguments if not _reads(value)]


def _plain(value: Any) -> Any:
    """An argument as a value that can be hashed and written down."""
    if isinstance(value, list | tuple):
        return tuple(map(_plain, value))
    if isinstance(value, torch.Tensor):
        return TENSOR
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _reads(argument: Any) -> bool:
    return argument == TENSOR or (isinstance(argument, tuple) and TENSOR in argument)
