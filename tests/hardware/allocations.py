"""What PyTorch's own allocator gives and takes during a call on the CPU, by its profiler."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import torch
from torch._C._profiler import _EventType

ANY = "aten::"
CONVOLUTIONS = "aten::convolution"


@dataclass(frozen=True)
class Allocation:
    """Memory given, or taken back: fewer than no bytes."""

    nanoseconds: int
    address: int
    bytes: int
    operator: int | None


def allocated_bytes(call: Callable[[], Any], *, without_buffers_of: str) -> int:
    """The most bytes that are allocated at once in a call.

    Args:
        call: is called twice before.
        without_buffers_of: how the names of operators begin whose work buffers are left out: what is given and taken
            back within one call of them.
    """
    for _ in range(2):
        call()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        call()
    assert profile.profiler is not None
    tree = profile.profiler.kineto_results.experimental_event_tree()
    found = sorted(_allocations(tree, without_buffers_of, None), key=lambda each: each.nanoseconds)
    return max(accumulate(each.bytes for each in _lasting(found)))


def _allocations(events: Sequence[Any], operators: str, inside: int | None) -> Iterator[Allocation]:
    for event in events:
        if event.typed[0] == _EventType.Allocation:
            fields = event.extra_fields
            yield Allocation(event.start_time_ns, fields.ptr, fields.alloc_size, inside)
        else:
            begins = inside is None and event.name.startswith(operators)
            yield from _allocations(event.children, operators, id(event) if begins else inside)


def _lasting(allocations: Sequence[Allocation]) -> list[Allocation]:
    """Those that are no work buffers."""
    given: dict[int, int] = {}
    buffers: set[int] = set()
    for number, each in enumerate(allocations):
        if each.bytes > 0:
            given[each.address] = number
            continue
        start = given.pop(each.address, None)
        if start is not None and each.operator is not None and allocations[start].operator == each.operator:
            buffers |= {start, number}
    return [each for number, each in enumerate(allocations) if number not in buffers]
