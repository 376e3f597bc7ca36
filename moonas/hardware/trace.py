"""The operations of a network, traced without computing them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from moonas.hardware.twin import meta_twin

INPUT = -1
"""In place of an operation's number: the network's input."""
TENSOR = "tensor"
"""In place of an argument: one of the tensors that are read."""
_MOST_KNOWN = 100_000
Form = tuple[torch.Size, tuple[int, ...], torch.dtype, torch.device]
"""Shape, strides, type and place of a tensor."""


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
        is_result: whether the network gives back what it makes.
    """

    kind: str
    inputs: tuple[int | None, ...]
    input_shapes: tuple[tuple[int, ...], ...]
    output_shape: tuple[int, ...]
    arguments: tuple[tuple[str, Any], ...]
    multiply_adds: int
    bytes: int
    is_result: bool = False

    @property
    def options(self) -> dict[str, Any]:
        """Its arguments that are no tensors, as strides and paddings."""
        return {name: value for name, value in self.arguments if not _reads(value)}

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
    twin = meta_twin(module).eval()
    images = torch.empty(batch, *input_shape, device="meta")
    with torch.no_grad(), torch.device("meta"), _Recorder(images) as recorder:  # tensors it makes itself go there, too
        results = recorder.makers(twin(images))
    return tuple(replace(each, is_result=number in results) for number, each in enumerate(recorder.operations))


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records operations, and answers from memory what was asked before: most of a trace goes into shapes.

    Who made a tensor is known by its storage: a view has that of what it shows, and what is written in place has that
    of before.
    """

    def __init__(self, inputs: torch.Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations: list[Operation] = []
        self._makers = {_storage(inputs): INPUT}
        self._alive = [inputs]  # the number of a storage may come again once it is gone

    def makers(self, value: Any) -> set[int | None]:
        """The numbers of the operations that made the tensors in a value."""
        return {self._makers.get(_storage(tensor)) for tensor in _tensors(value)}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func.is_view or func.overloadpacket is torch.ops.aten._unsafe_view:
            return func(*args, **kwargs)
        inputs = tuple(self._makers.get(_storage(tensor)) for tensor in _tensors((args, kwargs)))
        result, operation = _call(func, args, kwargs)
        if operation is None:
            return result
        if any(number is not None for number in inputs):
            made = list(_tensors(result))
            self._alive += made
            self._makers.update((_storage(tensor), len(self.operations)) for tensor in made)
        self.operations.append(replace(operation, inputs=inputs))
        return result


@dataclass(frozen=True)
class _Known:
    """What a call came to: the forms of its results (none if it gave back its first argument), and its description."""

    forms: tuple[Form, ...]
    container: type
    operation: Operation | None

    def result(self, args: Sequence[Any]) -> Any:
        if not self.forms:
            return args[0]
        made = [torch.empty_strided(size, stride, dtype=dtype, device=at) for size, stride, dtype, at in self.forms]
        return made[0] if self.container is torch.Tensor else self.container(made)


_known: dict[Any, _Known] = {}


def _call(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Any, Operation | None]:
    """Call an operator, or answer as it did when it was given the same; and describe it."""
    key = (func, _signature(args), _signature(kwargs))
    known = _known.get(key)
    if known is not None:
        return known.result(args), known.operation
    first = _form(args[0]) if args and isinstance(args[0], torch.Tensor) else None
    result = func(*args, **kwargs)
    operation = _describe(func, args, kwargs, result)
    returned = list(_tensors(result))
    if len(_known) >= _MOST_KNOWN:
        _known.clear()
    if first is not None and result is args[0] and _form(result) == first:
        _known[key] = _Known((), torch.Tensor, operation)
    elif not func._schema.is_mutable and _is_flat(result):
        container = torch.Tensor if isinstance(result, torch.Tensor) else type(result)
        _known[key] = _Known(tuple(map(_form, returned)), container, operation)
    return result, operation


def _describe(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any], result: Any) -> Operation | None:
    """Describe a call, but for who made its inputs; None for what only allocates."""
    inputs, outputs = list(_tensors((args, kwargs))), list(_tensors(result))
    if not inputs or not outputs:
        return None
    count = flop_registry.get(func.overloadpacket)
    flops = count(*args, **kwargs, out_val=result) if count else 0
    named = {argument.name: value for argument, value in zip(func._schema.arguments, args, strict=False)}
    return Operation(
        kind=func.overloadpacket.__name__,
        inputs=(),
        input_shapes=tuple(tuple(tensor.shape) for tensor in inputs),
        output_shape=tuple(outputs[0].shape),
        arguments=tuple((name, _plain(value)) for name, value in {**named, **kwargs}.items()),
        multiply_adds=flops // 2,  # PyTorch counts a multiply-add as two
        bytes=sum(math.prod(t.shape) * t.element_size() for t in (*inputs, outputs[0])),
    )


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _tensors(each)
    elif isinstance(value, dict):
        yield from _tensors(list(value.values()))


def _plain(value: Any) -> Any:
    """An argument as a value that can be hashed and written down."""
    if isinstance(value, list | tuple):
        return tuple(map(_plain, value))
    if isinstance(value, torch.Tensor):
        return TENSOR
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _reads(argument: Any) -> bool:
    return argument == TENSOR or (isinstance(argument, tuple) and TENSOR in argument)


def _storage(tensor: torch.Tensor) -> int:
    number: int = tensor.untyped_storage()._cdata
    return number


def _is_flat(result: Any) -> bool:
    """Whether a result is a tensor, or a tuple or list of nothing but tensors."""
    if isinstance(result, torch.Tensor):
        return True
    return type(result) in (tuple, list) and all(isinstance(each, torch.Tensor) for each in result)


def _form(tensor: torch.Tensor) -> Form:
    return tensor.shape, tensor.stride(), tensor.dtype, tensor.device


def _signature(value: Any) -> Any:
    """What of an argument decides the form of a result; hashable."""
    if isinstance(value, torch.Tensor):
        return _form(value)
    if isinstance(value, list | tuple):
        return tuple(map(_signature, value))
    if isinstance(value, dict):
        return tuple((name, _signature(each)) for name, each in value.items())
    return type(value), value  # 1, 1.0 and True are equal
