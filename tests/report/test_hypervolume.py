"""The hypervolume against pymoo's, its box, and its history."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymoo.indicators.hv import HV

from moonas.problem.objective import Objective
from moonas.report.front import pareto_front
from moonas.report.hypervolume import Hypervolume, hypervolume_history, with_box

Goal = Literal["maximize", "minimize"]
ACCURACY = Objective("accuracy", "maximize", reference=0.5, ideal=1.0)
LATENCY = Objective("latency_ms", "minimize", reference=10.0, ideal=0.0)
SIZE = Objective("size_mb", "minimize")
BOX = (ACCURACY, LATENCY)


def boxed(goals: list[Goal]) -> list[Objective]:
    """Objectives with boxes of several sizes and places, some of negative numbers."""
    ends = [(1.0, 0.0), (20.0, -5.0), (-1.0, -3.0), (0.25, 0.0)]
    return [
        Objective(f"f{i}", goal, *(ends[i] if goal == "minimize" else ends[i][::-1])) for i, goal in enumerate(goals)
    ]


def share(objectives: list[Objective], values: np.ndarray) -> float:
    """By pymoo, in natural units: the dominated volume over the volume of the box."""
    signs = np.array([objective.sign for objective in objectives])
    reference = np.array([objective.reference for objective in objectives], dtype=float)
    ideal = np.array([objective.ideal for objective in objectives], dtype=float)
    volume = HV(ref_point=signs * reference)(signs * values) if len(values) else 0.0
    return float(volume / np.abs(ideal - reference).prod())


def trials_of(rows: list[tuple[float, ...]], *metrics: str, state: str = "complete") -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=list(metrics), dtype=float)
    return table.assign(number=range(len(rows)), state=state)


goal_lists = st.lists(st.sampled_from(["maximize", "minimize"]), min_size=2, max_size=4)


@settings(deadline=None, max_examples=120)
@given(goals=goal_lists, seed=st.integers(0, 2**32 - 1), count=st.integers(0, 25), spread=st.sampled_from([1.0, 1.6]))
def test_it_is_pymoos_after_every_trial(goals: list[Goal], seed: int, count: int, spread: float) -> None:
    """With a spread over 1, some points lie outside of the box, on this side or beyond."""
    objectives = boxed(goals)
    reference = np.array([objective.reference for objective in objectives], dtype=float)
    span = np.array([objective.ideal for objective in objectives], dtype=float) - reference
    places = 0.5 + spread * (np.random.default_rng(seed).random((count, len(goals))) - 0.5)
    values = reference + span * places
    growing = Hypervolume(objectives)
    assert growing.value == 0
    for i, row in enumerate(values):
        growing.add(row.tolist())
        assert growing.value == pytest.approx(share(objectives, values[: i + 1]), rel=1e-9, abs=1e-12)


@settings(deadline=None, max_examples=60)
@given(
    rows=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=20),
    goals=st.tuples(*[st.sampled_from(["maximize", "minimize"])] * 2),
)
def test_adding_tells_who_is_on_the_front_and_how_large_it_is(rows: list[Any], goals: tuple[Goal, Goal]) -> None:
    objectives = [Objective(f"f{i}", g, *((6.0, 0.0) if g == "minimize" else (-1.0, 5.0))) for i, g in enumerate(goals)]
    growing = Hypervolume(objectives)
    for i, row in enumerate(rows):
        added = growing.add(row)
        front = pareto_front(trials_of(rows[: i + 1], "f0", "f1"), objectives)
        assert added == (i in set(front["number"]))
        assert growing.size == len(front)


@pytest.mark.parametrize(
    ("points", "value"),
    [
        ([], 0.0),
        ([(1.0, 0.0)], 1.0),  # the ideal
        ([(0.75, 5.0)], 0.25),
        ([(0.75, 5.0), (0.75, 5.0)], 0.25),  # the same twice
        ([(0.75, 5.0), (0.6, 6.0)], 0.25),  # a dominated one
        ([(1.0, 5.0), (0.75, 0.0)], 0.75),
        ([(0.5, 0.0)], 0.0),  # on the edge
        ([(1.0, 10.0)], 0.0),
        ([(0.4, 0.0)], 0.0),  # worse than the reference in one objective
        ([(0.4, 0.0), (0.75, 5.0)], 0.25),
        ([(1.0, -10.0)], 2.0),  # better than what was thought the best
    ],
)
def test_shares_of_a_box_by_hand(points: list[tuple[float, float]], value: float) -> None:
    growing = Hypervolume(BOX)
    for point in points:
        growing.add(point)
    assert growing.value == pytest.approx(value)


def test_one_objective_gives_the_share_of_the_way() -> None:
    growing = Hypervolume([ACCURACY])
    for accuracy, value in ((0.4, 0.0), (0.6, 0.2), (0.55, 0.2), (0.9, 0.8)):
        growing.add([accuracy])
        assert growing.value == pytest.approx(value)


# Its history.


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 30))
def test_the_history_never_falls_and_ends_at_pymoos_value(seed: int, count: int) -> None:
    random = np.random.default_rng(seed)
    values = np.column_stack([random.uniform(0.3, 1.0, count), random.uniform(0.0, 12.0, count)])
    trials = trials_of([tuple(row) for row in values], "accuracy", "latency_ms")
    history = hypervolume_history(trials, BOX)["hypervolume"]
    assert (history.diff().dropna() >= 0).all()
    assert history.iloc[-1] == pytest.approx(share(list(BOX), values))


def test_the_history_goes_by_numbers_not_by_rows() -> None:
    trials = trials_of([(0.75, 5.0), (1.0, 5.0), (1.0, 0.0)], "accuracy", "latency_ms")
    history = hypervolume_history(trials.iloc[[2, 0, 1]], BOX)
    assert history.columns.tolist() == ["number", "hypervolume"]
    assert history["number"].tolist() == [0, 1, 2]
    assert history["hypervolume"].tolist() == pytest.approx([0.25, 0.5, 1.0])


@pytest.mark.parametrize("state", ["infeasible", "failed"])
def test_trials_that_are_not_complete_take_their_place_and_add_nothing(state: str) -> None:
    trials = trials_of([(0.75, 5.0), (1.0, 0.0), (math.nan, 1.0), (1.0, 5.0)], "accuracy", "latency_ms")
    trials["state"] = ["complete", state, state, "complete"]
    assert hypervolume_history(trials, BOX)["hypervolume"].tolist() == pytest.approx([0.25, 0.25, 0.25, 0.5])


def test_a_trial_without_a_value_adds_nothing_and_hides_nothing() -> None:
    rows = [(math.nan, 0.0), (0.75, 5.0), (1.0, math.nan), (1.0, 5.0)]
    trials = trials_of(rows, "accuracy", "latency_ms")
    assert hypervolume_history(trials, BOX)["hypervolume"].tolist() == pytest.approx([0.0, 0.25, 0.25, 0.5])


def test_the_history_of_nothing_is_empty() -> None:
    history = hypervolume_history(trials_of([], "accuracy", "latency_ms"), BOX)
    assert history.empty
    assert history.columns.tolist() == ["number", "hypervolume"]


# Its box.


def test_a_box_that_is_given_is_kept() -> None:
    assert with_box(BOX, trials_of([(0.1, 99.0), (0.2, 98.0)], "accuracy", "latency_ms")) == BOX


def test_what_is_not_given_is_the_worst_and_the_best_of_the_first_complete_trials() -> None:
    first = trials_of([(0.3, 4.0), (0.8, 9.0), (0.6, 2.0), (0.99, 0.1)], "accuracy", "size_mb")
    first["state"] = ["complete", "complete", "complete", "failed"]
    assert with_box((Objective("accuracy", "maximize"), SIZE), first) == (
        Objective("accuracy", "maximize", reference=0.3, ideal=0.8),
        Objective("size_mb", "minimize", reference=9.0, ideal=2.0),
    )


def test_stopped_trials_count_for_the_worst_and_not_for_the_best() -> None:
    first = trials_of([(0.8, 4.0), (0.2, 9.0), (0.9, 1.0), (0.1, 99.0)], "accuracy", "size_mb")
    first["state"] = ["complete", "stopped", "stopped", "infeasible"]
    assert with_box((Objective("accuracy", "maximize"), SIZE), first) == (
        Objective("accuracy", "maximize", reference=0.2, ideal=0.8),
        Objective("size_mb", "minimize", reference=9.0, ideal=4.0),
    )


def test_one_complete_trial_beside_stopped_ones_has_a_hypervolume() -> None:
    first = trials_of([(0.8, 4.0), (0.2, 9.0)], "accuracy", "size_mb")
    first["state"] = ["complete", "stopped"]
    box = with_box((Objective("accuracy", "maximize", ideal=1.0), Objective("size_mb", "minimize", ideal=0.0)), first)
    assert hypervolume_history(first, box)["hypervolume"].iloc[-1] == pytest.approx(0.6 / 0.8 * 5 / 9)


def test_only_what_is_missing_is_filled_in() -> None:
    first = trials_of([(4.0,), (9.0,)], "size_mb")
    reference, ideal = Objective("size_mb", "minimize", reference=20.0), Objective("size_mb", "minimize", ideal=0.0)
    assert with_box((reference,), first) == (Objective("size_mb", "minimize", 20.0, 4.0),)
    assert with_box((ideal,), first) == (Objective("size_mb", "minimize", 9.0, 0.0),)


@pytest.mark.parametrize("goal", ["minimize", "maximize"])
@pytest.mark.parametrize("rows", [[(5.0,)], [(5.0,), (5.0,)]])
def test_a_box_always_has_room(goal: Goal, rows: list[tuple[float, ...]]) -> None:
    """Where all are the same."""
    (box,) = with_box((Objective("m", goal),), trials_of(rows, "m"))
    assert box.reference is not None
    assert box.ideal is not None
    assert (box.ideal - box.reference) * box.sign < 0


def test_a_first_generation_that_is_all_worse_than_the_reference_leaves_room() -> None:
    objective = Objective("size_mb", "minimize", reference=1.0)
    (box,) = with_box((objective,), trials_of([(3.0,), (2.0,)], "size_mb"))
    assert box.reference == 1.0
    assert box.ideal is not None
    assert box.ideal < 1.0


def test_a_first_trial_without_a_value_does_not_spoil_the_box() -> None:
    first = trials_of([(4.0,), (math.nan,), (9.0,)], "size_mb")
    assert with_box((SIZE,), first) == (Objective("size_mb", "minimize", reference=9.0, ideal=4.0),)


def test_everything_else_of_an_objective_is_kept() -> None:
    (box,) = with_box((ACCURACY,), trials_of([(0.7,)], "accuracy"))
    assert box == ACCURACY


def test_the_share_is_of_the_box_so_units_do_not_matter() -> None:
    rows = [(0.7, 3.0), (0.9, 6.0), (0.6, 1.0)]
    seconds = [(accuracy, latency / 1000) for accuracy, latency in rows]
    raw = (Objective("accuracy", "maximize"), Objective("latency", "minimize"))
    one, other = (
        hypervolume_history(trials, with_box(raw, trials))
        for trials in (trials_of(rows, "accuracy", "latency"), trials_of(seconds, "accuracy", "latency"))
    )
    assert one["hypervolume"].tolist() == pytest.approx(other["hypervolume"].tolist())
