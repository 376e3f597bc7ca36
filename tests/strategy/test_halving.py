"""Who goes on follows from results alone: not from when they come, and never more than the share that was asked for."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import moocore
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonas.problem.objective import Objective
from moonas.strategy.halving import Bracket, best_first

ACCURACY = Objective("accuracy", "maximize")
PARAMS = Objective("params", "minimize")
CHANCE = 0.1

values = (
    st.integers(1, 3)
    .flatmap(
        lambda objectives: st.lists(
            st.lists(st.integers(-5, 5), min_size=objectives, max_size=objectives), min_size=1, max_size=14
        )
    )
    .map(lambda rows: np.array(rows, dtype=float))
)


@given(values)
def test_front_by_front(rows: np.ndarray) -> None:
    order = best_first(rows)
    assert sorted(order) == list(range(len(rows)))
    while order:
        left = rows[sorted(order)]
        front = int(moocore.is_nondominated(left, keep_weakly=True).sum())
        first = rows[order[:front]]
        assert moocore.is_nondominated(np.vstack([first, left]), keep_weakly=True)[:front].all()
        order = order[front:]


@given(st.lists(st.integers(0, 100), min_size=2, max_size=9, unique=True), st.integers(0, 2**32 - 1))
def test_of_a_front_the_first_are_what_taking_the_least_away_leaves(column: list[int], seed: int) -> None:
    random = np.random.default_rng(seed)
    front = np.column_stack([np.sort(column), np.sort(random.permutation(101)[: len(column)])[::-1]]).astype(float)
    order, box = best_first(front), front.max(axis=0) + 0.1 * np.ptp(front, axis=0)
    for count in range(2, len(front)):
        kept = order[: count + 1]
        left = {out: moocore.hypervolume(front[[i for i in kept if i != out]], ref=box) for out in kept}
        assert left[kept[-1]] == pytest.approx(max(left.values()))


def test_of_near_twins_one_is_kept() -> None:
    front = np.array([[0.0, 10.0], [0.01, 9.99], [5.0, 5.0], [5.5, 4.9], [10.0, 0.0]])
    assert {*best_first(front)[:3]} in ({0, 2, 4}, {1, 2, 4}, {0, 3, 4}, {1, 3, 4})


@given(values, st.lists(st.sampled_from([0.25, 1.0, 8.0]), min_size=3, max_size=3))
def test_units_do_not_matter(rows: np.ndarray, factors: list[float]) -> None:
    assert best_first(rows * factors[: rows.shape[1]]) == best_first(rows)


@given(st.lists(st.integers(-5, 5), max_size=20))
def test_one_objective_is_a_stable_sort(column: list[int]) -> None:
    assert best_first(np.array(column, dtype=float).reshape(-1, 1)) == sorted(
        range(len(column)), key=column.__getitem__
    )


def test_of_equals_one_stands_for_all() -> None:
    assert best_first(np.array([[0.0, 1.0], [0.0, 1.0], [1.0, 0.0]])) in ([2, 0, 1], [0, 2, 1])


@dataclass
class Course:
    """What became of a bracket whose results came in some order."""

    entered: dict[int, list[int]] = field(default_factory=dict)  # by rung
    stopped: dict[int, str] = field(default_factory=dict)
    ended: list[int] = field(default_factory=list)


Results = Mapping[tuple[int, int], Mapping[str, float] | None]


Running = Sequence[tuple[int, int]]


def first(running: Running) -> int:
    """The result that comes next of a machine on which each training takes as long as any other."""
    return 0


def highest(running: Running) -> int:
    """Of a machine that is done with whoever goes on before it looks at anybody else."""
    return max(range(len(running)), key=lambda i: running[i][1])


def any_of(moments: st.DataObject) -> Callable[[Running], int]:
    """Of a machine of which nothing is known."""
    return lambda running: moments.draw(st.integers(0, len(running) - 1))


def run(results: Results, members: int, rungs: int, keep: float, comes: Callable[[Running], int] = first) -> Course:
    """Run a bracket; `comes` picks of what is being trained whose result is next."""
    bracket = Bracket(members, rungs=rungs, keep=keep, objectives=[ACCURACY, PARAMS], chance={"accuracy": CHANCE})
    running = [(member, 1) for member in range(members)]
    course = Course({1: list(range(members))})
    while running:
        member, rung = running.pop(comes(running))
        moves = bracket.answer(member, rung, results[member, rung])
        if results[member, rung] is None or rung == rungs:
            course.ended.append(member)
        for promoted, above in moves.promoted:
            course.entered.setdefault(above, []).append(promoted)
        assert not course.stopped.keys() & dict(moves.stopped).keys()
        course.stopped.update(moves.stopped)
        running += moves.promoted
    return course


measured = st.fixed_dictionaries({"accuracy": st.sampled_from([0.1, 0.2, 0.3, 0.5, 0.9]), "params": st.integers(1, 9)})


@st.composite
def brackets(draw: st.DrawFn) -> tuple[Results, int, int, float]:
    members, rungs = draw(st.integers(1, 12)), draw(st.integers(2, 4))
    keep = draw(st.sampled_from([0.1, 0.25, 0.333, 0.5, 0.7]))
    result = st.none() | measured if draw(st.booleans()) else measured
    results = {(member, rung): draw(result) for member in range(members) for rung in range(1, rungs + 1)}
    return results, members, rungs, keep


@given(brackets(), st.data())
def test_the_moments_at_which_results_come_do_not_matter(
    bracket: tuple[Results, int, int, float], moments: st.DataObject
) -> None:
    expected = run(*bracket)
    for comes in (any_of(moments), highest):
        found = run(*bracket, comes)
        assert found.entered == expected.entered
        assert found.stopped == expected.stopped


def test_a_rung_that_is_done_before_the_one_below_decides_in_the_same_order() -> None:
    """Three go on to rung 2 and are trained there before the last member of rung 1 lets a fourth follow."""
    at_second = {3: 0.1, 4: 0.2, 5: 0.1, 6: 0.3}
    results = {
        (member, rung): {"accuracy": at_second.get(member, 0.1) if rung == 2 else 0.2, "params": 7 - member}
        for member in range(7)
        for rung in (1, 2, 3)
    }
    bracket = (results, 7, 3, 0.5)
    assert run(*bracket).entered[3] == run(*bracket, highest).entered[3] == [4, 6]


def test_nobody_waits_for_the_slowest_of_any_rung_below() -> None:
    """Of 32 members, half of whom go on, the last at rung 1 is still being trained when one is at rung 3."""
    bracket = Bracket(32, rungs=3, keep=0.5, objectives=[ACCURACY])
    second = [moved for i in range(31) for moved, _ in bracket.answer(i, 1, {"accuracy": 1 - i / 64}).promoted]
    third = [moved for i in second for moved, _ in bracket.answer(i, 2, {"accuracy": 1 - i / 64}).promoted]
    assert (len(second), third) == (15, list(range(7)))


@given(brackets(), st.data())
def test_everybody_ends_once_and_the_share_is_kept(
    bracket: tuple[Results, int, int, float], moments: st.DataObject
) -> None:
    results, members, rungs, keep = bracket
    course = run(*bracket, any_of(moments))
    assert sorted([*course.ended, *course.stopped]) == list(range(members))
    for rung in range(1, rungs):
        entered = course.entered.get(rung, [])
        able = [each for each in entered if (result := results[each, rung]) and result["accuracy"] > CHANCE]
        went_on = course.entered.get(rung + 1, [])
        assert set(went_on) <= set(able)
        assert len(went_on) == min(len(able), math.ceil(len(entered) * Fraction(str(keep))))


@given(brackets(), st.integers(0, 12))
def test_three_quarters_decide_without_the_rest(bracket: tuple[Results, int, int, float], count: int) -> None:
    """No barrier: after most results in their order, their share has gone on, though others are still being trained."""
    results, members, rungs, keep = bracket
    rule = Bracket(members, rungs=rungs, keep=keep, objectives=[ACCURACY, PARAMS], chance={"accuracy": CHANCE})
    first = range(min(count, members - 1))
    went_on = [moved for member in first for moved, _ in rule.answer(member, 1, results[member, 1]).promoted]
    able = [member for member in first if (result := results[member, 1]) and result["accuracy"] > CHANCE]
    quota = math.floor(len(first) * Fraction(str(keep))) if len(first) >= members * 3 / 4 else 0
    assert len(went_on) <= quota
    if len(able) == len(first):
        assert len(went_on) == quota
    last = run(results, members, rungs, keep).entered.get(2, [])
    assert last[: len(went_on)] == went_on


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=30, unique=True), st.sampled_from([0.25, 0.333, 0.5]))
def test_with_one_objective_and_the_best_first_it_is_plain_successive_halving(losses: list[int], keep: float) -> None:
    """Jamieson & Talwalkar (2016): of n, the best n * keep go on."""
    bracket = Bracket(len(losses), rungs=2, keep=keep, objectives=[Objective("loss", "minimize")])
    best = sorted(losses)
    went_on = [
        best[moved]
        for member, loss in enumerate(best)
        for moved, _ in bracket.answer(member, 1, {"loss": loss}).promoted
    ]
    assert went_on == best[: math.ceil(len(losses) * Fraction(str(keep)))]


def test_who_is_no_better_than_chance_never_goes_on() -> None:
    bracket = Bracket(3, rungs=2, keep=0.5, objectives=[ACCURACY, PARAMS], chance={"accuracy": CHANCE})
    moves = [bracket.answer(member, 1, {"accuracy": 0.1, "params": member}) for member in range(3)]
    assert [move.promoted for move in moves] == [[], [], []]
    assert moves[-1].stopped == [(member, "stopped at rung 1 of 2: no better than chance") for member in range(3)]


def test_the_reason_says_how_many_went_on() -> None:
    bracket = Bracket(2, rungs=3, keep=0.5, objectives=[ACCURACY])
    bracket.answer(1, 1, {"accuracy": 0.3})
    moves = bracket.answer(0, 1, {"accuracy": 0.4})
    assert moves.promoted == [(0, 2)]
    assert moves.stopped == [(1, "stopped at rung 1 of 3: not among the 1 of 2 that went on")]


@pytest.mark.parametrize("keep", [0.1, 0.2, 0.3, 0.7])
def test_a_share_means_what_it_is_written_as(keep: float) -> None:
    """As floats, ceil(10 * 0.1 * ...) could be one more than the reader of the file expects."""
    bracket = Bracket(10, rungs=2, keep=keep, objectives=[ACCURACY])
    went_on = [moved for i in range(10) for moved in bracket.answer(i, 1, {"accuracy": 1 - i / 20}).promoted]
    assert len(went_on) == round(10 * keep)
