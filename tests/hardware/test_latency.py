from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from moonas.hardware import latency
from moonas.hardware.device import DeviceProfile
from moonas.hardware.latency import Latency, measure
from moonas.hardware.runtime import prepare

CALLS = 3
"""Calls of one visit where a single call outlasts the round: no fewer are ever made."""


def device(rounds: int = 4, round_ms: float = 0.001, threads: int = 1, runtime: Any = "torch") -> DeviceProfile:
    return DeviceProfile("here", "measured", "cpu", runtime, threads, 1, rounds, round_ms)


@pytest.fixture(autouse=True)
def threads_and_collector_restored() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    gc.enable()


@dataclass
class Lab:
    """Inferences on a clock that nothing but they move.

    Attributes:
        now: nanoseconds.
        busy: share of it in which others compute.
        calls: (inference, milliseconds) of each call, in order.
    """

    now: int = 0
    busy: float = 0.0
    calls: list[tuple[int, float]] = field(default_factory=list)

    @property
    def computed(self) -> int:
        return round(self.now * (1 - self.busy))

    def inference(self, name: int, milliseconds: Callable[[], float]) -> Callable[[], None]:
        def infer() -> None:
            duration = round(milliseconds() * 1e6)
            self.now += duration
            self.calls.append((name, duration / 1e6))

        return infer

    def visits(self, count: int, rounds: int, each: int = CALLS) -> list[list[tuple[int, list[float]]]]:
        """The visits of each round: who, and the durations of the calls, less the first, which is not timed.

        What came before was warming up.
        """
        timed = self.calls[-count * rounds * (each + 1) :]
        blocks = [timed[i : i + each + 1] for i in range(0, len(timed), each + 1)]
        assert all(len({name for name, _ in block}) == 1 for block in blocks)
        visits = [(block[0][0], [duration for _, duration in block[1:]]) for block in blocks]
        return [visits[i : i + count] for i in range(0, len(visits), count)]


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Lab:
    return new_lab(monkeypatch)


def new_lab(monkeypatch: pytest.MonkeyPatch) -> Lab:
    made = Lab()
    monkeypatch.setattr(
        latency, "time", SimpleNamespace(perf_counter_ns=lambda: made.now, process_time_ns=lambda: made.computed)
    )
    return made


def random_milliseconds(seed: int) -> Callable[[], float]:
    random = np.random.default_rng(seed)
    return lambda: float(random.uniform(1, 5))


# --- the figures


@settings(deadline=None, max_examples=15)
@given(count=st.integers(1, 4), rounds=st.integers(2, 7), seed=st.integers(0, 1000))
def test_the_figures_are_those_of_numpy(count: int, rounds: int, seed: int) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        lab = new_lab(monkeypatch)
        inferences = [lab.inference(i, random_milliseconds(seed + i)) for i in range(count)]
        found = measure(inferences, device(rounds), seed=seed)
    visits = lab.visits(count, rounds)
    for i in range(count):
        times = np.array([durations for visit in visits for name, durations in visit if name == i])  # (rounds, calls)
        assert found[i].best == pytest.approx(times.min(), rel=1e-12)
        assert found[i].median == pytest.approx(np.median(times), rel=1e-12)
        assert found[i].p10 == pytest.approx(np.percentile(times, 10), rel=1e-12)
        assert found[i].p90 == pytest.approx(np.percentile(times, 90), rel=1e-12)
        assert found[i].calls == times.size
        halves = times[::2].min(), times[1::2].min()
        assert found[i].repeatability == pytest.approx(max(halves) / min(halves) - 1, rel=1e-9, abs=1e-15)
        assert found[i].uncertainty == pytest.approx(
            np.percentile(times.min(axis=1), 75) / times.min() - 1, rel=1e-9, abs=1e-15
        )
        assert found[i].best <= found[i].median <= found[i].p90


def test_a_steady_network_has_no_uncertainty(lab: Lab) -> None:
    (found,) = measure([lab.inference(0, lambda: 2.0)], device())
    assert found == Latency(
        best=2.0,
        median=2.0,
        p10=2.0,
        p90=2.0,
        uncertainty=0.0,
        repeatability=0.0,
        calls=4 * CALLS,
        rounds=4,
        cpu_over_wall=1.0,
    )
    assert found.quality == "good"


def test_what_others_compute_meanwhile_makes_a_latency_noisy(lab: Lab) -> None:
    lab.busy = 0.5
    (found,) = measure([lab.inference(0, lambda: 2.0)], device())
    assert found.cpu_over_wall == pytest.approx(0.5)
    assert found.quality == "noisy"


def slower_in_odd_rounds(lab: Lab, share: float, until: int) -> Callable[[], float]:
    """A network that takes so much longer in every other visit, the first `until` of them."""
    warmed_up = latency._WARM_UP_CALLS + 1 + CALLS + 1

    def milliseconds() -> float:
        visit = (len(lab.calls) - warmed_up) // (CALLS + 1)
        return 2.0 * (1 + share * (visit % 2 if visit < until else 0))

    return milliseconds


@pytest.mark.parametrize(("share", "quality"), [(0.04, "good"), (0.06, "noisy"), (0.2, "bad")])
def test_a_floor_that_half_of_the_rounds_do_not_reach_is_doubtful(lab: Lab, share: float, quality: str) -> None:
    (found,) = measure([lab.inference(0, slower_in_odd_rounds(lab, share, 99))], device())
    assert found.repeatability == pytest.approx(share)
    assert found.quality == quality


def test_further_rounds_go_to_what_is_unsteady_until_it_is_steady(lab: Lab) -> None:
    steady = lab.inference(1, lambda: 2.0)
    unsteady = lab.inference(0, slower_in_odd_rounds(lab, 0.5, 6))
    alone = measure([unsteady], device(), patience=10)[0]
    assert alone.rounds == 8  # the first odd one without disturbance is the eighth
    assert alone.quality == "good"
    assert measure([steady], device(), patience=10)[0].rounds == 4


def test_patience_ends(lab: Lab) -> None:
    (found,) = measure([lab.inference(0, slower_in_odd_rounds(lab, 0.5, 99))], device(), patience=3)
    assert (found.rounds, found.quality) == (7, "bad")


def test_figures_belong_to_their_inference(lab: Lab) -> None:
    found = measure([lab.inference(i, lambda i=i: 1.0 + i) for i in (4, 0, 2)], device())  # type: ignore[misc]
    assert [one.best for one in found] == [5.0, 1.0, 3.0]


def test_a_disturbance_that_ends_does_not_move_the_floor(lab: Lab) -> None:
    """All networks run five times slower for half of the rounds, as beside another program."""
    truth = [1.0, 1.2, 1.4]

    def slowed(milliseconds: float) -> Callable[[], float]:
        return lambda: milliseconds * (5 if len(lab.calls) % 60 < 30 else 1)

    found = measure([lab.inference(i, slowed(value)) for i, value in enumerate(truth)], device(rounds=20))
    assert [one.best for one in found] == truth


def test_no_networks_take_no_time() -> None:
    assert measure([], device()) == []


# --- the rounds


def test_every_network_is_visited_in_every_round(lab: Lab) -> None:
    measure([lab.inference(i, lambda: 1.0) for i in range(5)], device(rounds=6))
    for visit in lab.visits(5, 6):
        assert sorted(name for name, _ in visit) == [0, 1, 2, 3, 4]


def orders(lab: Lab, count: int, rounds: int, seed: int) -> list[list[int]]:
    measure([lab.inference(i, lambda: 1.0) for i in range(count)], device(rounds), seed=seed)
    return [[name for name, _ in visit] for visit in lab.visits(count, rounds)]


def test_the_order_changes_from_round_to_round_and_the_seed_fixes_it(lab: Lab) -> None:
    once = orders(lab, 6, 8, seed=1)
    assert len({tuple(order) for order in once}) >= 7
    assert orders(lab, 6, 8, seed=1) == once
    assert orders(lab, 6, 8, seed=2) != once


def test_no_network_is_always_first(lab: Lab) -> None:
    first = [order[0] for order in orders(lab, 3, 60, seed=0)]
    assert all(8 <= first.count(name) <= 34 for name in range(3))  # 20 each, within four standard deviations


@pytest.mark.parametrize(("milliseconds", "calls"), [(1.0, 20), (5.0, 4), (6.0, 3), (50.0, 3)])
def test_a_visit_lasts_as_long_as_the_profile_says_and_at_least_three_calls(
    lab: Lab, milliseconds: float, calls: int
) -> None:
    measure([lab.inference(0, lambda: milliseconds)], device(rounds=5, round_ms=20))
    timed = len(lab.calls) - warm_up_calls(lab, milliseconds)
    assert timed == 5 * (1 + calls)  # one that is not timed, to warm the caches


def warm_up_calls(lab: Lab, milliseconds: float) -> int:
    """The calls before the rounds: as many as a measurement of another length makes beside its rounds of three."""
    before = len(lab.calls)
    measure([lab.inference(0, lambda: milliseconds)], device(rounds=2))
    return len(lab.calls) - before - 2 * (1 + CALLS)


def test_the_cold_call_of_a_visit_is_not_timed(lab: Lab) -> None:
    """Between two visits of a network, others have had the caches."""
    previous: list[int] = []

    def of(name: int) -> Callable[[], float]:
        def milliseconds() -> float:
            cold = not previous or previous[-1] != name
            previous.append(name)
            return 9.0 if cold else 1.0

        return milliseconds

    found = measure([lab.inference(name, of(name)) for name in range(3)], device(rounds=10))
    assert [one.p90 for one in found] == [1.0, 1.0, 1.0]


def test_a_network_is_warm_before_it_is_timed(lab: Lab) -> None:
    """The first calls of a network are slow: memory is allocated, kernels are chosen."""
    durations = iter([100.0, 50.0, 10.0])
    (found,) = measure([lab.inference(0, lambda: next(durations, 1.0))], device())
    assert found.p90 == 1.0


# --- the surroundings


@pytest.mark.parametrize("collecting", [True, False])
def test_the_garbage_collector_is_kept_out_and_put_back(lab: Lab, collecting: bool) -> None:
    enabled = []

    def milliseconds() -> float:
        enabled.append(gc.isenabled())
        return 1.0

    if not collecting:
        gc.disable()
    measure([lab.inference(0, milliseconds)], device(rounds=4))
    assert gc.isenabled() == collecting
    assert not any(enabled[-4 * CALLS :])


def test_the_number_of_threads_is_the_profiles_and_put_back(lab: Lab) -> None:
    torch.set_num_threads(1)
    threads = []

    def milliseconds() -> float:
        threads.append(torch.get_num_threads())
        return 1.0

    measure([lab.inference(0, milliseconds)], device(rounds=4, threads=2))
    assert torch.get_num_threads() == 1
    assert set(threads[-4 * CALLS :]) == {2}


def test_a_network_is_warmed_up_and_gauged_with_the_threads_that_it_will_have(lab: Lab) -> None:
    # Else the pool of threads starts inside of the first round, and the rounds are of another length than asked for.
    torch.set_num_threads(1)
    threads = []

    def milliseconds() -> float:
        threads.append(torch.get_num_threads())
        return 1.0

    measure([lab.inference(0, milliseconds)], device(threads=2))
    assert set(threads) == {2}


def test_all_is_put_back_when_a_network_breaks(lab: Lab) -> None:
    torch.set_num_threads(1)

    def milliseconds() -> float:
        if len(lab.calls) > 15:
            raise RuntimeError("broke")
        return 1.0

    with pytest.raises(RuntimeError, match="broke"):
        measure([lab.inference(0, milliseconds)], device(rounds=9, threads=2))
    assert gc.isenabled()
    assert torch.get_num_threads() == 1


# --- for real


def chain(width: int, depth: int) -> nn.Module:
    layers = [nn.Conv2d(width, width, 3, padding=1) for _ in range(depth - 1)]
    return nn.Sequential(nn.Conv2d(1, width, 3, padding=1), *layers)


def real(modules: Sequence[nn.Module], profile: DeviceProfile) -> list[Latency]:
    return measure([prepare(module, (1, 16, 16), profile) for module in modules], profile)


@pytest.mark.parametrize("runtime", ["onnxruntime", "torch"])
def test_a_network_of_a_thousand_times_the_work_is_slower(runtime: str) -> None:
    slow, fast = real([chain(64, 4), chain(2, 2)], device(rounds=3, round_ms=1, runtime=runtime))
    assert slow.best > 2 * fast.best
    assert slow.median > fast.median
    for one in (slow, fast):
        assert 0 < one.best <= one.median <= one.p90
        assert one.uncertainty >= 0


def test_what_is_done_before_each_call_is_not_timed(lab: Lab) -> None:
    first, prior = lab.inference(0, lambda: 2.0), lab.inference(1, lambda: 50.0)
    (found,) = measure([first], device(rounds=2), before=[prior])
    assert (found.best, found.median, found.p10, found.p90) == (2.0, 2.0, 2.0, 2.0)
    assert (found.uncertainty, found.repeatability, found.calls) == (0.0, 0.0, 2 * CALLS)
    timed = lab.calls[-2 * (1 + 2 * CALLS) :]  # in each round one call that brings back the caches, then pairs
    assert [name for name, _ in timed] == [0, *(1, 0) * CALLS] * 2


def test_what_is_done_before_fills_the_round_too(lab: Lab) -> None:
    prior = lab.inference(1, lambda: 3.0)
    measure([lab.inference(0, lambda: 1.0)], device(rounds=2, round_ms=40), before=[prior])
    assert len([name for name, _ in lab.calls[-2 * 21 :] if name == 1]) == 2 * 10
