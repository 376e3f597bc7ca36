"""The tables and the sentences of checks, on networks whose answer is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from moonas.problem.objective import Constraint
from moonas.report.check import failure_table, limit_table, metric_table, near_choices, nearest, readable
from moonas.report.check_words import mistake, remarks, summary

SMALL, MANY = Constraint("params", at_most=100), Constraint("flops", at_least=50)
GENES = {"width": (4, 8, 16), "kernel": (3, 5), "fixed": (1,)}


def make_networks(*rows: tuple[int, int], limits: tuple[Constraint, ...] = (), **columns: list[Any]) -> pd.DataFrame:
    """Networks of so many (params, flops), which all were drawn."""
    frame = pd.DataFrame(rows, columns=["params", "flops"], dtype=float)
    broken = [any(limit.violation(row[limit.metric]) for limit in limits) for row in frame.to_dict("records")]
    frame.insert(0, "key", [f"k{i}" for i in range(len(frame))])
    frame["state"] = np.where(broken, "infeasible", "complete")
    return frame.assign(**{"drawn": True, "error": None, **columns})


def fail(networks: pd.DataFrame, *reasons: str) -> pd.DataFrame:
    """Networks the first of which failed."""
    for row, reason in enumerate(reasons):
        networks.loc[row, ["state", "error", "params", "flops"]] = "failed", reason, np.nan, np.nan
    return networks


def test_each_metric_is_told_in_three_figures_and_the_best_within_the_limits() -> None:
    networks = make_networks((10, 1), (90, 2), (200, 9), limits=(SMALL,))
    table = metric_table(networks, ["params", "flops"], {"params": "minimize", "flops": "maximize"})
    assert table.to_numpy().tolist() == [["params", 10, 90, 200, 10], ["flops", 1, 2, 9, 2]]


def test_a_metric_without_a_goal_has_no_best_and_found_ones_count_for_the_best_alone() -> None:
    networks = make_networks((150, 1), (200, 2), (80, 3), limits=(SMALL,), drawn=[True, True, False])
    table = metric_table(networks, ["params", "flops"], {"params": "minimize"}).set_index("metric")
    assert table.loc["params"].tolist() == [150, 175, 200, 80]
    assert np.isnan(table.loc["flops", "best"])
    assert np.isnan(metric_table(networks[:2], ["params"], {"params": "minimize"})["best"]).all()


def test_the_share_inside_is_of_those_drawn_that_did_not_fail() -> None:
    networks = make_networks((1, 1), (10, 60), (90, 20), (200, 70), (80, 50), limits=(SMALL, MANY))
    networks = fail(networks, "ValueError: no")
    networks.loc[4, "drawn"] = False
    latency = Constraint("latency_ms", at_most=5)
    table = limit_table(networks, [SMALL, MANY, latency])
    assert table["limit"].tolist() == ["params <= 100", "flops >= 50", "latency_ms <= 5", "all of them"]
    assert table["networks"].fillna(-1).tolist() == [2, 2, -1, 1]
    assert table["share"].fillna(-1).tolist() == pytest.approx([2 / 3, 2 / 3, -1, 1 / 3])
    assert readable(table)["share"].tolist() == ["67 %", "67 %", "-", "33 %"]
    assert limit_table(networks, []).empty


def test_reasons_that_differ_in_figures_are_one_but_not_those_of_different_lines() -> None:
    reasons = ["no row for |a~1|, the string", "ValueError: 3 (my.py:7, in f)", "no row for |b~2|, the string"]
    reasons += ["ValueError: 4 (my.py:9, in f)"]
    table = failure_table(fail(make_networks(*[(1, 1)] * 5), *reasons), [])
    assert table["networks"].tolist() == [2, 1, 1]
    assert table["reason"].tolist() == [reasons[0], reasons[1], reasons[3]]
    assert table["example"].tolist() == ["k0", "k1", "k3"]


def test_the_choices_that_only_failing_networks_make_are_named() -> None:
    networks = make_networks(*[(1, 1)] * 6, width=[4, 8, 4, 16, 16, 16], kernel=[3, 5, 3, 3, 5, None])
    table = failure_table(fail(networks, "too wide 1", "too wide 2", "too wide 3"), ["width", "kernel"])
    assert table["choices"].tolist() == ["width 4 or 8"]
    alone = make_networks(*[(1, 1)] * 3, width=[4, 8, 8])
    assert failure_table(fail(alone, "by chance"), ["width"])["choices"].tolist() == [""]


def test_the_nearest_network_breaks_the_limits_least_in_all() -> None:
    networks = make_networks((150, 50), (110, 10), (120, 45), limits=(SMALL, MANY))
    assert nearest(networks, [SMALL, MANY])["key"] == "k2"


def test_what_near_networks_choose_and_others_do_not_is_told() -> None:
    random = np.random.default_rng(0)
    widths, kernels = random.choice(GENES["width"], 100), random.choice(GENES["kernel"], 100)
    rows = [(int(200 * width + random.integers(20)), 1) for width in widths]
    networks = make_networks(*rows, limits=(SMALL,), width=widths, kernel=kernels, fixed=[1] * 100)
    table = near_choices(networks, [SMALL], GENES)
    assert table["gene"].tolist() == ["width"]
    assert table.loc[0, ["nearest", "near", "choices"]].tolist() == [4, 1.0, "4, 8, 16"]
    assert table.loc[0, "all"] == (widths == 4).mean()


def test_a_limit_that_nothing_keeps_is_a_mistake_with_the_nearest_and_the_limit_it_would_keep() -> None:
    networks = make_networks((300, 1), (1234, 2), limits=(SMALL,))
    assert mistake(networks, [SMALL]) == (
        "no network keeps params <= 100: of 2 drawn, k0 comes nearest, with params 300, 3 times the limit; "
        "relax the limit to params <= 300, or give genes other choices"
    )
    found = make_networks((1500, 1), (1234, 20), limits=(SMALL, MANY), drawn=[True, False])
    assert mistake(found, [SMALL, MANY]) == (
        "no network keeps params <= 100 and flops >= 50 together: of 1 drawn and 1 that were looked for, k1 comes "
        "nearest, with params 1,234, 12.3 times the limit and flops 20, 0.4 times the limit; relax the limit to "
        "params <= 1240 and flops >= 20, or give genes other choices"
    )


@pytest.mark.parametrize(
    ("limit", "value", "with_and_relaxed"),
    [
        (
            Constraint("size_mb", at_most=0.01),
            0.0123456,
            "size_mb 0.0123, 1.23 times the limit; relax the limit to size_mb <= 0.0124",
        ),
        (
            Constraint("size_mb", at_least=2, at_most=2),
            1.23456,
            "size_mb 1.2346, 0.617 times the limit; relax the limit to size_mb >= 1.23",
        ),
        (Constraint("score", at_least=0), -1.5, "score -1.5000; relax the limit to score >= -1.5"),
    ],
)
def test_limits_are_relaxed_as_far_as_the_nearest_needs(limit: Constraint, value: float, with_and_relaxed: str) -> None:
    networks = pd.DataFrame({"key": ["k"], "drawn": True, "state": "infeasible", "error": "", limit.metric: [value]})
    assert f"with {with_and_relaxed}, or" in mistake(networks, [limit])


def test_if_all_fail_it_is_the_problem() -> None:
    networks = fail(make_networks((1, 1), (1, 1), (1, 1)), "ValueError: width 3", "ValueError: width 4", "other")
    assert mistake(networks, []) == (
        "all 3 networks fail, so the problem is at fault, not they; 2 of them: ValueError: width 3"
    )


def test_limits_that_do_nothing_or_leave_little_are_remarked_on() -> None:
    networks = make_networks((10, 60), (20, 70), limits=(SMALL, MANY))
    assert remarks(networks, [SMALL]) == ["params <= 100 does nothing: all 2 networks keep it, with 10 to 20."]
    few = make_networks((10, 1), *[(200 + i, 1) for i in range(39)], limits=(SMALL,))
    assert remarks(few, [SMALL]) == [
        "Only 1 of 40 networks keep all limits; those that do not are not trained, but count as trials: widen the "
        "limits, or narrow the space."
    ]
    rare = make_networks((200, 1), (99, 1), limits=(SMALL,), drawn=[True, False])
    assert remarks(rare, [SMALL]) == [
        "params <= 100 is rare: 0 of 1 networks keep it by chance, k1 was found by looking for it (params 99); a "
        "search may be long in finding any."
    ]
    assert remarks(make_networks((200, 1), (99, 1), limits=(SMALL,)), [SMALL]) == []
    assert remarks(make_networks((200, 1), limits=(SMALL,)), [SMALL]) == []  # a mistake says it


def test_the_summary_says_what_was_looked_at_and_what_was_not() -> None:
    networks = fail(make_networks((10, 1), (20, 1), (300, 1), limits=(SMALL,)), "no")
    unmeasured = {"accuracy": "needs training", "latency_ms": "is timed", "latency_p90_ms": "is timed"}
    assert summary(networks, space="s, 9 genotypes", repeats=1, is_all=True, unmeasured=unmeasured) == [
        "s, 9 genotypes: all 3 networks of it; of as many random genotypes 33 % repeat a network.",
        "2 of 3 can be evaluated, 1 keep all limits that were looked at.",
        "Not looked at: accuracy (needs training); latency_ms, latency_p90_ms (is timed).",
    ]
    (drawn, _) = summary(networks, space="s", repeats=0, is_all=False, unmeasured={})
    assert drawn == "s: 3 different networks, at random; of as many random genotypes 0 % repeat a network."
