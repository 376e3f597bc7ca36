"""A copy of a module that has shapes and no values."""

from __future__ import annotations

import copy
import io
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from moonas.hardware.meta import META

_PLAIN = frozenset({type(None), bool, int, float, complex, str, torch.dtype, torch.device, torch.Size})
"""Types of what never changes."""
_COLLECTIONS = frozenset({dict, OrderedDict, set, list, tuple})


def meta_twin(module: nn.Module) -> nn.Module:
    """A copy of a module on PyTorch's meta device; weights are not copied, they are only as large.

    As `copy.deepcopy`, but for what each part holds beside its parts and weights, most of which needs no copy.
    """
    twins: dict[int, Any] = {}
    parts = []
    for part in module.modules():
        if isinstance(part, torch.jit.ScriptModule):  # most of it is not in Python
            twins.setdefault(id(part), _compiled_twin(part))
        elif id(part) not in twins:
            twins[id(part)] = part.__new__(type(part))
            parts.append(part)
    for part in parts:
        vars(twins[id(part)]).update(_all_copied(vars(part), twins))
    whole: nn.Module = twins[id(module)]
    return whole


def _compiled_twin(part: torch.jit.ScriptModule) -> Any:
    file = io.BytesIO()
    torch.jit.save(part, file)
    file.seek(0)
    return torch.jit.load(file, map_location="meta")  # type: ignore[no-untyped-call]


def _all_copied(values: Mapping[Any, Any], twins: dict[int, Any]) -> dict[Any, Any]:
    """Deep copies, quick for the dozen mostly empty collections that each module has."""
    return {
        name: value
        if (kind := type(value)) in _PLAIN
        else kind()
        if kind in _COLLECTIONS and not value
        else _copied(value, twins)
        for name, value in values.items()
    }


def _copied(value: Any, twins: dict[int, Any]) -> Any:
    """A deep copy, without tensors' values."""
    known = twins.get(id(value))
    if known is not None:
        return known
    kind = type(value)
    if kind is dict or kind is OrderedDict:
        return kind(_all_copied(value, twins))
    if kind is list or kind is tuple:
        return kind([each if type(each) in _PLAIN else _copied(each, twins) for each in value])
    if isinstance(value, torch.Tensor):
        like = torch.empty_like(value, device=META)
        twins[id(value)] = nn.Parameter(like, requires_grad=False) if isinstance(value, nn.Parameter) else like
        return twins[id(value)]
    return copy.deepcopy(value, twins)
