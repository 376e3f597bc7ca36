"""Wall-clock latency of several networks side by side.

The floor over interleaved rounds, in a new random order each round, ranks networks reliably even on a busy machine,
where medians of separate blocks do not: a disturbance hits all candidates alike, and the best of several rounds is one
that nothing disturbed.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np

from moonas.hardware.device import DeviceProfile

if TYPE_CHECKING:
    from moonas.hardware.runtime import Inference  # torch

Clock = Callable[["Inference", int, "Inference"], list[float]]
"""Times calls of an inference, so many, after what is done before each, in milliseconds."""
Quality = Literal["good", "noisy", "bad"]
"""What a timing says of itself."""
_WARM_UP_CALLS = 5
_FEWEST_CALLS = 3
_MORE_ROUNDS = 10
_STEADY, _BAD = 0.05, 0.15
_UNDISTURBED = 0.9


@dataclass(frozen=True)
class Latency:
    """What was timed of one network, in milliseconds for one inference.

    Attributes:
        best: the floor: the fastest call of all.
        median: over all calls.
        p10: the time that 1 of 10 calls kept.
        p90: the time that 9 of 10 calls kept.
        uncertainty: how far above `best` three of four rounds had their floor at most, as a share of `best`.
        repeatability: how far apart the floors of even and odd rounds are, as a share of `best`.
        calls: that were timed.
        rounds: in which they were.
        cpu_over_wall: share of the time in which this process was computing; less where others were.
        wall: of a GPU, median by the CPU's clock from a call until its result is there; all other times are the GPU's
            own, of calls that follow each other. None of a CPU, whose times are all of that kind.
    """

    best: float
    median: float
    p10: float
    p90: float
    uncertainty: float
    repeatability: float
    calls: int
    rounds: int
    cpu_over_wall: float
    wall: float | None = None

    @property
    def quality(self) -> Quality:
        """Whether another measurement would find the same; see `quality_of`."""
        return quality_of(self.repeatability, cpu_over_wall=self.cpu_over_wall)


def quality_of(repeatability: float, *, cpu_over_wall: float) -> Quality:
    """Whether another measurement would find the same: `bad` if hardly, `noisy` if others computed meanwhile.

    Args:
        repeatability: as of a `Latency`.
        cpu_over_wall: the same.
    """
    if repeatability > _BAD:
        return "bad"
    return "good" if repeatability <= _STEADY and cpu_over_wall >= _UNDISTURBED else "noisy"


def measure(
    inferences: Sequence[Inference],
    device: DeviceProfile,
    *,
    before: Sequence[Inference] | None = None,
    up_to_s: float = 0.0,
    patience: int = 0,
    seed: int = 0,
    told: Callable[[int], None] = lambda rounds: None,
) -> list[Latency]:
    """Time inferences in interleaved rounds.

    Args:
        inferences: one call for each network; see `moonas.hardware.runtime.prepare`.
        device: gives the rounds, their duration and the clock.
        before: for each inference what is done before each call of it, untimed.
        up_to_s: there are ten times as many rounds, as long as they take no longer than this, in seconds.
        patience: further rounds for those whose even and odd rounds differ by more than 5 %, at most.
        seed: of the orders.
        told: called with the rounds that were timed.
    """
    clock = _time_cuda if device.processor == "cuda" else _time_cpu
    prior = before or [nothing] * len(inferences)
    random = np.random.default_rng(seed)
    visits = [_Visits(device.threads) for _ in inferences]
    with undisturbed(device.threads):
        calls = [_calls_in_a_round(*pair, device, clock) for pair in zip(inferences, prior, strict=True)]
        rounds, begun = 0, time.perf_counter_ns()

        def visit(wanted: Sequence[int]) -> None:
            for i in random.permutation(wanted):
                visits[i].add(partial(clock, inferences[i], calls[i], prior[i]))
                if clock is _time_cuda:
                    visits[i].walls += _time_waiting(inferences[i])

        def has_time() -> bool:
            return rounds < _MORE_ROUNDS * device.rounds and time.perf_counter_ns() - begun < 1e9 * up_to_s

        while rounds < device.rounds or has_time():
            visit(range(len(visits)))
            rounds += 1
            told(rounds)
        for _ in range(patience):
            visit([i for i, each in enumerate(visits) if each.repeatability > _STEADY])
    return [each.summary() for each in visits]


class _Visits:
    """The visits to one inference."""

    def __init__(self, threads: int):
        self._rounds: list[list[float]] = []
        self.walls: list[float] = []
        self._threads = threads
        self._cpu = self._wall = 0

    def add(self, visit: Callable[[], list[float]]) -> None:
        """Time one more."""
        cpu, wall = time.process_time_ns(), time.perf_counter_ns()
        self._rounds.append(visit())
        self._cpu += time.process_time_ns() - cpu
        self._wall += time.perf_counter_ns() - wall

    @property
    def repeatability(self) -> float:
        """See `Latency`; there are two rounds at least."""
        even, odd = (min(map(min, self._rounds[half::2])) for half in (0, 1))
        return abs(even - odd) / min(even, odd)

    def summary(self) -> Latency:
        """All of it in figures."""
        floors = [min(times) for times in self._rounds]
        every = np.concatenate([np.asarray(times) for times in self._rounds])
        best = min(floors)
        p10, median, p90 = (float(np.quantile(every, share)) for share in (0.1, 0.5, 0.9))
        return Latency(
            best=best,
            median=median,
            p10=p10,
            p90=p90,
            uncertainty=float(np.quantile(floors, 0.75)) / best - 1,
            repeatability=self.repeatability,
            calls=len(every),
            rounds=len(floors),
            cpu_over_wall=min(1.0, self._cpu / (self._wall * self._threads)),
            wall=float(np.median(self.walls)) if self.walls else None,
        )


def nothing() -> None:
    """Do before a network: it comes with weights of its own."""


def _calls_in_a_round(inference: Inference, before: Inference, device: DeviceProfile, clock: Clock) -> int:
    """Warm up, and see how many calls fill a round, with what is done before each."""
    clock(inference, 25 if device.processor == "cuda" else _WARM_UP_CALLS, before)
    once = min(clock(inference, _FEWEST_CALLS, before))
    if before is not nothing:
        once += min(clock(before, _FEWEST_CALLS, nothing))
    return max(_FEWEST_CALLS, int(device.round_ms / max(once, 1e-4)))


def _time_cpu(inference: Inference, calls: int, before: Inference) -> list[float]:
    """Time calls one by one, after one that brings the network's weights back into the caches."""
    inference()
    now = time.perf_counter_ns
    times = []
    for _ in range(calls):
        before()
        start = now()
        inference()
        times.append((now() - start) / 1e6)
    return times


def _time_cuda(inference: Inference, calls: int, before: Inference) -> list[float]:
    """Time calls that follow each other by events on the GPU's own clock, after one that is not timed.

    It is waited for once, at the end: so a call is handed over while the one before is computed, and what that takes
    the CPU counts only where it is longer than the computing. Tested with a stand-in for `torch.cuda`: no GPU was at
    hand.
    """
    import torch

    event = torch.cuda.Event
    starts = [event(enable_timing=True) for _ in range(calls)]  # type: ignore[no-untyped-call]
    ends = [event(enable_timing=True) for _ in range(calls)]  # type: ignore[no-untyped-call]
    inference()
    for start, end in zip(starts, ends, strict=True):
        before()
        start.record()
        inference()
        end.record()
    torch.cuda.synchronize()
    return [start.elapsed_time(end) for start, end in zip(starts, ends, strict=True)]


def _time_waiting(inference: Inference) -> list[float]:
    """Time calls of an idle GPU one by one until their result is there, by the CPU's clock: what a request pays."""
    import torch

    times = []
    for _ in range(_FEWEST_CALLS):
        start = time.perf_counter_ns()
        inference()
        torch.cuda.synchronize()
        times.append((time.perf_counter_ns() - start) / 1e6)
    return times


@contextmanager
def undisturbed(threads: int) -> Iterator[None]:
    """Keep the garbage collector out, and PyTorch to the profile's number of threads."""
    import torch

    before, collecting = torch.get_num_threads(), gc.isenabled()
    torch.set_num_threads(threads)
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        torch.set_num_threads(before)
        if collecting:
            gc.enable()
