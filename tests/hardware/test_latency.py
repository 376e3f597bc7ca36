import gc
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from moonas.hardware import latency
from moonas.hardware.device import DeviceProfile
from moonas.hardware.latency import measure


def device(**changes: Any) -> DeviceProfile:
    fields: dict[str, Any] = {"name": "fake", "kind": "measured", "processor": "cpu", "runtime": "torch"}
    return DeviceProfile(**fields | {"threads": 1, "batch": 1, "rounds": 6, "round_ms": 3.0} | changes)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """A clock that only inferences move, in milliseconds."""
    now = [0.0]
    monkeypatch.setattr(latency.time, "perf_counter_ns", lambda: round(now[0] * 1e6))
    return now


def test_the_statistics_are_those_of_the_timed_calls(clock: list[float]) -> None:
    random = np.random.default_rng(0)
    durations: list[float] = []

    def infer() -> None:
        durations.append(round(float(random.uniform(0.5, 2.0)), 6))
        clock[0] += durations[-1]

    (result,) = measure([infer], device(rounds=4))
    calls = (len(durations) - 8) // 4  # after 5 calls to warm up and 3 to see how long one takes
    rounds = np.array(durations[8:]).reshape(4, calls)
    floors = rounds.min(axis=1)
    halves = floors[0::2].min(), floors[1::2].min()
    assert result.best == pytest.approx(rounds.min())
    assert result.median == pytest.approx(np.median(rounds))
    assert result.p90 == pytest.approx(np.quantile(rounds, 0.9))
    assert result.uncertainty == pytest.approx(abs(halves[0] - halves[1]) / 2 / rounds.min())


def test_a_disturbance_of_some_rounds_does_not_move_the_floor(clock: list[float]) -> None:
    count = [0]

    def infer() -> None:
        count[0] += 1
        clock[0] += 1.0 if count[0] % 7 else 50.0

    (result,) = measure([infer], device())
    assert result.best == pytest.approx(1.0)
    assert result.p90 > 1.0


def test_all_are_visited_in_each_round_in_changing_orders(clock: list[float]) -> None:
    visits: list[int] = []

    def make(i: int) -> Any:
        def infer() -> None:
            if not visits or visits[-1] != i:
                visits.append(i)
            clock[0] += 5.0  # more than a round: three calls, the fewest

        return infer

    measure([make(i) for i in range(5)], device(rounds=8))
    timed = visits[5:]  # the warm-up goes in order
    assert len(timed) >= 8 * 5 - 8  # one that ends a round may begin the next, and is then seen once
    assert {timed.count(i) >= 7 for i in range(5)} == {True}
    assert len({tuple(timed[i : i + 5]) for i in range(0, 30, 5)}) > 2


def test_the_orders_are_fixed_by_the_seed(clock: list[float]) -> None:
    def orders(seed: int) -> list[int]:
        visits: list[int] = []

        def make(i: int) -> Any:
            def infer() -> None:
                visits.append(i)
                clock[0] += 5.0

            return infer

        measure([make(i) for i in range(4)], device(), seed=seed)
        return visits

    assert orders(1) == orders(1) != orders(2)


def test_collector_and_threads_are_as_before() -> None:
    threads = torch.get_num_threads()
    seen = []

    def infer() -> None:
        seen.append((gc.isenabled(), torch.get_num_threads()))

    measure([infer], device(rounds=2, round_ms=0.01))
    assert gc.isenabled()
    assert torch.get_num_threads() == threads
    assert set(seen[-6:]) == {(False, 1)}


def test_nothing_to_time_is_no_trouble() -> None:
    assert measure([], device()) == []


def test_a_far_slower_network_is_measured_slower() -> None:
    small, large = torch.randn(8, 8), torch.randn(600, 600)
    fast, slow = measure([lambda: small @ small, lambda: large @ large], device(rounds=4, round_ms=2))
    assert slow.best > 3 * fast.best
    assert fast.best <= fast.median <= fast.p90
