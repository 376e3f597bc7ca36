"""The statistics and the words of audits, on networks whose answer is known."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy import stats

from moonas.report.agreement import Estimate, estimate, expanded, kendall
from moonas.report.audit import chance_of_no_difference, evidence
from moonas.report.audit_plot import plot_audit
from moonas.report.audit_verdict import verdict
from moonas.report.evidence import CEILING, agreement_table, among_full, found_in, readable, with_full

ADVICE = "raise fidelity.samples to 512"
REMEDY = f"To bring the proxy nearer to full training, {ADVICE}, and audit again."


def make_networks(
    count: int = 30,
    *,
    of_size: float = 1.0,
    quality: float = 1.0,
    noise: float = 0.05,
    seeds: int = 2,
    seed: int = 0,
    **signals: Any,
) -> pd.DataFrame:
    """Networks whose accuracy is size and a quality beside it; a signal is a function of (size, quality, random)."""
    random = np.random.default_rng(seed)
    size, good = random.uniform(-1.7, 1.7, count), random.normal(size=count)
    networks = pd.DataFrame({"key": [f"k{i}" for i in range(count)], "params": np.exp(size), "flops": np.exp(size) * 9})
    for name, signal in signals.items():
        networks[name] = signal(size, good, random)
    for i in range(seeds):
        networks[f"full_accuracy_{i}"] = of_size * size + quality * good + noise * random.normal(size=count)
    return networks


def perfect(size: Any, good: Any, random: Any) -> Any:
    return size + good + 0.05 * random.normal(size=len(size))


def of_size_alone(size: Any, good: Any, random: Any) -> Any:
    return size + 0.3 * random.normal(size=len(size))


def table_of(networks: pd.DataFrame) -> pd.DataFrame:
    return agreement_table(evidence(networks))


def judge(networks: pd.DataFrame, judged: str = "accuracy") -> tuple[str, ...]:
    return verdict(evidence(networks), table_of(networks), judged, advice=ADVICE)


def test_figures_are_those_of_scipy_averaged_over_full_trainings() -> None:
    networks = make_networks(15, seeds=3, noise=0.5, proxy_accuracy=of_size_alone)
    table = table_of(networks)
    full = [networks[f"full_accuracy_{i}"] for i in range(3)]
    expected = np.mean([stats.kendalltau(networks["proxy_accuracy"], each).statistic for each in full])
    assert found_in(table, "accuracy", "kendall").value == pytest.approx(expected)
    expected = np.mean([stats.spearmanr(networks["flops"], each).statistic for each in full])
    assert found_in(table, "flops", "spearman").value == pytest.approx(expected)
    expected = np.mean([stats.kendalltau(full[i], full[j]).statistic for i, j in ((0, 1), (0, 2), (1, 2))])
    assert found_in(table, CEILING, "kendall").value == pytest.approx(expected)


def test_at_equal_size_the_figures_are_of_what_a_regression_of_ranks_leaves() -> None:
    networks = make_networks(20, seeds=1, noise=0.5, proxy_accuracy=of_size_alone)
    networks["flops"] = networks["params"]  # so that the regression is on one size, as SciPy has it
    rest = {}
    for name in ("proxy_accuracy", "full_accuracy_0"):
        size, rank = (stats.rankdata(networks[column]) for column in ("params", name))
        line = stats.linregress(size, rank)
        rest[name] = np.round(rank - line.intercept - line.slope * size, 9)
    found = found_in(table_of(networks), "accuracy", "spearman_at_equal_size")
    assert found.value == pytest.approx(stats.spearmanr(*rest.values()).statistic)


def test_the_loss_counts_as_better_when_it_is_smaller() -> None:
    table = table_of(make_networks(proxy_training_loss=lambda size, good, random: -size - good))
    assert found_in(table, "training_loss", "kendall").value > 0.9


def test_what_is_not_known_of_all_networks_is_no_signal() -> None:
    networks = make_networks(proxy_accuracy=perfect, naswot=perfect)
    networks.loc[3, "naswot"] = np.nan
    assert list(table_of(networks)["signal"]) == ["accuracy", "params", "flops", CEILING]


def test_sizes_have_no_figures_at_equal_size_and_few_networks_neither() -> None:
    table = table_of(make_networks(proxy_accuracy=perfect)).set_index("signal")
    assert table.loc["flops", "kendall"] > 0
    assert np.isnan(table.loc["flops", "kendall_at_equal_size"])
    few = table_of(make_networks(7, proxy_accuracy=perfect))
    assert few["kendall_at_equal_size"].isna().all()
    assert list(readable(few)) == ["signal", "spearman", "kendall", "top third"]
    assert list(readable(table.reset_index()).iloc[1])[-2:] == ["-", "-"]


def test_intervals_of_a_dozen_networks_hold_chance_about_as_often_as_they_say() -> None:
    """Of signals that know nothing, one in ten may seem to know something; less, as ranks are coarse."""
    missed, widths = 0, list[float]()
    for seed in range(120):
        networks = make_networks(12, seed=seed, proxy_accuracy=lambda size, good, random: random.normal(size=12))
        known = evidence(networks).at_equal_size
        columns = known.signals["accuracy"], known.full
        found = estimate(partial(with_full, kendall), *columns, parameters=known.fitted, resamples=200)
        missed += not found.low <= 0 <= found.high
        widths.append(found.high - found.low)
    assert missed <= 12  # a tenth; of a fifth, so few would come once in 400 times
    assert (
        np.mean(widths) < 1.2
    )  # Kendall's tau of 9 (12 less 3 fitted) varies by 0.27: 1.645 of that to each side is 0.88


def test_levels_of_few_networks_are_higher_and_come_down_to_what_was_asked() -> None:
    assert expanded(0.9, 12, parameters=3) > expanded(0.9, 12) > 0.9
    assert expanded(0.9, 10_000, parameters=3) == pytest.approx(0.9, abs=1e-3)
    away = stats.norm.ppf(1 - (1 - expanded(0.9, 12)) / 2)
    assert away == pytest.approx(1.796 * np.sqrt(12 / 11), abs=1e-3)  # Student's quantile of 11 degrees, from tables


# Verdicts.


def test_of_two_sizes_the_one_that_differs_is_named() -> None:
    networks = make_networks(proxy_accuracy=perfect).assign(params=1000.0)  # as where strides alone are searched
    assert "flops alone, known without training, with" in judge(networks)[0]


def test_a_perfect_proxy_orders_as_well_as_full_training() -> None:
    overall, at_equal_size = judge(make_networks(proxy_accuracy=perfect))
    assert "params alone, known without training, with" in overall
    assert overall.endswith("which is clearly less.")
    assert "orders networks of equal size as well as full trainings agree among themselves" in at_equal_size
    assert ADVICE not in at_equal_size


def test_a_proxy_of_size_alone_is_no_better_than_chance_at_equal_size() -> None:
    overall, at_equal_size, remedy = judge(make_networks(proxy_accuracy=of_size_alone))
    assert overall.endswith("which is no different for sure.")  # of size alone
    assert "no better than chance, while full trainings agree among themselves" in at_equal_size
    assert remedy == REMEDY


def test_a_proxy_that_knows_something_but_less_than_full_training_is_told_so() -> None:
    blurred = {"proxy_accuracy": lambda size, good, random: size + good + 0.8 * random.normal(size=len(size))}
    _, at_equal_size, remedy = judge(make_networks(60, **blurred))
    assert "better than chance, but worse than full trainings agree among themselves" in at_equal_size
    assert remedy == REMEDY


def test_a_proxy_that_prefers_the_worse_is_found_out() -> None:
    _, at_equal_size, remedy = judge(make_networks(proxy_accuracy=lambda size, good, random: 9 * size - good))
    assert remedy == REMEDY
    assert "the wrong way round" in at_equal_size


def test_networks_that_differ_by_luck_alone_have_no_order() -> None:
    (only,) = judge(make_networks(of_size=0, quality=0, proxy_accuracy=perfect))
    assert "hardly differ" in only
    assert ADVICE not in only


def test_a_dozen_networks_that_cannot_tell_ask_for_more() -> None:
    networks = make_networks(
        12, noise=0.7, seed=3, proxy_accuracy=lambda size, good, random: size + 0.4 * good + random.normal(size=12)
    )
    table = table_of(networks)
    found, ceiling = (found_in(table, name, "kendall_at_equal_size") for name in ("accuracy", CEILING))
    assert found.low < 0 < ceiling.value < found.high
    sentence = judge(networks)[1]
    assert "12 networks cannot tell" in sentence
    assert int(sentence.rstrip(".").split()[-1]) > 12


@pytest.mark.parametrize("count", [4, 12])
def test_a_perfect_order_of_a_few_has_no_interval_and_no_certainty(count: int) -> None:
    networks = make_networks(count, noise=0, proxy_accuracy=lambda size, good, random: size + good)
    table = table_of(networks)
    assert str(found_in(table, "accuracy", "kendall")) == "1.00"
    assert "Kendall 1.00, and no resample of the networks says otherwise" in judge(networks)[0]


def test_less_than_eight_networks_are_not_judged_at_equal_size() -> None:
    overall, few = judge(make_networks(6, proxy_accuracy=perfect))
    assert overall.startswith("Over all sizes, accuracy of the proxy orders networks with Kendall")
    assert few == "6 networks cannot be compared at equal size; that takes 8 or more."


def test_one_full_training_gives_no_ceiling() -> None:
    overall, at_equal_size = judge(make_networks(seeds=1, proxy_accuracy=perfect))
    assert "among themselves" not in overall
    assert at_equal_size.endswith("how well it could, takes two seeds of full training.")


def test_a_better_signal_is_recommended_only_if_it_is_clearly_better() -> None:
    *_, better = judge(make_networks(proxy_accuracy=of_size_alone, proxy_training_loss=lambda s, q, _: -s - q))
    assert better.startswith("Here training_loss orders networks of equal size better than accuracy")
    alike = judge(make_networks(proxy_accuracy=perfect, proxy_training_loss=lambda s, q, r: -perfect(s, q, r)))
    assert len(alike) == 2


def test_a_proxy_that_never_changes_says_nothing() -> None:
    only, remedy = judge(make_networks(proxy_accuracy=lambda size, good, random: 0.1 + 0 * size))
    assert remedy == REMEDY
    assert only.startswith("The accuracy of the proxy is the same for all networks, so it orders none")


def test_a_proxy_that_is_size_and_nothing_else_says_nothing_beside_it() -> None:
    _, at_equal_size, *_ = judge(make_networks(proxy_accuracy=lambda size, good, random: size))
    assert at_equal_size == "Beside size, accuracy of the proxy says nothing about these networks."


def test_signals_that_order_alike_do_not_differ() -> None:
    known = evidence(make_networks(12, proxy_accuracy=perfect))  # and flops go with params
    assert known.gain("params", "flops", "kendall") == Estimate(0.0, 0.0, 0.0)


def test_the_gain_over_full_training_is_paired() -> None:
    networks = make_networks(40, noise=0.5, proxy_accuracy=perfect)
    known = evidence(networks)
    expected = with_full(kendall, known.signals["accuracy"], known.full) - among_full(kendall, known.full)
    assert known.gain("accuracy", CEILING, "kendall").value == pytest.approx(expected)


def test_the_chance_of_no_difference_is_that_of_scipys_analysis_of_variance() -> None:
    networks = make_networks(8, of_size=0.1, quality=0.3, noise=0.5, seeds=3, proxy_accuracy=perfect)
    expected = stats.f_oneway(*evidence(networks).full).pvalue
    assert 0.001 < expected < 0.999
    assert chance_of_no_difference(evidence(networks)) == pytest.approx(expected)


@pytest.mark.parametrize("count", [4, 12])
def test_there_is_a_picture(tmp_path: Path, count: int) -> None:
    networks = make_networks(count, proxy_accuracy=perfect)
    plot_audit(networks, table_of(networks), "accuracy", tmp_path / "audit.png", title="a title")
    with Image.open(tmp_path / "audit.png") as image:
        assert image.width > image.height > 300
