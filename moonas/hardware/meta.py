"""Tensors without values, and where they are among the arguments and results of operators."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

META = torch.device("meta")
CONSTANT = torch.ops.aten.lift_fresh.default
"""What `torch.tensor` calls in the end."""
Form = tuple[torch.Size, tuple[int, ...], torch.dtype]
"""Shape, strides and type of a tensor."""


@dataclass(frozen=True)
class Made:
    """What a call of an operator came to: the forms of its results; none if it gave back its first argument."""

    forms: tuple[Form, ...]
    container: type

    def again(self, args: Sequence[Any]) -> Any:
        """The result of another such call."""
        if not self.forms:
            return args[0]
        made = [torch.empty_strided(size, stride, dtype=dtype, device=META) for size, stride, dtype in self.forms]
        return made[0] if self.container is torch.Tensor else self.container(made)


class OnMeta(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sends all tensors that operators make to the meta device, also those that a module puts elsewhere."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Whether PyTorch's compiler is to be kept out of what follows, which would take loading it."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return call_on_meta(func, args, kwargs or {})


def call_on_meta(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Call an operator there; one that gives back its first argument gives back that."""
    if func is CONSTANT:
        return on_meta(func(*args, **kwargs))
    given, named = on_meta(args), on_meta(kwargs)
    result = func(*given, **(named | {"device": META} if places(func) else named))
    return args[0] if given and result is given[0] else result


def places(func: Any) -> bool:
    """Whether an operator is told on which device to make its result."""
    return any(argument.name == "device" for argument in func._schema.arguments)


def on_meta(value: Any) -> Any:
    """A value with its tensors on the meta device: a constant that a module makes comes from elsewhere."""
    if isinstance(value, torch.Tensor):
        return value if value.is_meta else torch.empty_like(value, device=META)
    if type(value) in (list, tuple):
        return type(value)(map(on_meta, value))
    return {name: on_meta(each) for name, each in value.items()} if isinstance(value, dict) else value


def tensors(value: Any) -> Iterator[torch.Tensor]:
    """All that are in lists, tuples and dictionaries."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for each in value:
            yield from tensors(each)
    elif isinstance(value, dict):
        yield from tensors(list(value.values()))


def storage(tensor: torch.Tensor) -> int:
    """The number of what holds its values, as long as it lives; views share it."""
    number: int = tensor.untyped_storage()._cdata
    return number


def is_flat(result: Any) -> bool:
    """Whether a result is a tensor, or a tuple or list of nothing but tensors."""
    if isinstance(result, torch.Tensor):
        return True
    return type(result) in (tuple, list) and all(isinstance(each, torch.Tensor) for each in result)


def form(tensor: torch.Tensor) -> Form:
    """Take the form of a tensor."""
    return tensor.shape, tensor.stride(), tensor.dtype


def signature(value: Any, read: list[torch.Tensor]) -> Any:
    """What of an argument decides the form of a result, hashable; its tensors are added to those that are read."""
    if isinstance(value, torch.Tensor):
        read.append(value)
        return form(value)
    kind = type(value)
    if kind is tuple or kind is list:
        return tuple([signature(each, read) for each in value])
    if kind is dict:
        return tuple([(name, signature(each, read)) for name, each in value.items()])
    return kind, value  # 1, 1.0 and True are equal
