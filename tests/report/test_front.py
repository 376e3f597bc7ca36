"""The Pareto front against the definition, pymoo's sorting, and the frames that runs leave behind."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting

from moonas.problem.objective import Objective
from moonas.report.front import pareto_front

Goal = Literal["maximize", "minimize"]
OBJECTIVES = (Objective("accuracy", "maximize"), Objective("latency_ms", "minimize"))
goals = st.sampled_from(["maximize", "minimize"])


def frame(*rows: tuple[Any, ...], state: str = "complete") -> pd.DataFrame:
    """Rows of accuracy, latency and, if it is not `state`, the state."""
    table = pd.DataFrame([row[:2] for row in rows], columns=["accuracy", "latency_ms"], dtype=float)
    table.insert(0, "state", [row[2] if len(row) > 2 else state for row in rows])
    table.insert(0, "number", range(len(rows)))
    table.insert(0, "key", [f"net-{i}" for i in range(len(rows))])
    return table


def on_front(trials: pd.DataFrame) -> list[int]:
    return pareto_front(trials, OBJECTIVES)["number"].tolist()


@settings(deadline=None, max_examples=150)
@given(
    values=st.lists(st.lists(st.integers(0, 4), min_size=4, max_size=4), min_size=1, max_size=25),
    chosen=st.lists(goals, min_size=1, max_size=4),
)
def test_the_front_is_what_no_other_dominates(values: list[list[int]], chosen: list[Goal]) -> None:
    """Small whole numbers, so that ties and duplicates abound."""
    objectives = [Objective(f"f{i}", goal) for i, goal in enumerate(chosen)]
    array = np.array(values, dtype=float)[:, : len(chosen)]
    trials = pd.DataFrame(array, columns=[objective.metric for objective in objectives])
    trials = trials.assign(number=range(len(trials)), state="complete")
    found = set(pareto_front(trials, objectives)["number"])
    smaller_is_better = array * [-1 if goal == "maximize" else 1 for goal in chosen]
    assert found == {
        i
        for i, a in enumerate(smaller_is_better)
        if not any((b <= a).all() and (b < a).any() for b in smaller_is_better)
    }
    assert found == set(NonDominatedSorting().do(smaller_is_better, only_non_dominated_front=True))


def test_trials_equal_in_every_objective_stay_together() -> None:
    assert on_front(frame((0.9, 1.0), (0.9, 1.0), (0.8, 2.0))) == [0, 1]


def test_a_trial_equal_in_one_objective_and_worse_in_another_is_out() -> None:
    assert on_front(frame((0.9, 1.0), (0.9, 1.1), (0.8, 1.0))) == [0]


def test_the_best_of_the_first_objective_comes_first() -> None:
    assert on_front(frame((0.7, 1.0), (0.9, 3.0), (0.8, 2.0))) == [1, 2, 0]
    backwards = pareto_front(frame((0.7, 1.0), (0.9, 3.0), (0.8, 2.0)), OBJECTIVES[::-1])
    assert backwards["number"].tolist() == [0, 2, 1]


def test_equals_are_in_the_order_of_their_numbers_whatever_the_order_of_rows() -> None:
    trials = frame((0.9, 1.0), (0.9, 1.0), (0.9, 1.0)).iloc[[2, 0, 1]]
    assert on_front(trials) == [0, 1, 2]


@pytest.mark.parametrize("state", ["infeasible", "failed"])
def test_only_complete_trials_are_on_the_front_however_good(state: str) -> None:
    assert on_front(frame((1.0, 0.0, state), (0.5, 5.0), (0.4, math.nan, state))) == [1]


@pytest.mark.parametrize("state", ["infeasible", "failed"])
def test_without_a_complete_trial_the_front_is_empty_and_has_its_columns(state: str) -> None:
    trials = frame((1.0, 0.0), (math.nan, math.nan), state=state)
    front = pareto_front(trials, OBJECTIVES)
    assert front.empty
    assert list(front.columns) == list(trials.columns)


def test_a_frame_without_rows_gives_one_without_rows() -> None:
    front = pareto_front(frame(), OBJECTIVES)
    assert front.empty
    assert "accuracy" in front.columns


def test_one_trial_is_its_own_front() -> None:
    assert on_front(frame((0.1, 9.0))) == [0]


def test_rows_keep_all_their_columns_and_are_numbered_anew() -> None:
    trials = frame((0.7, 1.0), (0.6, 2.0), (0.9, 3.0)).assign(params=[10, 20, 30])
    front = pareto_front(trials.set_index(pd.Index([7, 8, 9])), OBJECTIVES)
    assert list(front.columns) == list(trials.columns)
    assert front.index.tolist() == [0, 1]
    assert front["params"].tolist() == [30, 10]
    assert front["key"].tolist() == ["net-2", "net-0"]


def test_the_trials_are_left_as_they_were() -> None:
    trials = frame((0.7, 1.0), (0.9, 3.0))
    before = trials.copy()
    pareto_front(trials, OBJECTIVES)
    pd.testing.assert_frame_equal(trials, before)


def test_one_objective_has_its_best_trials_for_a_front() -> None:
    trials = frame((0.9, 1.0), (0.7, 1.0), (0.9, 2.0))
    assert pareto_front(trials, OBJECTIVES[:1])["number"].tolist() == [0, 2]


def test_a_complete_trial_without_a_value_is_not_on_the_front_and_beats_nobody() -> None:
    """A run never leaves such a row; a CSV that was edited or joined by hand may."""
    assert on_front(frame((0.9, 1.0), (math.nan, 0.5), (0.95, math.nan))) == [0]
