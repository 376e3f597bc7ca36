"""How long kernels take within a network, by differences.

What is timed is what makes the inputs of a kernel, with it and without it. So the runtime hands its inputs over in the
layout that they have in a network; a kernel alone pays for layouts that no network needs. Between two calls as many
weights are read as a network has; a kernel that is called over and over keeps its own in the cache.

Small kernels are timed several at once: the same model loaded twice takes half a microsecond more or less, by where its
memory happens to lie, and many a kernel takes no more than three.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import TypeVar

import torch

from moonas.errors import MoonasError
from moonas.hardware.device import DeviceProfile
from moonas.hardware.kernels import Kernel
from moonas.hardware.latency import Latency, measure, nothing
from moonas.hardware.replay import KernelInContext, Nothing, Place, Replayed, Rest, SideBySide, context_of, place_of
from moonas.hardware.roofline import Work, work_of
from moonas.hardware.runtime import Inference, prepare, prepare_parts

Result = TypeVar("Result")
CALL = "call"
"""The key of what an inference takes whatever it computes."""
_TOGETHER = 96
"""Kernels that are timed side by side: what a kill loses, and what a small board has memory for."""
_TIMES_OF_SMALL_ONES = 4
_SMALL_MULTIPLY_ADDS, _SMALL_BYTES = 10_000_000, 1_000_000


@dataclass(frozen=True)
class KernelTime:
    """What a kernel adds to the latency of a network.

    Attributes:
        key: of the kernel.
        microseconds: may be negative by chance, where a kernel takes next to nothing.
        uncertainty_us: how far it was from what even and odd rounds found.
        work: what it asks of the device.
    """

    key: str
    microseconds: float
    uncertainty_us: float
    work: Work


class Pace:
    """How fast the machine is, by whole networks that are timed with each group of kernels.

    A shared machine is slower by a third or more for minutes. Kernels of one group are all slower then, and a network
    has kernels of many groups; what the same networks take with each group tells by how much.
    """

    def __init__(self, first: Mapping[str, KernelTime]):
        """Take a table, which knows how long the networks took with the first group, if there was one."""
        self._first_us = [first[key].microseconds for key in map(_network, range(len(first))) if key in first]

    def corrected(self, times: Sequence[KernelTime], networks: Sequence[Latency]) -> list[KernelTime]:
        """What kernels would have taken with the first group, given what the networks took with them.

        With the first group itself, what the networks took is added.
        """
        took_us = [1000 * each.best for each in networks]
        added = []
        if not self._first_us:
            self._first_us = took_us
            added = [KernelTime(_network(i), each, 0.0, Work(calls=0)) for i, each in enumerate(took_us)]
        ratio = median(now / first for now, first in zip(took_us, self._first_us, strict=False)) if took_us else 1.0
        same = (replace(e, microseconds=e.microseconds / ratio, uncertainty_us=e.uncertainty_us / ratio) for e in times)
        return [*same, *added]


def _network(number: int) -> str:
    """The key of one of the networks that tell how fast the machine is."""
    return f"network {number}"


@dataclass(frozen=True)
class Comparison:
    """A kernel whose time is a difference.

    Attributes:
        key: of the kernel.
        work: what it adds to what a network asks of the device.
        whole: number, among what is timed together, of what makes its inputs, and the kernel.
        less: of what makes its inputs, alone.
        times: how often the kernel is in it.
    """

    key: str
    work: Work
    whole: int
    less: int
    times: int

    def time(self, found: Sequence[Latency]) -> KernelTime:
        """Take the difference of what was timed together."""
        whole, less = found[self.whole], found[self.less]
        uncertainty = whole.best * whole.repeatability + less.best * less.repeatability
        one_us = 1000 / self.times
        return KernelTime(self.key, one_us * (whole.best - less.best), one_us * uncertainty, self.work)


@dataclass(frozen=True)
class Together:
    """What is timed side by side: kernels with what makes their inputs, and once for each place this alone."""

    modules: tuple[Replayed, ...]
    comparisons: tuple[Comparison, ...]

    def ready(self, prepare: Callable[[Replayed], Result]) -> tuple[list[Result], list[Comparison]]:
        """Make the modules ready, and compare those that can be: a runtime may know no such operator.

        Raises:
            MoonasError, OSError, MemoryError: what no operator is to blame for.
        """
        results: list[Result] = []
        numbers: dict[int, int] = {}
        for number, module in enumerate(self.modules):
            try:
                results.append(prepare(module))
            except (MoonasError, OSError, MemoryError):
                raise
            except Exception:  # of many kinds, none of which has a name
                continue
            numbers[number] = len(results) - 1
        able = (each for each in self.comparisons if {each.whole, each.less} <= numbers.keys())
        return results, [replace(each, whole=numbers[each.whole], less=numbers[each.less]) for each in able]


def together(kernels: Sequence[Kernel]) -> Iterator[Together]:
    """Divide kernels into some dozens at a time, those of one place together.

    Those that cannot be computed by themselves are left out: who reads positions or truth values, or is an operator of
    the user's own.
    """
    for some in _groups(kernels):
        replayed = {kernel: _replayed(kernel) for kernel in some}
        modules = {kernel: module for kernel, module in replayed.items() if module is not None}
        if not modules:
            continue
        contexts = list(dict.fromkeys(map(_context, modules)))
        less = {context: len(modules) + i for i, context in enumerate(contexts)}
        comparisons = (
            Comparison(each.key, added_work(each), i, less[_context(each)], times_at_once(each))
            for i, each in enumerate(modules)
        )
        alone = (SideBySide([context_of(place) for _ in range(times)]) for place, times in contexts)
        yield Together((*modules.values(), *alone), tuple(comparisons))


def count_timed(kernels: Sequence[Kernel], *, networks: int) -> int:
    """How many models are timed: kernels, in each group of them once what makes their inputs, a call, and networks."""
    return sum(len(some) + len(set(map(_context, some))) + 1 + networks for some in _groups(kernels))


def _groups(kernels: Sequence[Kernel]) -> Iterator[Sequence[Kernel]]:
    ordered = sorted(kernels, key=_context)
    for start in range(0, len(ordered), _TOGETHER):
        yield ordered[start : start + _TOGETHER]


def times_at_once(kernel: Kernel) -> int:
    """How often a kernel is computed in one call that is timed."""
    is_small = kernel.multiply_adds <= _SMALL_MULTIPLY_ADDS and kernel.bytes <= _SMALL_BYTES
    return _TIMES_OF_SMALL_ONES if is_small else 1


def _context(kernel: Kernel) -> tuple[Place, int]:
    """What is timed without the kernel: the same for all kernels of a place that are timed as often at once."""
    return place_of(kernel), times_at_once(kernel)


def _replayed(kernel: Kernel) -> Replayed | None:
    """A kernel in its context, as often as it is timed at once, if it can be computed there."""
    try:
        module = SideBySide([KernelInContext(kernel) for _ in range(times_at_once(kernel))]).eval()
        with torch.no_grad():
            module(*module.inputs)
    except Exception:  # whatever an operator raises that is given other things than in its network
        return None
    return module


def added_work(kernel: Kernel) -> Work:
    """What a kernel adds to what a network asks of a device."""
    return replace(work_of([kernel]), calls=0)


def time_kernels(
    kernels: Sequence[Kernel],
    device: DeviceProfile,
    *,
    weight_bytes: int,
    networks: Sequence[Inference] = (),
    pace: Pace | None = None,
    seed: int = 0,
    told: Callable[[int], None] = lambda rounds: None,
) -> Iterator[list[KernelTime]]:
    """Time kernels, some dozens at a time, side by side with what makes their inputs, and with a call.

    Args:
        kernels: what is timed.
        device: where and how.
        weight_bytes: of the networks that the kernels are from: so much is read between calls.
        networks: some of these, timed with each group, for the pace.
        pace: of the machine with groups that were timed before.
        seed: of the orders.
        told: called with the rounds that were timed of those that are timed together.

    Yields:
        a call, and those that were timed together.
    """
    rest, pace = _rest(weight_bytes, device), pace or Pace({})
    call = prepare(Nothing(), Nothing.inputs[0].shape[1:], device)
    for some in together(kernels):
        parts, comparisons = some.ready(lambda module: prepare_parts(module, module.inputs, device, copies=2))
        timed = [call, *(once for once, _ in parts), *networks]
        before = [rest, *(_both(rest, again) for _, again in parts), *[nothing] * len(networks)]
        first, *others = measure(timed, device, before=before, seed=seed, told=told)
        times = [call_time(first), *(comparison.time(others) for comparison in comparisons)]
        yield pace.corrected(times, others[len(parts) :])


def call_time(found: Latency) -> KernelTime:
    """What an inference takes that computes nothing."""
    return KernelTime(CALL, 1000 * found.best, 1000 * found.best * found.repeatability, Work())


def _rest(weight_bytes: int, device: DeviceProfile) -> Inference:
    module = Rest(weight_bytes)
    return prepare_parts(module, module.inputs, device, copies=1)[0]


def _both(rest: Inference, copy: Inference) -> Inference:
    """The rest of a network, then a copy of the kernel.

    The first takes the kernel's weights out of the caches, the second brings back its code and its working memory.
    """

    def run() -> None:
        rest()
        copy()

    return run
