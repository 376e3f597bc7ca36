from __future__ import annotations

from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moonas.errors import MoonasError
from moonas.hardware.fit import FLOPS_ONLY, FOUR, SEVEN, errors_of, fit, leave_one_out
from moonas.hardware.roofline import Roofline, Work

KNOWN = Roofline(call_us=50, kernel_us=20, dense_ps=70, pointwise_ps=150, depthwise_ps=400, linear_ps=90, byte_ps=200)
TIED = Roofline(kernel_us=20, dense_ps=70, pointwise_ps=150, depthwise_ps=150, linear_ps=150, byte_ps=200)


def networks(count: int, seed: int = 0) -> list[Work]:
    """Of sizes that differ a hundredfold, as known networks do."""
    random = np.random.default_rng(seed)
    sizes = 10 ** random.uniform(6, 8, size=(count, 5))
    return [Work(1, int(random.integers(10, 200)), *(int(size) for size in each)) for each in sizes]


def timed(works: list[Work], roofline: Roofline) -> list[float]:
    return [roofline.work_ms(work) for work in works]


@pytest.mark.parametrize(("known", "tied"), [(KNOWN, SEVEN), (TIED, FOUR), (TIED, SEVEN)])
def test_a_fit_finds_the_costs_by_which_latencies_were_made(known: Roofline, tied: tuple[tuple[str, ...], ...]) -> None:
    works = networks(20)
    found = fit(works, timed(works, known), tied=tied)
    assert astuple(found) == pytest.approx(astuple(known), rel=1e-6, abs=1e-6)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000))
def test_no_cost_is_negative(seed: int) -> None:
    works = networks(12, seed)
    latencies = np.random.default_rng(seed).uniform(1, 1000, size=len(works))
    for tied in (FOUR, SEVEN, FLOPS_ONLY):
        assert min(astuple(fit(works, list(latencies), tied=tied))) >= 0


def test_a_small_network_counts_as_much_as_a_large_one() -> None:
    works = [Work(dense=1_000_000)] * 3 + [Work(dense=1_000_000_000)] * 3
    latencies = [0.1] * 3 + [200.0] * 3  # 100 and 200 ps
    found = fit(works, latencies)
    assert found.dense_ps == pytest.approx(100 * (3 + 3 / 2) / (3 + 3 / 4))


def test_each_network_is_predicted_without_its_own_latency() -> None:
    works = networks(10)
    latencies = timed(works, KNOWN)
    changed = [*latencies[:3], 100 * latencies[3], *latencies[4:]]
    before, after = leave_one_out(works, latencies), leave_one_out(works, changed)
    assert after[3] == before[3]
    assert all(after[i] != before[i] for i in range(10) if i != 3)


def test_a_fit_needs_some_networks() -> None:
    works = networks(4)
    with pytest.raises(MoonasError, match="positive latencies of at least 5 networks"):
        fit(works, timed(works, KNOWN))
    with pytest.raises(MoonasError, match="positive latencies"):
        fit(networks(5), [1.0, 2.0, 0.0, 3.0, 4.0])


def test_errors_are_shares_of_what_was_measured() -> None:
    assert errors_of([1.05, 1.0, 6.0, 4.0], [1.0, 2.0, 4.0, 8.0]) == {
        "spearman": pytest.approx(0.6),
        "mape": pytest.approx((0.05 + 0.5 + 0.5 + 0.5) / 4),
        "median_ape": 0.5,
        "within_10_percent": 0.25,
    }
