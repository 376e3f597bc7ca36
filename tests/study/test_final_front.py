"""The front of a search, timed side by side when it ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from predicted import OTHER, PI, profile, said

import moonas
from moonas.evaluation.evaluator import Candidate
from moonas.evaluation.latency import LatencyEvaluator
from moonas.spec.metric import FRONT_COLUMNS

Make = Callable[..., moonas.Study]

LIVE: dict[str, Any] = {
    **PI,
    "device": {"name": "here", "runtime": "torch", "rounds": 2, "round_ms": 0.1},
    "objectives": [{"metric": "params"}, {"metric": "flops", "goal": "maximize"}],
    "record": ["latency_ms"],
}


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The keys of the networks that were timed together, one list for each time."""
    evaluate, seen = LatencyEvaluator.evaluate, []

    def watched(self: LatencyEvaluator, candidates: Sequence[Candidate]) -> Any:
        seen.append([candidate.architecture.key for candidate in candidates])
        return evaluate(self, candidates)

    monkeypatch.setattr(LatencyEvaluator, "evaluate", watched)
    return seen


def test_the_front_of_a_live_search_is_timed_again_in_one_batch(tiny: Make, batches: list[list[str]]) -> None:
    study = tiny(**LIVE)
    front = study.run()
    assert sorted(batches[-1]) == sorted(front["key"])
    assert len(front) > 1
    assert (front["measured_latency_ms"] > 0).all()
    assert (front["measured_latency_ms"] != front["latency_ms"]).any()
    assert list(front)[list(front).index("latency_ms") + 1 :][:3] == list(FRONT_COLUMNS)
    written = pd.read_csv(study.out / "pareto.csv")
    assert written["measured_latency_ms"].tolist() == front["measured_latency_ms"].tolist()
    assert not set(FRONT_COLUMNS) & set(study.trials)


def test_a_larger_front_is_one_batch_too(tiny: Make, batches: list[list[str]]) -> None:
    objectives = [{"metric": "params"}, {"metric": "size_mb", "goal": "maximize"}]  # of which none dominates another
    changes = {"objectives": objectives, "encoding": "tiny", "budget": {"trials": 40}, "search": {"population": 40}}
    study = tiny(**{**LIVE, **changes})
    front = study.run()
    assert len(front) > 32  # so many candidates are timed together in a search
    assert sorted(batches[-1]) == sorted(front["key"])


def test_a_front_predicted_from_a_table_of_this_machine_is_timed(
    tiny: Make, tmp_path: Path, batches: list[list[str]]
) -> None:
    study = tiny(**{**PI, "device": str(profile(tmp_path / "hw_profiles"))})
    front = study.run()
    assert len(batches) == 1
    assert set(batches[0]) == set(front["key"])
    assert (front["latency_ms"] == 0.01).all()  # by its table, which knows of calls alone
    assert (front["measured_latency_ms"] > 0).all()
    assert not any("were not measured" in line for line in said(study))


@pytest.mark.parametrize("elsewhere", [True, False])
def test_a_front_of_another_device_is_not_timed_and_it_is_said_why(
    tiny: Make, tmp_path: Path, batches: list[list[str]], elsewhere: bool
) -> None:
    mine = str(profile(tmp_path / "hw_profiles", machine=OTHER))
    study = tiny(**{**PI, "device": mine if elsewhere else "raspberry_pi_4"})
    assert not set(FRONT_COLUMNS) & set(study.run())
    assert batches == []
    why = "the table of mine was not measured on" if elsewhere else "raspberry_pi_4 has no table of kernels that"
    assert said(study)[-1].startswith(f"The latencies of the front were not measured: {why}")


def test_a_search_without_latencies_times_nothing_and_says_nothing(tiny: Make, batches: list[list[str]]) -> None:
    study = tiny()
    assert not set(FRONT_COLUMNS) & set(study.run())
    assert batches == []
    assert said(study) == []


def test_a_front_that_was_timed_is_not_timed_anew_unless_it_changed(tiny: Make, batches: list[list[str]]) -> None:
    front = tiny(**LIVE).run()
    count = len(batches)
    pd.testing.assert_frame_equal(tiny(**LIVE).run(), front)
    assert len(batches) == count
    wider = tiny(**{**LIVE, "budget": {"trials": 30}}).run()
    assert set(wider["key"]) != set(front["key"])
    assert sorted(batches[-1]) == sorted(wider["key"])
    assert wider["measured_latency_ms"].notna().all()


def test_a_front_that_changed_after_it_was_timed_shows_no_timings(tiny: Make) -> None:
    with tiny(**LIVE) as study:
        study.run()
        study.evaluate(list(np.ndindex(*study.encoding.sizes)))
        assert not set(FRONT_COLUMNS) & set(study.front)


def test_what_cannot_be_timed_is_left_empty(tiny: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise ValueError("no such operator")

    monkeypatch.setattr("moonas.hardware.runtime.prepare", refuse)
    front = tiny(**{**PI, "device": str(profile(tmp_path / "hw_profiles"))}).run()
    assert front["measured_latency_ms"].isna().all()
    assert (front["latency_ms"] > 0).all()
