"""Rank agreement, held against worked examples and simulations whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
from scipy import stats

from moonas.report.agreement import Estimate, at_equal_size, estimate, kendall, spearman, top_third

RANDOM = np.random.default_rng(0)


def test_kendall_counts_pairs() -> None:
    first, second = np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 3.0, 2.0, 4.0])  # one of six pairs is turned round
    assert kendall(first, second) == pytest.approx((5 - 1) / 6)
    assert spearman(first, second) == pytest.approx(1 - 6 * 2 / (4 * 15))


def test_a_signal_that_never_changes_agrees_with_nothing() -> None:
    assert np.isnan(kendall(np.ones(4), np.arange(4.0)))
    assert np.isnan(spearman(np.arange(4.0), np.ones(4)))


def test_the_top_third_is_counted_by_network() -> None:
    truth = np.arange(9.0)  # the best are 6, 7, 8
    assert top_third(truth, truth) == 1
    assert top_third(truth, -truth) == 0
    assert top_third(truth, np.array([0, 1, 2, 3, 9, 5, 6, 7, 8.0])) == pytest.approx(2 / 3)


def test_ties_at_the_border_of_the_top_third_count_in_part() -> None:
    """Whatever the order of rows: two signals of two values that know nothing of each other overlap by a third."""
    values = np.array([0.0, 0, 0, 1, 1, 1])
    assert top_third(values, values) == pytest.approx(2 / 3)  # two of the three, by lot
    assert top_third(values, values[::-1]) == 0
    assert top_third(np.array([1.0, 0, 0, 1, 0, 1]), np.array([3.0, 2, 1, 0, 0, 0])) == pytest.approx((2 / 3) / 2)
    random = np.random.default_rng(0)
    overlaps = [top_third(random.permutation(values), random.permutation(values)) for _ in range(500)]
    assert np.mean(overlaps) == pytest.approx(1 / 3, abs=0.03)
    assert np.isnan(top_third(np.ones(6), values))


def test_a_signal_that_is_size_alone_tells_nothing_at_equal_size() -> None:
    size = RANDOM.uniform(1, 100, size=400)
    truth = 2 * np.log(size) + RANDOM.normal(size=400)
    sizes = np.column_stack([size, size**2])
    assert kendall(truth, size) > 0.5
    assert abs(kendall(at_equal_size(truth, sizes), at_equal_size(size + RANDOM.normal(size=400), sizes))) < 0.1


def test_all_sizes_are_taken_out_and_exactly_as_a_regression_of_ranks_does() -> None:
    params, flops, quality = (RANDOM.normal(size=200) for _ in range(3))
    truth = stats.rankdata(params) + 2 * stats.rankdata(flops) + 20 * quality
    sizes = np.column_stack([params, flops])
    rest = at_equal_size(truth, sizes)
    design = np.column_stack([np.ones(200), stats.rankdata(params), stats.rankdata(flops)])
    fitted = scipy.linalg.lstsq(design, stats.rankdata(truth))[0]
    assert rest == pytest.approx(stats.rankdata(truth) - design @ fitted, abs=1e-6)
    for size in (params, flops):
        assert abs(spearman(truth, size)) > 0.2
        assert abs(spearman(rest, size)) < 0.1
    assert spearman(rest, quality) > 0.8


def test_what_a_signal_knows_beside_size_stays() -> None:
    size, quality = RANDOM.uniform(1, 100, size=400), RANDOM.normal(size=400)
    sizes = size[:, None]
    truth, signal = size / 20 + quality, quality - size
    assert spearman(truth, signal) < 0  # larger ones score lower
    assert spearman(at_equal_size(truth, sizes), at_equal_size(signal, sizes)) > 0.8


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    """Of a correlation of 0.6 between normal variables Kendall's tau is 2 / pi * arcsin(0.6)."""
    tau, hits = 2 / np.pi * np.arcsin(0.6), 0
    for seed in range(200):
        random = np.random.default_rng(seed)
        pairs = random.multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], size=30)
        found = estimate(kendall, pairs[:, 0], pairs[:, 1], seed=seed, resamples=200)
        hits += found.low <= tau <= found.high
    assert 171 <= hits <= 190  # 180 expected; 4.2 is the deviation, and 160 would be 80 %


def test_intervals_of_few_hold_it_too() -> None:
    """As of a handful of blocks of timings, skewed as times are."""
    hits = 0
    for seed in range(300):
        values = np.random.default_rng(seed).lognormal(0, 0.3, size=6)
        found = estimate(lambda some: float(some.mean()), values, seed=seed, resamples=200)
        hits += found.low <= np.exp(0.3**2 / 2) <= found.high
    assert 252 <= hits <= 285  # 84 to 95 %; plain percentiles reach 78


def test_where_all_resamples_agree_there_is_no_interval() -> None:
    perfect = estimate(kendall, np.arange(5.0), np.arange(5.0))
    assert (str(perfect), perfect.is_positive, perfect.is_negative) == ("1.00", True, False)
    assert str(estimate(top_third, np.arange(12.0), -np.arange(12.0))) == "0.00"  # its lower end, not the middle
    assert str(estimate(lambda gain: float(np.mean(gain)), np.full(7, 0.1))) == "0.10"  # but for rounding


def test_a_paired_difference_is_a_statistic_of_three_columns() -> None:
    truth = RANDOM.normal(size=60)
    good, bad = truth + 0.1 * RANDOM.normal(size=60), RANDOM.normal(size=60)
    gain = estimate(lambda t, a, b: kendall(t, a) - kendall(t, b), truth, good, bad)
    assert 0.3 < gain.low < gain.value < gain.high
    assert str(gain) == f"{gain.value:.2f} ({gain.low:.2f} to {gain.high:.2f})"


def test_one_network_has_no_interval() -> None:
    one = estimate(lambda values: float(values.sum()), np.array([3.0]))
    assert (one.value, np.isnan(one.low), np.isnan(one.high)) == (3.0, True, True)


def test_estimates_are_written_as_they_are_asked_for() -> None:
    found = Estimate(0.5, -0.25, 1)
    assert (f"{found}", f"{found:+.1f}") == ("0.50 (-0.25 to 1.00)", "+0.5 (-0.2 to +1.0)")
