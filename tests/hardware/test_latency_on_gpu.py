"""How networks are timed on a GPU, with a stand-in for `torch.cuda` that computes while the CPU goes on."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest

from moonas.hardware import latency
from moonas.hardware.device import DeviceProfile
from moonas.hardware.latency import Latency, measure

ROUNDS = 3
GPU = DeviceProfile("gpu", "measured", "cuda", "torch", 1, 1, ROUNDS, 0.001)


class Gpu:
    """A queue of work: the CPU hands over, the GPU computes one after the other. Times are milliseconds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        self.now = self.free_at = 0.0
        self.waits = 0
        clock = SimpleNamespace(perf_counter_ns=lambda: self.now * 1e6, process_time_ns=lambda: self.now * 1e6)
        monkeypatch.setattr(latency, "time", clock)
        monkeypatch.setattr("torch.cuda.Event", self._event)
        monkeypatch.setattr("torch.cuda.synchronize", self._wait)

    def inference(self, handing_over: float, computing: float) -> Callable[[], None]:
        def infer() -> None:
            self.now += handing_over
            self.free_at = max(self.free_at, self.now) + computing

        return infer

    def _event(self, *, enable_timing: bool) -> SimpleNamespace:
        assert enable_timing
        event = SimpleNamespace()
        event.record = lambda: vars(event).update(at=max(self.now, self.free_at))

        def elapsed(end: SimpleNamespace) -> float:
            assert end.at <= self.now, "it has to be waited for"
            return float(end.at - event.at)

        event.elapsed_time = elapsed
        return event

    def _wait(self) -> None:
        self.waits += 1
        self.now = max(self.now, self.free_at)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Gpu:
    return Gpu(monkeypatch)


def timed(call: Callable[[], None], before: Callable[[], None] | None = None) -> Latency:
    (found,) = measure([call], GPU, before=None if before is None else [before])
    return found


def test_where_computing_takes_longer_its_time_counts_and_a_request_pays_for_both(gpu: Gpu) -> None:
    found = timed(gpu.inference(handing_over=0.5, computing=2.0))
    assert (found.best, found.p90) == (pytest.approx(2.0), pytest.approx(2.0))
    assert found.wall == pytest.approx(2.5)


def test_where_handing_over_takes_longer_that_counts(gpu: Gpu) -> None:
    found = timed(gpu.inference(handing_over=2.0, computing=0.5))
    assert found.best == pytest.approx(2.0)
    assert found.wall == pytest.approx(2.5)


def test_a_visit_is_waited_for_once(gpu: Gpu) -> None:
    found = timed(gpu.inference(0.1, 0.2))
    gauging = 2
    waiting = 3 * ROUNDS
    assert gpu.waits == gauging + ROUNDS + waiting
    assert found.calls == 3 * ROUNDS


def test_what_is_done_before_a_call_is_not_its_time_and_hides_its_handing_over(gpu: Gpu) -> None:
    assert timed(gpu.inference(0.5, 0.25), before=gpu.inference(0.5, 8.0)).best == pytest.approx(0.25)


def test_times_of_a_cpu_are_of_the_wall_already() -> None:
    (found,) = measure([lambda: None], DeviceProfile("here", "measured", "cpu", "torch", 1, 1, 2, 0.001))
    assert found.wall is None
