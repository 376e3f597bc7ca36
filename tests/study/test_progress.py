"""The line that shows how far a search is."""

import math
from dataclasses import replace

import pytest

from moonas.study.progress import Snapshot, Tally

SNAPSHOT = Snapshot(
    trials=37,
    total=120,
    failed=2,
    best_metric="accuracy",
    best=0.98765,
    hypervolume=0.71234,
    front=11,
    elapsed=125.0,
    left=3720.0,
)


def test_the_line_says_all_of_it() -> None:
    assert str(SNAPSHOT) == (
        "trials 37/120  failed 2  best accuracy 0.9877  hypervolume 0.7123  front 11  elapsed 2m05s  left 1h02m"
    )


def test_a_screening_is_told_where_there_is_room() -> None:
    screened = replace(SNAPSHOT, scored=96, kept=24)
    assert str(screened).startswith("trials 37/120  failed 2  screening kept 24 of 96  best accuracy 0.9877  ")
    assert "left 1h02m" in screened.line(90)
    assert "screening" not in screened.line(90)


def test_trainings_of_a_halving_are_told_where_there_is_room() -> None:
    halved = replace(SNAPSHOT, trained=151)
    assert str(halved).startswith("trials 37/120  failed 2  trainings 151  best accuracy 0.9877  ")
    assert "trainings" not in halved.line(90)


def test_before_anything_is_known_it_says_so() -> None:
    start = Snapshot(0, 120, 0, "accuracy", None, math.nan, 0, 0.2, None)
    assert str(start) == "trials 0/120  best accuracy -  hypervolume -  front 0  elapsed 0s"


@pytest.mark.parametrize(
    ("width", "line"),
    [
        (90, "trials 37/120  failed 2  best accuracy 0.9877  hypervolume 0.7123  front 11  left 1h02m"),
        (80, "trials 37/120  failed 2  best accuracy 0.9877  hypervolume 0.7123  left 1h02m"),
        (60, "trials 37/120  failed 2  best accuracy 0.9877  left 1h02m"),
        (50, "trials 37/120  best accuracy 0.9877  left 1h02m"),
        (40, "trials 37/120  best accuracy 0.9877"),
        (20, "trials 37/120"),
        (5, "trial"),
    ],
)
def test_on_a_narrow_line_what_matters_least_is_left_out(width: int, line: str) -> None:
    assert SNAPSHOT.line(width) == line


def test_a_tally_counts_the_networks_of_a_step() -> None:
    assert Tally("proxy", 3, 12, 8.0, 24.0).line() == "proxy 3/12  elapsed 8s  left 24s"
    assert Tally("proxy", 3, 12, 8.0, None).line() == "proxy 3/12  elapsed 8s"
    assert Tally("proxy", 3, 12, 8.0, 24.0).line(10) == "proxy 3/12"
