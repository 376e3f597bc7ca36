"""A front that was timed in the end: the new columns, and who is tied with whom."""

from __future__ import annotations

import pandas as pd

from moonas.report.timed_front import tie_remark, tied, with_timings


def front(**latencies: tuple[float, float] | None) -> pd.DataFrame:
    plain = pd.DataFrame({"key": list(latencies), "accuracy": 0.9, "latency_ms": 1.0, "params": 5})
    timed = {
        key: {} if each is None else {"latency_ms": each[0], "latency_uncertainty": each[1]}
        for key, each in latencies.items()
    }
    return with_timings(plain, timed)


def test_what_was_measured_stands_beside_the_latency_of_the_search() -> None:
    found = front(a=(2.0, 0.1), b=(3.0, 0.2))
    assert list(found) == [
        "key",
        "accuracy",
        "latency_ms",
        "measured_latency_ms",
        "measured_latency_uncertainty",
        "latency_tied_with",
        "params",
    ]
    assert found["measured_latency_ms"].tolist() == [2.0, 3.0]
    assert found["measured_latency_uncertainty"].tolist() == [0.1, 0.2]


def test_networks_are_tied_that_differ_by_less_than_the_larger_uncertainty() -> None:
    found = front(a=(1.0, 0.01), b=(1.04, 0.05), c=(1.06, 0.01), d=(2.0, 0.05))
    assert tied(found) == [("a", "b"), ("b", "c")]  # a and c differ by 6 %, and know better
    assert found.set_index("key")["latency_tied_with"].to_dict() == {"a": "b", "b": "a c", "c": "b", "d": None}


def test_a_difference_as_large_as_the_uncertainty_is_one() -> None:
    assert tied(front(a=(1.0, 0.25), b=(1.25, 0.1))) == []


def test_a_network_that_could_not_be_timed_is_tied_with_nobody() -> None:
    found = front(a=(1.0, 0.5), b=None)
    assert found["measured_latency_ms"].isna().tolist() == [False, True]
    assert tied(found) == []


def test_ties_are_told_in_one_sentence() -> None:
    assert tie_remark(front(a=(1.0, 0.1), b=(1.05, 0.1), c=(3.0, 0.1))) == (
        "2 of 3 networks are as fast as another one, as far as timing can tell: their measured latencies differ by "
        "less than their uncertainty (latency_tied_with in pareto.csv)."
    )


def test_where_nothing_is_tied_or_timed_nothing_is_told() -> None:
    assert tie_remark(front(a=(1.0, 0.1), b=(3.0, 0.1))) == ""
    assert tie_remark(pd.DataFrame({"key": ["a", "b"], "latency_ms": [1.0, 1.0]})) == ""
