from __future__ import annotations

import pickle
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from moonas.errors import MeterError
from moonas.hardware.meter.sampled import Sampled

NEVER_S = 1e6
"""A period so long that only who reads samples."""


def sampled(watts: Callable[[], Any], **options: Any) -> Sampled:
    settings = {"scope": "external", "method": "my.meter:watts", "period_s": NEVER_S, **options}
    return Sampled(watts, **settings)


def test_power_is_integrated_by_trapezoids() -> None:
    now, power = 100.0, 4.0
    with sampled(lambda: power, clock=lambda: now) as meter:
        assert meter.joules() == 0
        now, power = 102.0, 6.0
        assert meter.joules() == pytest.approx(2 * 5)
        now, power = 102.5, 6.0
        assert meter.joules() == pytest.approx(10 + 0.5 * 6)
        now, power = 106.5, 0.0
        assert meter.joules() == pytest.approx(13 + 4 * 3)


def test_each_entering_begins_anew() -> None:
    now = 0.0
    meter = sampled(lambda: 2.0, clock=lambda: now)
    for _ in range(2):
        with meter:
            now += 3.0
            assert meter.joules() == pytest.approx(6)


def test_a_thread_samples_while_nobody_reads() -> None:
    asked, enough = 0, threading.Event()

    def watts() -> float:
        nonlocal asked
        asked += 1
        if asked == 20:
            enough.set()
        return 1.0

    before = threading.active_count()
    with sampled(watts, period_s=1e-4):
        assert enough.wait(30)
    assert threading.active_count() == before


def test_what_fails_in_the_thread_is_told_to_who_reads() -> None:
    asked, failed = 0, threading.Event()

    def watts() -> float:
        nonlocal asked
        asked += 1
        if asked == 3:
            failed.set()
            raise OSError("unplugged")
        return 1.0

    with sampled(watts, period_s=1e-4) as meter:
        assert failed.wait(30)
        with pytest.raises(MeterError, match=r"my\.meter:watts failed: OSError: unplugged"):
            meter.joules()
    assert asked == 3


@pytest.mark.parametrize("value", [None, "3", float("nan"), float("inf"), [1.0]])
def test_what_is_no_power_is_refused(value: Any) -> None:
    with pytest.raises(MeterError, match=r"my\.meter:watts must give watts as a finite number, gives"):
        sampled(lambda: value).__enter__()


def test_numbers_of_numpy_are_numbers() -> None:
    now = 0.0
    with sampled(lambda: np.float32(2.5), clock=lambda: now) as meter:
        now = 2.0
        assert meter.joules() == 5.0


def one_watt() -> float:
    return 1.0


def test_it_travels_to_workers() -> None:
    meter = pickle.loads(pickle.dumps(sampled(one_watt)))
    with meter:
        assert meter.joules() >= 0
