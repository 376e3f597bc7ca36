"""The front of a search, timed side by side when it ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from predicted import OTHER, PI, profile, said

import moonas
from moonas.evaluation.evaluator import Candidate
from moonas.evaluation.latency import FrontLatencyEvaluator, LatencyEvaluator
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
    assert list(front)[list(front).index("latency_ms") + 1 :][: len(FRONT_COLUMNS)] == list(FRONT_COLUMNS)
    assert set(front["latency_quality"]) <= {"good", "noisy", "bad"}
    assert set(front["latency_timed_together"]) == {len(front)}
    written = pd.read_csv(study.out / "pareto.csv")
    assert written["measured_latency_ms"].tolist() == front["measured_latency_ms"].tolist()
    assert written["latency_quality"].tolist() == front["latency_quality"].tolist()
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
    assert (front["latency_ms"] > 0.1).all()  # by its table, which takes any kernel for one of 100 microseconds
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


@pytest.fixture
def predicted(tiny: Make, tmp_path: Path) -> Make:
    """Make studies whose latencies are predicted by a table of this machine: nothing is timed but their fronts."""
    device = str(profile(tmp_path / "hw_profiles"))
    return lambda **changes: tiny(**{**LIVE, "device": device, "budget": {"trials": 8}, **changes})


def break_company(monkeypatch: pytest.MonkeyPatch, is_broken: Callable[[list[str]], bool]) -> None:
    """Let the timing of some companies break as a whole, as when a worker dies."""
    evaluate = FrontLatencyEvaluator.evaluate

    def breaking(self: FrontLatencyEvaluator, candidates: Sequence[Candidate]) -> Any:
        if is_broken([candidate.architecture.key for candidate in candidates]):
            raise RuntimeError("its worker died")
        return evaluate(self, candidates)

    monkeypatch.setattr(FrontLatencyEvaluator, "evaluate", breaking)


def break_by_one(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let one network break whatever company it is in; return the place for its key."""
    culprit: list[str] = []

    def is_broken(keys: list[str]) -> bool:
        culprit[:] = culprit or keys[1:2]
        return culprit[0] in keys

    break_company(monkeypatch, is_broken)
    return culprit


def test_a_network_that_breaks_the_timing_leaves_the_others_side_by_side(
    predicted: Make, batches: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    culprits = break_by_one(monkeypatch)
    study = predicted()
    front = study.run().set_index("key")
    (culprit,) = culprits
    others = front.drop(culprit)
    assert sorted(batches[-1]) == sorted(others.index)
    assert others["measured_latency_ms"].notna().all()
    assert set(others["latency_timed_together"]) == {len(others)}
    assert others["error"].isna().all()
    assert front.loc[culprit, [*FRONT_COLUMNS]].isna().all()
    assert front.loc[culprit, "latency_ms"] > 0.1
    assert front.loc[culprit, "error"] == "RuntimeError: its worker died"
    written = pd.read_csv(study.out / "pareto.csv").set_index("key")
    assert pd.isna(written.loc[culprit, "measured_latency_ms"])
    assert written.loc[culprit, "error"] == "RuntimeError: its worker died"
    assert set(study.trials["state"]) == {"complete"}
    (sentence,) = (line for line in said(study) if "could not be timed" in line)
    assert sentence.startswith(f"1 of {len(front)} networks of the front could not be timed (RuntimeError: its worker")


def test_what_could_not_be_timed_is_timed_again_only_when_asked_for(
    predicted: Make, batches: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        break_by_one(patch)
        predicted().run()
    count = len(batches)
    front = predicted().run()
    assert len(batches) == count
    assert front["measured_latency_ms"].isna().sum() == 1
    front = predicted().run(retry_failed=True)
    assert batches[count:] == [batches[-1]]
    assert sorted(batches[-1]) == sorted(front["key"])
    assert front["measured_latency_ms"].notna().all()
    assert front["error"].isna().all()


def test_a_front_that_changed_is_timed_without_those_that_could_not_be(
    predicted: Make, batches: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        culprits = break_by_one(patch)
        before = predicted().run()
    (culprit,) = culprits
    wider = predicted(budget={"trials": 16}).run()
    assert set(wider["key"]) != set(before["key"])
    assert culprit in set(wider["key"])
    assert sorted(batches[-1]) == sorted(set(wider["key"]) - {culprit})
    assert wider["measured_latency_ms"].notna().sum() == len(wider) - 1


def test_a_front_that_is_too_much_for_the_machine_is_timed_in_parts_and_that_is_said(
    predicted: Make, batches: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    break_company(monkeypatch, lambda keys: len(keys) > 3)
    study = predicted()
    front = study.run()
    count = len(front)
    half = count // 2
    assert [len(batch) for batch in batches] == [half, count - half]
    assert front["measured_latency_ms"].notna().all()
    assert set(front["latency_timed_together"]) == {half, count - half}
    assert any(
        line.startswith(f"The front was timed in parts of at most {count - half} of its") for line in said(study)
    )


def test_what_cannot_be_loaded_is_told_and_keeps_its_prediction(
    predicted: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise ValueError("no such operator")

    monkeypatch.setattr("moonas.hardware.runtime.prepare", refuse)
    study = predicted()
    front = study.run()
    assert front["measured_latency_ms"].isna().all()
    assert (front["latency_ms"] > 0).all()
    assert any(f"{len(front)} of {len(front)} networks of the front could" in line for line in said(study))


def test_an_interrupted_timing_leaves_the_results_valid_and_is_made_up_for(
    predicted: Make, batches: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("moonas.study.final_front.Tally", interrupt)
        with pytest.raises(KeyboardInterrupt):
            predicted().run(progress=True)
    front = predicted().front
    assert not set(FRONT_COLUMNS) & set(front)
    assert pd.read_csv(predicted().out / "pareto.csv")["key"].tolist() == front["key"].tolist()
    assert batches == []
    assert predicted().run()["measured_latency_ms"].notna().all()


def test_the_timing_of_the_front_counts_as_time_of_the_search(predicted: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    evaluate = FrontLatencyEvaluator.evaluate

    def slow(self: FrontLatencyEvaluator, candidates: Sequence[Candidate]) -> Any:
        nonlocal now
        now += 500.0
        return evaluate(self, candidates)

    monkeypatch.setattr("moonas.study.session.time", SimpleNamespace(monotonic=lambda: now))
    monkeypatch.setattr(FrontLatencyEvaluator, "evaluate", slow)
    study = predicted()
    study.run()
    with study._reading() as archive:
        assert archive.elapsed == 500.0


def test_a_line_says_how_far_the_timing_is(predicted: Make, capsys: pytest.CaptureFixture[str]) -> None:
    count = len(predicted().run(progress=True))
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("timing the front")]
    assert lines[0].startswith(f"timing the front 0/{count}  elapsed ")
    assert lines[-1].startswith(f"timing the front {count}/{count}  elapsed ")
    predicted().run(progress=True)
    assert "timing the front" not in capsys.readouterr().err
