"""Objectives and constraints: directions, limits, and how far beyond a limit is."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonas.problem.objective import Constraint, Objective, minimised, total_violation

numbers = st.floats(-1e6, 1e6)


@pytest.mark.parametrize(
    ("limit", "value", "violation"),
    [
        (100.0, 99.0, 0.0),
        (100.0, 100.0, 0.0),  # ends included
        (100.0, 150.0, 0.5),
        (100.0, 300.0, 2.0),
        (100.0, -5.0, 0.0),
        (0.0, 0.0, 0.0),
        (0.0, -1.0, 0.0),
        (0.0, 0.25, 0.25),  # as a share of 1
        (-10.0, -10.0, 0.0),
        (-10.0, -11.0, 0.0),
        (-10.0, -5.0, 0.5),  # of 10: a share is never negative
        (-10.0, 10.0, 2.0),
        (100.0, math.inf, math.inf),
        (100.0, -math.inf, 0.0),
    ],
)
def test_at_most_is_broken_above(limit: float, value: float, violation: float) -> None:
    assert Constraint("m", at_most=limit).violation(value) == pytest.approx(violation)
    # The mirror image: at least.
    assert Constraint("m", at_least=-limit).violation(-value) == pytest.approx(violation)


def test_a_range_is_kept_within_and_broken_on_both_sides() -> None:
    constraint = Constraint("m", at_least=2.0, at_most=4.0)
    assert [constraint.violation(v) for v in (1.0, 2.0, 3.0, 4.0, 6.0)] == [0.5, 0.0, 0.0, 0.0, 0.5]


def test_a_number_that_is_none_breaks_every_limit_infinitely() -> None:
    assert Constraint("m", at_most=1.0).violation(math.nan) == math.inf
    assert Constraint("m", at_least=1.0).violation(math.nan) == math.inf
    assert Constraint("m", at_least=0.0, at_most=1.0).violation(math.nan) == math.inf


@given(limit=numbers, value=numbers)
def test_a_limit_is_broken_exactly_when_it_is_not_kept(limit: float, value: float) -> None:
    assert (Constraint("m", at_most=limit).violation(value) > 0) == (value > limit)
    assert (Constraint("m", at_least=limit).violation(value) > 0) == (value < limit)


@given(limit=numbers, values=st.tuples(numbers, numbers))
def test_further_beyond_is_no_smaller_a_violation(limit: float, values: tuple[float, float]) -> None:
    near, far = sorted(values)
    assert Constraint("m", at_most=limit).violation(near) <= Constraint("m", at_most=limit).violation(far)


@given(
    limit=st.floats(1e-3, 1e6) | st.floats(-1e6, -1e-3), value=numbers, factor=st.sampled_from([1e-3, 0.5, 2.0, 1024.0])
)
def test_violations_do_not_depend_on_the_unit(limit: float, value: float, factor: float) -> None:
    in_other_unit = Constraint("m", at_most=factor * limit).violation(factor * value)
    assert in_other_unit == pytest.approx(Constraint("m", at_most=limit).violation(value), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(
    ("constraint", "text"),
    [
        (Constraint("params", at_most=50_000), "params <= 50000"),
        (Constraint("accuracy", at_least=0.9), "accuracy >= 0.9"),
        (Constraint("latency_ms", at_least=0.1, at_most=2.5), "latency_ms >= 0.1 and <= 2.5"),
        (Constraint("flops", at_most=20_000_000), "flops <= 20000000"),
        (Constraint("params", at_most=1_234_567), "params <= 1234567"),
    ],
)
def test_a_constraint_reads_as_the_user_wrote_it(constraint: Constraint, text: str) -> None:
    assert str(constraint) == text


def test_signs_flip_for_what_is_maximised_and_nothing_else() -> None:
    objectives = (Objective("accuracy", "maximize"), Objective("latency_ms", "minimize"))
    metrics = [{"accuracy": 0.9, "latency_ms": 2.0, "params": 7.0}, {"latency_ms": 1.0, "accuracy": 0.5}]
    np.testing.assert_array_equal(minimised(objectives, metrics), [[-0.9, 2.0], [-0.5, 1.0]])


def test_what_was_not_measured_is_not_a_number() -> None:
    values = minimised((Objective("a", "maximize"), Objective("b", "minimize")), [{"b": 1.0}, {}])
    np.testing.assert_array_equal(values, [[math.nan, 1.0], [math.nan, math.nan]])


@pytest.mark.parametrize("objectives", [1, 3])
def test_no_trials_are_a_matrix_of_no_rows(objectives: int) -> None:
    assert minimised([Objective(f"f{i}", "minimize") for i in range(objectives)], []).shape == (0, objectives)


def test_violations_add_up_over_what_was_measured() -> None:
    constraints = (Constraint("a", at_most=10.0), Constraint("b", at_least=1.0), Constraint("c", at_most=1.0))
    assert total_violation(constraints, {"a": 15.0, "b": 0.75}) == pytest.approx(0.75)
    assert total_violation(constraints, {"a": 10.0, "b": 1.0, "c": 0.0}) == 0
    assert total_violation((), {"a": 15.0}) == 0
