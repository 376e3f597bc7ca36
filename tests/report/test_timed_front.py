"""A front that was timed in the end: the new columns, and who is tied with whom."""

from __future__ import annotations

import pandas as pd
import pytest

from moonas.report.timed_front import tied, timing_remarks, with_timings


def front(*, together: int | None = None, steady: float = 0.0, **latencies: tuple[float, float] | str) -> pd.DataFrame:
    """A front with latencies and uncertainties, or reasons; all timed side by side, or so many at a time."""
    plain = pd.DataFrame({"key": list(latencies), "accuracy": 0.9, "latency_ms": 1.0, "params": 5, "error": None})
    well = {key: each for key, each in latencies.items() if not isinstance(each, str)}
    figures = {
        key: {
            "latency_ms": latency,
            "latency_uncertainty": uncertainty,
            "repeatability": steady,
            "cpu_over_wall": 1.0,
            "timed_together": together or len(well),
        }
        for key, (latency, uncertainty) in well.items()
    }
    errors = {key: each if isinstance(each, str) else "" for key, each in latencies.items()}
    return with_timings(plain, {key: figures.get(key, {}) for key in latencies}, errors=errors)


def test_what_was_measured_stands_beside_the_latency_of_the_search() -> None:
    found = front(a=(2.0, 0.1), b=(3.0, 0.2))
    assert list(found) == [
        "key",
        "accuracy",
        "latency_ms",
        "measured_latency_ms",
        "measured_latency_uncertainty",
        "latency_quality",
        "latency_tied_with",
        "latency_timed_together",
        "params",
        "error",
    ]
    assert found["measured_latency_ms"].tolist() == [2.0, 3.0]
    assert found["measured_latency_uncertainty"].tolist() == [0.1, 0.2]
    assert found["latency_timed_together"].tolist() == [2, 2]
    assert found["error"].isna().all()


def test_networks_are_tied_that_differ_by_less_than_the_larger_uncertainty() -> None:
    found = front(a=(1.0, 0.01), b=(1.04, 0.05), c=(1.06, 0.01), d=(2.0, 0.05))
    assert tied(found) == [("a", "b"), ("b", "c")]  # a and c differ by 6 %, and know better
    assert found.set_index("key")["latency_tied_with"].to_dict() == {"a": "b", "b": "a c", "c": "b", "d": None}


def test_a_difference_as_large_as_the_uncertainty_is_one() -> None:
    assert tied(front(a=(1.0, 0.25), b=(1.25, 0.1))) == []


def test_a_network_that_could_not_be_timed_is_tied_with_nobody() -> None:
    found = front(a=(1.0, 0.5), b="out of memory")
    assert found["measured_latency_ms"].isna().tolist() == [False, True]
    assert found["latency_quality"].tolist() == ["good", None]
    assert found["error"].tolist() == [None, "out of memory"]
    assert tied(found) == []


@pytest.mark.parametrize(("steady", "quality"), [(0.04, "good"), (0.06, "noisy"), (0.2, "bad")])
def test_measured_latencies_say_how_good_they_are_and_the_remark_says_the_same(steady: float, quality: str) -> None:
    found = front(a=(1.0, 0.1), b=(3.0, 0.1), c="broken", steady=steady)
    assert found["latency_quality"].tolist() == [quality, quality, None]
    warned = [line for line in timing_remarks(found) if line.startswith("Warning")]
    sentence = (
        f"Warning: of 2 measured latencies of the front 2 are {quality} (latency_quality in pareto.csv): another "
        "measurement may find others, as happens on a busy machine."
    )
    assert warned == ([] if quality == "good" else [sentence])


def test_the_most_common_reason_why_networks_were_not_timed_is_told() -> None:
    found = front(a=(1.0, 0.1), b="out of memory", c="out of memory", d="broken")
    assert timing_remarks(found) == [
        "3 of 4 networks of the front could not be timed (2 of them: out of memory): they have no measured latency in "
        "pareto.csv, whose errors say why; --retry-failed times the front again."
    ]


def test_a_front_that_was_timed_in_parts_is_told() -> None:
    (sentence,) = timing_remarks(front(a=(1.0, 0.1), b=(3.0, 0.1), c=(5.0, 0.1), together=2))
    assert sentence.startswith("The front was timed in parts of at most 2 of its 3 networks, for")


def test_ties_are_told_in_one_sentence() -> None:
    assert timing_remarks(front(a=(1.0, 0.1), b=(1.05, 0.1), c=(3.0, 0.1))) == [
        "2 of 3 networks are as fast as another one, as far as timing can tell: their measured latencies differ by "
        "less than their uncertainty (latency_tied_with in pareto.csv)."
    ]


def test_where_nothing_is_tied_or_timed_nothing_is_told() -> None:
    assert timing_remarks(front(a=(1.0, 0.1), b=(3.0, 0.1))) == []
    assert timing_remarks(pd.DataFrame({"key": ["a", "b"], "latency_ms": [1.0, 1.0]})) == []
