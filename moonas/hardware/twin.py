"""A copy of a module that has shapes and no values."""

from __future__ import annotations

import copy
import io
from collections import OrderedDict
from typing import Any

import torch
from torch import nn


def meta_twin(module: nn.Module) -> nn.Module:
    """A copy of a module on PyTorch's meta device; weights are not copied, they are only as large.

    As `copy.deepcopy`, but for what each part holds beside its parts and weights, most of which needs no copy.
    """
    twins: dict[int, Any] = {}
    for tensor in (*module.parameters(), *module.buffers()):
        like = torch.empty_like(tensor, device="meta")
        twins[id(tensor)] = nn.Parameter(like, requires_grad=False) if isinstance(tensor, nn.Parameter) else like
    parts = list(module.modules())
    for part in parts:
        if isinstance(part, torch.jit.ScriptModule):  # most of it is not in Python
            twins[id(part)] = _compiled_twin(part)
    parts = [part for part in parts if id(part) not in twins]
    for part in parts:
        twins[id(part)] = part.__new__(type(part))
    for part in parts:
        copied = {name: _copied(value, twins) for name, value in vars(part).items()}
        vars(twins[id(part)]).update(copied)
    twin: nn.Module = twins[id(module)]
    return twin.to("meta")


def _compiled_twin(part: torch.jit.ScriptModule) -> Any:
    file = io.BytesIO()
    torch.jit.save(part, file)
    file.seek(0)
    return torch.jit.load(file, map_location="meta")  # type: ignore[no-untyped-call]


def _copied(value: Any, twins: dict[int, Any]) -> Any:
    """A deep copy, quick for the dozen mostly empty dictionaries that each module has, and without tensors' values."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if type(value) in (dict, OrderedDict):
        return type(value)((key, _copied(each, twins)) for key, each in value.items())
    if id(value) in twins:
        return twins[id(value)]
    if type(value) in (list, tuple):
        return type(value)(_copied(each, twins) for each in value)
    return torch.empty_like(value, device="meta") if isinstance(value, torch.Tensor) else copy.deepcopy(value, twins)
