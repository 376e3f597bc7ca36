"""The statistics of search spaces, against SciPy, a bootstrap, and cases that can be seen through."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from moonas.encoding.encoding import Gene
from moonas.errors import MoonasError
from moonas.problem.objective import Objective
from moonas.report.design_space import (
    compare_spaces,
    error_distribution,
    gene_effects,
    kept_choices,
    losses,
    plot_distributions,
    ranks,
)

ACCURACY = Objective("accuracy", "maximize", ideal=1.0)
LATENCY = Objective("latency_ms", "minimize", ideal=0.0)


def frame(accuracies: Any, states: Any = "complete", **genes: Any) -> pd.DataFrame:
    return pd.DataFrame({"accuracy": np.asarray(accuracies, dtype=float), "state": states, **genes})


MIXED = frame([0.9, 0.8, np.nan, np.nan, 0.8], ["complete", "complete", "failed", "infeasible", "complete"])


def test_losses_are_errors_and_failed_networks_the_worst() -> None:
    np.testing.assert_allclose(losses(MIXED, ACCURACY), [0.1, 0.2, np.inf, 0.2])


def test_losses_of_costs_are_the_costs() -> None:
    trials = pd.DataFrame({"latency_ms": [2.0, 5.0], "state": "complete"})
    np.testing.assert_allclose(losses(trials, LATENCY), [2, 5])
    np.testing.assert_allclose(losses(trials, Objective("latency_ms", "maximize")), [-2, -5])


def test_a_distribution_ends_at_the_share_that_did_not_fail() -> None:
    distribution = error_distribution(MIXED, ACCURACY)
    np.testing.assert_allclose(distribution["loss"], [0.1, 0.2])
    np.testing.assert_allclose(distribution["share"], [0.25, 0.75])


def test_a_distribution_is_that_of_scipy() -> None:
    accuracies = np.random.default_rng(0).random(50).round(1)
    distribution = error_distribution(frame(accuracies), ACCURACY)
    expected = stats.ecdf(1 - accuracies).cdf
    np.testing.assert_allclose(distribution["loss"], expected.quantiles)
    np.testing.assert_allclose(distribution["share"], expected.probabilities)


def test_spaces_are_compared_with_the_first() -> None:
    random = np.random.default_rng(0)
    one, two = random.normal(0.8, 0.05, 60), random.normal(0.85, 0.05, 40)
    compared = compare_spaces({"one": frame(one), "two": frame(two)}, ACCURACY).set_index("space")
    assert np.isnan(compared.loc["one", "better"])
    better = np.mean(two[:, None] > one[None, :])
    assert compared.loc["two", "better"] == pytest.approx(better)
    assert compared.loc["two", "p_value"] == pytest.approx(stats.mannwhitneyu(two, one).pvalue)
    for name, values in (("one", one), ("two", two)):
        row = compared.loc[name]
        assert row["best"] == pytest.approx(values.max())
        assert row["mean"] == pytest.approx(values.mean())
        assert (values >= row["quarter"] - 1e-12).mean() == pytest.approx(0.25)
        assert (values >= row["median"] - 1e-12).mean() == pytest.approx(0.5)


def test_a_space_equal_to_the_first_beats_it_in_half_of_the_cases() -> None:
    compared = compare_spaces({"one": MIXED, "again": MIXED}, ACCURACY)
    assert compared.loc[1, "better"] == pytest.approx(0.5)
    assert compared.loc[1, "failed"] == 1
    assert np.isnan(compared.loc[1, "mean"])  # of infinite losses


def test_a_space_of_failures_is_told_and_does_not_break() -> None:
    failed = frame([np.nan, np.nan], "failed")
    compared = compare_spaces({"one": MIXED, "failed": failed, "nothing": MIXED[:0]}, ACCURACY).set_index("space")
    assert compared.loc["failed", "networks"] == compared.loc["failed", "failed"] == 2
    assert compared.loc["failed", "better"] == pytest.approx(0.125)  # ties with the one failure of the four
    assert np.isnan(compared.loc["failed", "best"])
    assert np.isnan(compared.loc["nothing", "better"])


# Which genes matter.

WIDTH = Gene("width", (4, 8, 16, 32), ordered=True)
KIND = Gene("kind", ("plain", "residual", "separable"))
NOISE = Gene("noise", (1, 2, 3), ordered=True)


def drawn(count: int = 200, seed: int = 0) -> pd.DataFrame:
    """Wide networks are good, separable ones bad; nothing else matters."""
    random = np.random.default_rng(seed)
    width, kind, noise = (random.integers(len(gene.choices), size=count) for gene in (WIDTH, KIND, NOISE))
    accuracy = 0.7 + 0.04 * width - 0.1 * (kind == 2) + random.normal(0, 0.02, count)
    return frame(
        accuracy,
        width=np.array(WIDTH.choices)[width],
        kind=np.array(KIND.choices)[kind],
        noise=np.array(NOISE.choices)[noise],
    )


def test_genes_that_matter_are_found_and_narrowed_and_others_left() -> None:
    effects = gene_effects(drawn(), (NOISE, WIDTH, KIND), (ACCURACY,)).set_index("gene")
    assert set(effects.index[:2]) == {"width", "kind"}
    assert set(effects.loc["width", "keep"]) <= {16, 32}
    assert effects.loc["kind", "keep"] == ("plain", "residual")
    assert effects.loc["noise", "keep"] == NOISE.choices
    assert effects.loc["noise", "p_value"] > 0.05 > effects.loc["width", "p_value"]
    assert effects.loc["width", "share"] > 0.3 > 0.05 > effects.loc["noise", "share"]


def test_genes_without_effect_are_seldom_narrowed() -> None:
    """Of 60 spaces of eight genes of pure noise, some 5 % may lose a choice."""
    random = np.random.default_rng(1)
    genes = tuple(Gene(f"gene{i}", (1, 2, 3, 4), ordered=i % 2 == 0) for i in range(8))
    narrowed = 0
    for _ in range(60):
        columns = {gene.name: random.integers(1, 5, size=80) for gene in genes}
        effects = gene_effects(frame(random.random(80), **columns), genes, (ACCURACY,))
        narrowed += any(len(keep) < 4 for keep in effects["keep"])
    assert narrowed <= 9


def test_an_optimum_in_the_middle_is_seen() -> None:
    random = np.random.default_rng(0)
    depth = random.integers(5, size=150)
    accuracy = 0.9 - 0.03 * (depth - 2) ** 2 + random.normal(0, 0.02, 150)
    gene = Gene("depth", (1, 2, 3, 4, 5), ordered=True)
    (effect,) = gene_effects(frame(accuracy, depth=depth + 1), (gene,), (ACCURACY,)).itertuples()
    assert effect.p_value < 1e-6
    assert set(effect.keep) <= {2, 3, 4}


def test_the_p_value_of_unordered_choices_is_that_of_kruskal_and_wallis() -> None:
    trials = drawn(60)
    (effect,) = gene_effects(trials, (KIND,), (ACCURACY,)).itertuples()
    groups = [trials.loc[trials["kind"] == kind, "accuracy"] for kind in KIND.choices]
    assert effect.p_value == pytest.approx(stats.kruskal(*groups).pvalue)


def test_networks_for_which_a_gene_does_not_matter_say_nothing_about_it() -> None:
    trials = drawn()
    blank = trials.assign(width=trials["width"].astype(object).where(trials["kind"] != "plain", None))
    effects = gene_effects(blank, (WIDTH,), (ACCURACY,))
    assert effects.loc[0, "networks"] == (trials["kind"] != "plain").sum()


def test_choices_of_failed_networks_go() -> None:
    trials = drawn()
    trials.loc[trials["noise"] == 3, "state"] = "failed"
    effects = gene_effects(trials, (NOISE,), (ACCURACY,))
    assert effects.loc[0, "keep"] == (1, 2)


@pytest.mark.parametrize(
    "trials",
    [drawn(0), drawn(1), drawn(3), frame([np.nan] * 4, "failed", width=4, kind="plain", noise=[1, 2, 3, 1])],
    ids=["none", "one", "three", "all failed"],
)
def test_too_few_networks_narrow_nothing(trials: pd.DataFrame) -> None:
    effects = gene_effects(trials, (WIDTH, KIND, NOISE), (ACCURACY,))
    assert (effects["p_value"] >= 0.05).all()
    assert set(effects["keep"]) == {WIDTH.choices, KIND.choices, NOISE.choices}


def test_choices_go_that_good_networks_make_too_seldom_to_be_accident() -> None:
    chosen = np.repeat([0, 1, 2], 20)
    good = np.zeros(60, dtype=bool)
    good[:8] = good[20:27] = True  # of 20 each: eight with the first choice, seven with the second, none with the third
    assert stats.fisher_exact([[0, 20], [15, 25]], alternative="less").pvalue < 0.01
    assert kept_choices(KIND, chosen, 1.0 - good, good) == ("plain", "residual")
    good[40:43] = True  # three with the third might be accident
    assert stats.fisher_exact([[3, 17], [15, 25]], alternative="less").pvalue > 0.05
    assert kept_choices(KIND, chosen, 1.0 - good, good) == KIND.choices


def test_a_rare_choice_goes_if_all_its_networks_are_worse() -> None:
    """Good networks can hardly be said to avoid what is seldom drawn at all."""
    chosen = np.array([0] * 6 + [1] * 60)
    lost = np.concatenate([np.full(6, 0.5), np.linspace(0.1, 0.4, 60)])
    good = lost <= np.quantile(lost, 0.25)
    assert stats.fisher_exact([[0, 6], [good.sum(), 60 - good.sum()]], alternative="less").pvalue > 0.1
    assert kept_choices(Gene("depth", (0, 1), ordered=True), chosen, lost, good) == (1,)


def test_several_objectives_are_judged_by_their_fronts() -> None:
    trials = frame([0.9, 0.8, 0.8, 0.7, np.nan], ["complete"] * 4 + ["failed"], latency_ms=[3.0, 1.0, 2.0, 4.0, np.nan])
    np.testing.assert_array_equal(ranks(trials, (ACCURACY, LATENCY)), [0, 0, 1, 2, np.inf])
    np.testing.assert_allclose(ranks(trials, (ACCURACY,)), losses(trials, ACCURACY))


@pytest.mark.parametrize("level", [0, 1, -1, 2, np.nan])
def test_a_level_that_is_none_is_refused(level: float) -> None:
    with pytest.raises(MoonasError, match="level must be above 0 and below 1"):
        gene_effects(drawn(20), (KIND,), (ACCURACY,), level=level)


@pytest.mark.parametrize("level", [0.5, 0.99])
def test_some_choice_is_kept_at_any_level(level: float) -> None:
    for seed in range(20):
        effects = gene_effects(drawn(30, seed), (WIDTH, KIND, NOISE), (ACCURACY,), level=level)
        assert all(effects["keep"])


def test_ordered_choices_stay_a_range() -> None:
    chosen = np.repeat([0, 1, 2, 3], 20)
    good = np.isin(chosen, [0, 2])
    assert kept_choices(WIDTH, chosen, 1.0 - good, good) == (4, 8, 16)
    assert kept_choices(Gene("width", WIDTH.choices), chosen, 1.0 - good, good) == (4, 16)


def test_some_choice_is_always_kept() -> None:
    random = np.random.default_rng(0)
    for _ in range(200):
        chosen, good = random.integers(4, size=30), random.random(30) < random.random()
        assert kept_choices(WIDTH, chosen, random.random(30), good)


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_distributions_are_drawn_even_of_failures(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"spaces{suffix}"
    plot_distributions({"one": MIXED, "failed": frame([np.nan], "failed")}, ACCURACY, path)
    first = path.read_bytes()
    assert len(first) > 1000
    plot_distributions({"one": MIXED, "failed": frame([np.nan], "failed")}, ACCURACY, path)
    assert path.read_bytes() == first
