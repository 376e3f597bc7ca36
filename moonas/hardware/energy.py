"""Energy of an inference, measured with a meter."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from moonas.errors import MeterError
from moonas.hardware.device import DeviceProfile
from moonas.hardware.latency import undisturbed
from moonas.hardware.meter.meter import Meter
from moonas.hardware.runtime import Inference

TRIALS = 3
_SHORTEST_WINDOW_S = 5.0
_WARM_UP_S = 0.5
_PAUSE_S = 1.0

Clock = Callable[[], float]
Sleep = Callable[[float], None]


@dataclass(frozen=True)
class Energy:
    """The energy of one inference.

    Whether it was measured, with what meter and over what time, is the same for all of a search, which tells it once.

    Attributes:
        energy_mj: all that is drawn meanwhile, in millijoules.
        above_idle_mj: without what is drawn at rest in the same time.
        power_w: drawn while inferences follow each other, in watts.
        uncertainty: how far trials lie apart, half of it, and by how much readings of the meter may be late, as a share
            of `energy_mj`; None of a model, which says nothing of its own error.
    """

    energy_mj: float
    above_idle_mj: float
    power_w: float
    uncertainty: float | None


def window_s(meter: Meter) -> float:
    """How long one trial takes, in seconds."""
    return max(_SHORTEST_WINDOW_S, meter.shortest_window_s)


def seconds_for_one(meter: Meter) -> float:
    """How long it takes to measure one network, in seconds, but for its last inferences."""
    window = window_s(meter)
    return _PAUSE_S + window + TRIALS * (_PAUSE_S + _WARM_UP_S + window)


def measure_energy(
    inferences: Sequence[Inference],
    device: DeviceProfile,
    meter: Meter,
    *,
    seed: int = 0,
    clock: Clock = time.perf_counter,
    sleep: Sleep = time.sleep,
) -> list[Energy]:
    """Measure the energy of inferences, one network at a time: a meter sees them all.

    Power at rest comes first. Each trial repeats one network's inference for seconds, after a pause in which the device
    cools down and some inferences that bring its clocks up. Trials of the networks are interleaved in a random order.

    Args:
        inferences: one call for each network; see `moonas.hardware.runtime.prepare`, which gives them random inputs, as
            zeros take less power (arXiv 2212.08805).
        device: what runs them.
        meter: what sees the device, and nothing else that works.
        seed: of the orders.
        clock: gives seconds.
        sleep: waits so many seconds.

    Raises:
        MeterError: if the meter cannot be read, or counts nothing.
    """
    random, window = np.random.default_rng(seed), window_s(meter)
    calls = [_finished(inference, device) for inference in inferences]
    visits: list[list[_Visit]] = [[] for _ in inferences]
    with undisturbed(device.threads), meter:
        sleep(_PAUSE_S)
        idle_w = _idle_w(meter, window, clock, sleep)
        for _ in range(TRIALS):
            for i in random.permutation(len(calls)):
                sleep(_PAUSE_S)
                _repeat(calls[i], _WARM_UP_S, clock)
                visits[i].append(_visit(calls[i], meter, window, clock))
    return [_summary(each, idle_w, meter, window) for each in visits]


@dataclass(frozen=True)
class _Visit:
    """One trial: what it took, and how many inferences it was."""

    joules: float
    seconds: float
    count: int


def _visit(call: Inference, meter: Meter, window: float, clock: Clock) -> _Visit:
    before, start = meter.mark(), clock()
    count = _repeat(call, window, clock)
    seconds = clock() - start
    joules = meter.between(before, meter.mark())
    if joules <= 0:
        what = f"{meter.method} counted {joules:g} J in {seconds:.3g} s of inferences"
        raise MeterError(f"{what}: its counter does not run, or is renewed too seldom for this window")
    return _Visit(joules, seconds, count)


def _repeat(call: Inference, seconds: float, clock: Clock) -> int:
    """Call for so many seconds, at least once; tell how often."""
    start, count = clock(), 0
    while count == 0 or clock() - start < seconds:
        call()
        count += 1
    return count


def _idle_w(meter: Meter, window: float, clock: Clock, sleep: Sleep) -> float:
    before, start = meter.mark(), clock()
    sleep(window)
    seconds = clock() - start
    return meter.between(before, meter.mark()) / seconds


def _finished(inference: Inference, device: DeviceProfile) -> Inference:
    """The inference with its result there when it returns; a GPU's calls return before."""
    if device.processor != "cuda":
        return inference
    import torch

    def wait() -> None:
        inference()
        torch.cuda.synchronize()

    return wait


def _summary(visits: Sequence[_Visit], idle_w: float, meter: Meter, window: float) -> Energy:
    energies = [visit.joules / visit.count * 1e3 for visit in visits]
    energy_mj = median(energies)
    return Energy(
        energy_mj=energy_mj,
        above_idle_mj=median((visit.joules - idle_w * visit.seconds) / visit.count * 1e3 for visit in visits),
        power_w=median(visit.joules / visit.seconds for visit in visits),
        uncertainty=(max(energies) - min(energies)) / 2 / energy_mj + meter.period_s / window,
    )
