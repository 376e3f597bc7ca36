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

import numpy as np

from moonas.hardware.device import DeviceProfile
from moonas.hardware.runtime import Inference

_WARM_UP_CALLS = 5
_FEWEST_CALLS = 3


@dataclass(frozen=True)
class Latency:
    """What was timed of one network, in milliseconds for one inference.

    Attributes:
        best: the floor: the fastest call of all.
        median: over all calls.
        p90: the time that 9 of 10 calls kept.
        uncertainty: how far above `best` three of four rounds had their floor at most, as a share of `best`.
    """

    best: float
    median: float
    p90: float
    uncertainty: float


def measure(inferences: Sequence[Inference], device: DeviceProfile, *, seed: int = 0) -> list[Latency]:
    """Time inferences in interleaved rounds.

    Args:
        inferences: one call for each network; see `moonas.hardware.runtime.prepare`.
        device: gives the rounds, their duration and the clock.
        seed: of the orders.
    """
    clock = _time_cuda if device.processor == "cuda" else _time_cpu
    random = np.random.default_rng(seed)
    rounds: list[list[list[float]]] = [[] for _ in inferences]
    with _undisturbed(device.threads):
        calls = [_calls_in_a_round(inference, device, clock) for inference in inferences]
        for _ in range(device.rounds):
            for i in random.permutation(len(inferences)):
                rounds[i].append(clock(inferences[i], calls[i]))
    return [_summary(times) for times in rounds]


def _summary(rounds: Sequence[Sequence[float]]) -> Latency:
    floors = [min(times) for times in rounds]
    every = np.concatenate([np.asarray(times) for times in rounds])
    best = min(floors)
    return Latency(
        best=best,
        median=float(np.median(every)),
        p90=float(np.quantile(every, 0.9)),
        uncertainty=float(np.quantile(floors, 0.75)) / best - 1,
    )


def _calls_in_a_round(
    inference: Inference, device: DeviceProfile, clock: Callable[[Inference, int], list[float]]
) -> int:
    """Warm up, and see how many calls fill a round."""
    clock(inference, 25 if device.processor == "cuda" else _WARM_UP_CALLS)
    once = min(clock(inference, _FEWEST_CALLS))
    return max(_FEWEST_CALLS, int(device.round_ms / max(once, 1e-4)))


def _time_cpu(inference: Inference, calls: int) -> list[float]:
    """Time calls one by one, after one that brings the network's weights back into the caches."""
    inference()
    now = time.perf_counter_ns
    times = []
    for _ in range(calls):
        start = now()
        inference()
        times.append((now() - start) / 1e6)
    return times


def _time_cuda(inference: Inference, calls: int) -> list[float]:
    """Time calls by events on the GPU's own clock, each on an idle GPU: what a queue hides, a single request pays."""
    import torch

    event = torch.cuda.Event
    times = []
    for _ in range(calls):
        start, end = event(enable_timing=True), event(enable_timing=True)  # type: ignore[no-untyped-call]
        torch.cuda.synchronize()
        start.record()
        inference()
        end.record()
        torch.cuda.synchronize()
        times.append(start.elapsed_time(end))
    return times


@contextmanager
def _undisturbed(threads: int) -> Iterator[None]:
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
