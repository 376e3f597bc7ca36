"""Energy against sums by hand: measured with a meter and a clock that are told what to say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from moonas.errors import MeterError
from moonas.hardware.device import DeviceProfile
from moonas.hardware.energy import Energy, measure_energy, seconds_for_one, window_s
from moonas.hardware.meter.meter import Meter, Scope


def device(processor: Any = "cpu") -> DeviceProfile:
    return DeviceProfile("here", "measured", processor, "torch", 1, 1, 2, 1.0)


class Bench(Meter):
    """A device with its meter: it draws `idle_w` at rest and what each inference says, and keeps the time of both."""

    scope: Scope = "board"
    method = "bench"

    def __init__(self, idle_w: float = 10.0, period_s: float = 0.01):
        self.idle_w, self.period_s = idle_w, period_s
        self.now, self.spent, self.log = 0.0, 0.0, ["off"]

    def inference(self, seconds: float, watts: Callable[[], float], name: str = "a") -> Callable[[], None]:
        def infer() -> None:
            self._pass(seconds, watts(), name)

        return infer

    def sleep(self, seconds: float) -> None:
        self._pass(seconds, self.idle_w, "rest")

    def joules(self) -> float:
        assert self.entered
        self.log.append("read")
        return self.spent

    entered = False

    def __enter__(self) -> Bench:
        self.entered = True
        return self

    def __exit__(self, *_: object) -> None:
        self.entered = False

    def _pass(self, seconds: float, watts: float, name: str) -> None:
        self.now += seconds
        self.spent += seconds * watts
        if self.log[-1] != name:
            self.log.append(name)

    def measure(self, *inferences: Callable[[], None], **options: Any) -> list[Energy]:
        return measure_energy(inferences, device(), self, clock=lambda: self.now, sleep=self.sleep, **options)


def test_energy_and_power_by_hand() -> None:
    bench = Bench(idle_w=10)
    (energy,) = bench.measure(bench.inference(0.02, lambda: 30.0))
    assert energy.energy_mj == pytest.approx(600)  # 30 W for 20 ms
    assert energy.above_idle_mj == pytest.approx(400)
    assert energy.power_w == pytest.approx(30)
    assert energy.uncertainty == pytest.approx(0.01 / 5)
    assert not bench.entered


def test_rest_comes_first_and_each_trial_after_a_pause() -> None:
    bench = Bench()
    bench.measure(bench.inference(0.125, lambda: 20.0))
    assert bench.log == ["off", "rest", "read", "rest", "read", *["rest", "a", "read", "a", "read"] * 3]
    assert bench.now == pytest.approx(seconds_for_one(bench))


def test_networks_are_measured_in_turns() -> None:
    bench = Bench()
    first, second = bench.measure(
        bench.inference(0.01, lambda: 20.0, "a"), bench.inference(0.05, lambda: 40.0, "b"), seed=3
    )
    assert (first.energy_mj, second.energy_mj) == (pytest.approx(200), pytest.approx(2000))
    turns = [name for name, after in zip(bench.log, bench.log[1:], strict=False) if after == "read" and name in "ab"]
    halves = ["".join(sorted(turns[i : i + 4])) for i in (0, 4, 8)]
    assert halves == ["aabb"] * 3


def test_the_median_of_the_trials_counts_and_their_spread_is_told() -> None:
    bench = Bench(idle_w=0, period_s=0.1)
    start = seconds_for_one(bench) / 3

    def watts() -> float:  # the first trial at 20 W, the second at 50 W, the third at 24 W
        return 20.0 if bench.now < start + 5.5 else 50.0 if bench.now < start + 12 else 24.0

    bench_energy = bench.measure(bench.inference(0.5, watts))[0]
    assert bench_energy.energy_mj == pytest.approx(12_000)
    assert bench_energy.power_w == pytest.approx(24)
    assert bench_energy.uncertainty == pytest.approx((25_000 - 10_000) / 2 / 12_000 + 0.1 / 5)


def test_a_slow_meter_makes_long_windows() -> None:
    bench = Bench(period_s=0.3)
    bench.measure(bench.inference(0.1, lambda: 20.0))
    assert window_s(bench) == pytest.approx(15)
    assert bench.now == pytest.approx(4 * 15 + 4 * 1 + 3 * 0.5, abs=0.5)


def test_an_inference_longer_than_the_window_is_measured_once() -> None:
    bench = Bench()
    (energy,) = bench.measure(bench.inference(60.0, lambda: 2.0))
    assert energy.energy_mj == pytest.approx(120_000)


def test_a_counter_that_stands_still_is_explained() -> None:
    class Still(Bench):
        def joules(self) -> float:
            return 7.0

    bench = Still()
    with pytest.raises(MeterError) as caught:
        bench.measure(bench.inference(1.0, lambda: 20.0))
    assert str(caught.value) == (
        "bench counted 0 J in 5 s of inferences: its counter does not run, or is renewed too seldom for this window"
    )
    assert not bench.entered


def test_a_gpu_is_waited_for_at_each_inference(monkeypatch: pytest.MonkeyPatch) -> None:
    waits = 0

    def wait() -> None:
        nonlocal waits
        waits += 1

    monkeypatch.setattr("torch.cuda.synchronize", wait)
    bench, calls = Bench(), 0

    def infer() -> None:
        nonlocal calls
        calls += 1
        bench.sleep(0.5)

    measure_energy([infer], device("cuda"), bench, clock=lambda: bench.now, sleep=bench.sleep)
    assert waits == calls > 0


def test_what_is_drawn_while_a_meter_is_waited_for_is_not_counted() -> None:
    class Late(Bench):
        """Its readings come seconds after they are asked for."""

        def mark(self) -> float:
            return self.spent

        def between(self, start: float, end: float) -> float:
            self.sleep(4)
            return end - start

    bench = Late(idle_w=3)
    (energy,) = bench.measure(bench.inference(0.02, lambda: 6.0))
    assert energy.power_w == pytest.approx(6)
    assert energy.energy_mj == pytest.approx(120)
    assert energy.above_idle_mj == pytest.approx(60)
