"""Halving and screening in whole searches: the same whatever the workers and interruptions, nothing trained twice."""

import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import moonas
from moonas.errors import RunFolderError, SpecError
from moonas.evaluation.rungs import PartialResult
from moonas.problem.trial import Trial
from moonas.study.archive import Archive
from moonas.study.partial_results import SCREEN
from moonas.study.progress import Snapshot
from moonas.training.trainer import Trainer

RUNGS = [{"epochs": 1, "samples": 96, "resolution": 6}, {"epochs": 1, "samples": 256}]
SEARCH = {"population": 6, "halving": {"rungs": RUNGS, "keep": 0.5}}
DIGITS = {
    "encoding": "tiny_cnn",
    "data": "digits",
    "objectives": [{"metric": "training_loss"}, {"metric": "params"}],
    "fidelity": {"epochs": 2, "samples": 256},
    "search": SEARCH,
    "budget": {"trials": 18},
    "workers": 0,
}


@pytest.fixture
def digits(tmp_path: Path) -> Callable[..., moonas.Study]:
    """Make studies of digits with halving, hardly trained, whose metrics are deterministic."""

    def make(out: str = "run", **changes: Any) -> moonas.Study:
        return moonas.load({"name": "halved", **DIGITS, **changes}, out=tmp_path / out)

    return make


def without_time(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.drop(columns="seconds")


def same(found: moonas.Study, expected: moonas.Study) -> None:
    for part in ("trials", "front", "rungs"):
        pd.testing.assert_frame_equal(
            without_time(getattr(found, part)), without_time(getattr(expected, part)), obj=part
        )


class InterruptionError(Exception):
    pass


def test_most_networks_are_stopped_and_the_files_say_where(digits: Callable[..., moonas.Study]) -> None:
    study = digits()
    front = study.run()
    trials, rungs = study.trials, study.rungs
    assert set(trials["state"]) == {"complete", "stopped"}
    assert rungs["rung"].value_counts().to_dict()[1] == 18
    reached = rungs.groupby("number")["rung"].max()
    for trial in trials.itertuples():
        assert (trial.state == "complete") == (reached[trial.number] == 3)
        last = rungs[(rungs["number"] == trial.number) & (rungs["rung"] == reached[trial.number])]
        assert last["training_loss"].tolist() == [trial.training_loss]
        if trial.state == "stopped":
            assert trial.error.startswith(f"stopped at rung {reached[trial.number]} of 3: ")
    assert set(front["state"]) == {"complete"}
    assert rungs[["rung", "epochs", "samples", "resolution"]].drop_duplicates().sort_values("rung").values.tolist() == [
        [1, 1, 96, 6],
        [2, 1, 256, pd.NA],
        [3, 2, 256, pd.NA],
    ]
    read = pd.read_csv(study.out / "rungs.csv")
    assert read[["key", "rung", "training_loss"]].equals(
        rungs[["key", "rung", "training_loss"]].astype(read.dtypes[["key", "rung", "training_loss"]])
    )


def test_without_halving_there_are_no_rungs(tiny: Callable[..., moonas.Study]) -> None:
    study = tiny()
    study.run()
    assert study.rungs.empty
    assert not (study.out / "rungs.csv").exists()


@pytest.mark.parametrize("strategy", ["nsga2", "random"])
def test_interrupted_after_any_trial_the_rest_is_the_same(
    digits: Callable[..., moonas.Study], monkeypatch: pytest.MonkeyPatch, strategy: str
) -> None:
    search = {**SEARCH, "strategy": strategy}
    straight = digits("straight", search=search)
    straight.run()
    trained: Counter[tuple[str, int]] = Counter()
    fit = Trainer.fit

    def counting(self: Trainer, architecture: Any, **keywords: Any) -> Any:
        trained[architecture.key, straight.spec.rungs.index(self.fidelity) + 1] += 1
        return fit(self, architecture, **keywords)

    monkeypatch.setattr(Trainer, "fit", counting)

    def interrupt(snapshot: Snapshot) -> None:
        if snapshot.trials == stop:
            raise InterruptionError

    for stop in (1, 4, 6, 13):
        broken = digits(f"broken{stop}", search=search)
        with pytest.raises(InterruptionError):
            broken.run(listener=interrupt)
        assert len(broken.trials) == stop
        kept = set(zip(broken.rungs["key"], broken.rungs["rung"], strict=True))
        trained.clear()
        broken.run()
        same(broken, straight)
        everything = set(zip(straight.rungs["key"], straight.rungs["rung"], strict=True))
        assert trained == Counter(everything - kept)


HALVED_AND_SCREENED = {
    "objectives": [{"metric": "training_loss"}, {"metric": "params"}],
    "fidelity": {"epochs": 2, "samples": 512},
    "search.population": 6,
    "search.halving": {"rungs": [{"epochs": 1, "samples": 128}, {"epochs": 1, "samples": 512}], "keep": 0.5},
    "search.screen": {"metric": "synflow", "keep": 0.5, "generations": "all"},
    "budget.trials": 18,
}


def search(out: Path, *, workers: int) -> None:
    """What the command below does, without the start of a process."""
    moonas.load("digits_tiny", out=out, overrides={**HALVED_AND_SCREENED, "workers": workers}).run()


def search_command(out: Path, *, workers: int) -> list[str]:
    changes = [part for path, value in HALVED_AND_SCREENED.items() for part in ("--set", f"{path}={value}")]
    options = ["--out", str(out), "--workers", str(workers), "--quiet", *changes]
    return [sys.executable, "-m", "moonas.run", "digits_tiny", *options]


def rungs_in(archive: Path) -> Mapping[tuple[str, int], Any]:
    """What the archive holds on the way to trials, seconds included."""
    import sqlite3

    if not archive.exists():
        return {}
    connection = sqlite3.connect(f"file:{archive}?mode=ro", uri=True)
    try:
        return {(key, rung): rest for key, rung, *rest in connection.execute("SELECT * FROM rungs")}
    except sqlite3.OperationalError:
        return {}  # the table is not there yet
    finally:
        connection.close()


def test_killed_at_any_moment_a_halved_and_screened_search_ends_as_if_uninterrupted_whatever_the_workers(
    tmp_path: Path,
) -> None:
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    search(straight, workers=0)
    known: Mapping[tuple[str, int], Any] = {}
    for more, workers in ((3, 1), (14, 2), (23, 2)):  # while it screens, at the first rung, later
        process = subprocess.Popen(search_command(broken, workers=workers), stderr=subprocess.DEVNULL)
        while process.poll() is None and len(rungs_in(broken / "trials.sqlite")) < len(known) + more:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL  # and had not ended before
        found = rungs_in(broken / "trials.sqlite")
        assert {place: found[place] for place in known} == known  # seconds, too: not measured again
        known = found
    search(broken, workers=2)
    found = rungs_in(broken / "trials.sqlite")
    assert {place: found[place] for place in known} == known
    assert found.keys() == rungs_in(straight / "trials.sqlite").keys()
    for name in ("trials.csv", "pareto.csv", "rungs.csv"):
        one, other = pd.read_csv(straight / name), pd.read_csv(broken / name)
        pd.testing.assert_frame_equal(without_time(other), without_time(one))


def test_results_of_rungs_are_kept_before_there_is_a_trial(digits: Callable[..., moonas.Study]) -> None:
    study = digits()

    def interrupt(snapshot: Snapshot) -> None:
        if snapshot.trials == 1:
            raise InterruptionError

    with pytest.raises(InterruptionError):
        study.run(listener=interrupt)
    rungs = study.rungs
    assert rungs["number"].notna().any()
    assert rungs["number"].isna().any()
    assert rungs["number"].dropna().is_monotonic_increasing


def test_failures_at_a_rung_are_tried_again_when_wanted(
    digits: Callable[..., moonas.Study], monkeypatch: pytest.MonkeyPatch
) -> None:
    straight = digits("straight", budget={"trials": 6})
    straight.run()
    victim = straight.rungs.query("rung == 3")["key"].iloc[0]
    fit = Trainer.fit

    def faulty(self: Trainer, architecture: Any, **keywords: Any) -> Any:
        if architecture.key == victim and self.fidelity.epochs == 2:
            raise RuntimeError("the machine hiccuped")
        return fit(self, architecture, **keywords)

    broken = digits("broken", budget={"trials": 6})
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "fit", faulty)
        broken.run()
    assert "failed" in set(broken.trials["state"])
    assert "failed" not in set(straight.trials["state"])
    broken.run(retry_failed=True)
    same(broken, straight)


def test_a_single_network_is_always_trained_in_full(digits: Callable[..., moonas.Study]) -> None:
    objectives = [{"metric": "training_loss"}, {"metric": "params"}]
    with digits(objectives=objectives) as study:
        (trial,) = study.evaluate([tuple(len(gene.choices) - 1 for gene in study.encoding.genes)])
    assert trial.state == "complete"
    assert study.rungs["rung"].tolist() == [1, 2, 3]


def test_rungs_that_only_the_data_show_to_be_dear_are_refused(digits: Callable[..., moonas.Study]) -> None:
    study = digits(fidelity={"epochs": 1}, search={"halving": {"rungs": [{"epochs": 9, "samples": 1000}]}})
    with pytest.raises(SpecError, match=r"^search\.halving\.rungs\.0: takes no less work .* than the problem's fidel"):
        study.run()


def test_an_archive_from_before_there_were_rungs_can_be_read_and_written(tiny: Callable[..., moonas.Study]) -> None:
    import sqlite3

    study = tiny(budget={"trials": 6})
    study.run()
    connection = sqlite3.connect(study.out / "trials.sqlite")
    connection.execute("DROP TABLE rungs")
    connection.commit()
    connection.close()
    assert len(study.trials) == 6
    assert study.rungs.empty
    longer = tiny(budget={"trials": 12})
    longer.run()
    assert len(longer.trials) == 12


def test_stopped_trials_remember_their_rung(digits: Callable[..., moonas.Study]) -> None:
    study = digits(budget={"trials": 6})
    study.run()
    reached = study.rungs.groupby("key")["rung"].max()
    archive = Archive(study.out / "trials.sqlite", study.encoding, writable=False)
    trials: list[Trial] = list(archive)
    archive.close()
    assert {t.key: t.rung for t in trials} == {t.key: 0 if t.state == "complete" else reached[t.key] for t in trials}


SCREENED = {
    "population": 4,
    "strategy": "random",
    "screen": {"metric": "synflow", "keep": 0.25, "generations": "all"},
}
UNHALVED = {"objectives": [{"metric": "accuracy"}, {"metric": "params"}], "fidelity": {"epochs": 1, "samples": 64}}


class Listening(moonas.Strategy):
    """Random search that remembers how many it was asked for and what it was told."""

    asked: list[int]
    told: list[str]

    def ask(self, count: int) -> list[moonas.Genotype]:
        type(self).asked.append(count)
        return [genotype for _ in range(count) if (genotype := self.propose_random()) is not None]

    def tell(self, trials: Any) -> None:
        type(self).told += [trial.key for trial in trials]


@pytest.mark.parametrize(("generations", "expected"), [("first", [16, 4]), ("all", [16, 16])])
def test_of_many_asked_for_only_the_best_are_evaluated_and_told(
    digits: Callable[..., moonas.Study], generations: str, expected: list[int]
) -> None:
    Listening.asked, Listening.told = [], []
    screen = {"metric": "synflow", "keep": 0.25, "generations": generations}
    study = digits(**UNHALVED, search={"population": 4, "strategy": Listening, "screen": screen}, budget={"trials": 8})
    study.run()
    assert Listening.asked == expected
    assert sorted(Listening.told) == sorted(study.trials["key"])
    assert len(study.trials) == 8


def test_the_screened_ones_are_on_the_first_fronts_of_score_and_size(digits: Callable[..., moonas.Study]) -> None:
    import moocore

    everyone = digits(
        "everyone",
        **{**UNHALVED, "objectives": [{"metric": "synflow"}, {"metric": "params"}]},
        search={"population": 16, "strategy": "random"},
        budget={"trials": 16},
    )
    everyone.run()
    study = digits(**UNHALVED, search=SCREENED, budget={"trials": 4})
    study.run()
    scores = everyone.trials.set_index("key")
    chosen = scores.index.isin(study.trials["key"])
    assert chosen.sum() == 4
    ranks = moocore.pareto_rank(scores[["synflow", "params"]].to_numpy(dtype=float), maximise=[True, False])
    assert ranks[chosen].max() <= ranks[~chosen].min()


def test_without_a_counted_objective_networks_are_screened_beside_their_flops(
    digits: Callable[..., moonas.Study],
) -> None:
    changes = {**UNHALVED, "search": SCREENED, "budget": {"trials": 4}}
    by_flops = digits("flops", **{**changes, "objectives": [{"metric": "accuracy"}, {"metric": "flops"}]})
    by_default = digits("default", **{**changes, "objectives": [{"metric": "accuracy"}]})
    by_params = digits("params", **{**changes, "objectives": [{"metric": "accuracy"}, {"metric": "params"}]})
    for study in (by_flops, by_default, by_params):
        study.run()
    assert set(by_default.trials["key"]) == set(by_flops.trials["key"]) != set(by_params.trials["key"])


def test_progress_says_how_many_were_scored_and_kept(digits: Callable[..., moonas.Study]) -> None:
    snapshots: list[Snapshot] = []
    digits(**UNHALVED, search=SCREENED, budget={"trials": 8}).run(listener=snapshots.append)
    assert [each.scored for each in snapshots if not each.kept] == list(range(17))
    assert (snapshots[-1].scored, snapshots[-1].kept) == (32, 8)


def test_progress_says_how_many_trainings_lead_to_trials(digits: Callable[..., moonas.Study]) -> None:
    snapshots: list[Snapshot] = []
    study = digits()
    study.run(listener=snapshots.append)
    assert snapshots[0].trained == 0
    assert {each.trained for each in snapshots} == set(range(len(study.rungs) + 1))
    assert any(each.trained and not each.trials for each in snapshots)


def test_a_screening_prefers_what_keeps_the_limits(digits: Callable[..., moonas.Study]) -> None:
    limited = digits(
        **UNHALVED, search=SCREENED, budget={"trials": 4}, constraints=[{"metric": "flops", "at_most": 20_000}]
    )
    limited.run()
    assert set(limited.trials["state"]) == {"complete"}


def test_who_has_no_score_goes_last(digits: Callable[..., moonas.Study], monkeypatch: pytest.MonkeyPatch) -> None:
    from moonas.evaluation import zero_cost

    synflow = zero_cost.PROXIES["synflow"]
    scored: list[int] = []

    def moody(module: Any, *batch: Any) -> float:
        scored.append(1)
        if len(scored) % 2:
            raise RuntimeError("no score")
        return synflow(module, *batch)

    monkeypatch.setattr(zero_cost, "PROXIES", {**zero_cost.PROXIES, "synflow": moody})
    study = digits(**UNHALVED, search=SCREENED, budget={"trials": 4})
    study.run()
    assert len(scored) == 16
    archive = Archive(study.out / "trials.sqlite", study.encoding, writable=False)
    assert [archive.partial.recall(trial.key)[SCREEN].error for trial in archive] == [""] * 4
    archive.close()
    study.run()
    assert len(scored) == 16  # failures are remembered, too


def test_a_screening_that_finds_no_score_later_on_goes_by_what_is_counted(
    digits: Callable[..., moonas.Study], monkeypatch: pytest.MonkeyPatch
) -> None:
    from moonas.evaluation import zero_cost

    synflow, scored = zero_cost.PROXIES["synflow"], list[int]()

    def fading(module: Any, *batch: Any) -> float:
        scored.append(1)
        if len(scored) > 16:
            raise RuntimeError("no score")
        return synflow(module, *batch)

    monkeypatch.setattr(zero_cost, "PROXIES", {**zero_cost.PROXIES, "synflow": fading})
    study = digits(**UNHALVED, search=SCREENED, budget={"trials": 6})
    study.run()
    assert (study.outcome, len(study.trials)) == ("done", 6)
    assert len(scored) > 16


def stop_after(trained: int) -> Callable[[Snapshot], None]:
    def interrupt(snapshot: Snapshot) -> None:
        if snapshot.trained >= trained:
            raise InterruptionError

    return interrupt


def test_results_before_the_first_trial_belong_to_their_problem(digits: Callable[..., moonas.Study]) -> None:
    study = digits()
    with pytest.raises(InterruptionError):
        study.run(listener=stop_after(3))
    assert study.trials.empty
    assert len(study.rungs) == 3
    with pytest.raises(RunFolderError, match=r"another problem; .*\n  training.learning_rate: was 0.1, is 0.5"):
        digits(training={"learning_rate": 0.5}).run()


@pytest.mark.parametrize("after", [1, 3, 5])
def test_a_generation_repeated_in_the_same_session_decides_as_if_uninterrupted(
    digits: Callable[..., moonas.Study], after: int
) -> None:
    """As in a notebook: Ctrl-C, and the cell is run again."""
    told: list[Trial] = []

    def interrupt(trial: Trial) -> None:
        told.append(trial)
        if len(told) == after:
            raise InterruptionError

    random = np.random.default_rng(0)
    with digits("straight") as straight, digits("interrupted") as found:
        genotypes = [straight.encoding.sample(random) for _ in range(8)]
        expected = straight.evaluate(genotypes)
        with pytest.raises(InterruptionError):
            found.evaluate(genotypes, told=interrupt)
        again = found.evaluate(genotypes)
    assert [(t.number, t.state, t.rung) for t in again] == [(t.number, t.state, t.rung) for t in expected]
    same(found, straight)


def test_a_trial_stopped_below_a_rung_that_it_once_reached_is_of_the_lower_one(
    digits: Callable[..., moonas.Study],
) -> None:
    """An interrupted bracket of six let it go on; the smaller one that a smaller budget made did not."""
    study = digits(budget={"trials": 6})
    study.run()
    archive = Archive(study.out / "trials.sqlite", study.encoding)
    trial = next(trial for trial in archive if trial.state == "stopped" and trial.rung == 1)
    archive.partial.keep(trial.key, 2, PartialResult({"training_loss": 0.123}))
    archive.partial.keep(trial.key, 3, PartialResult({}, error="the machine hiccuped"))
    again = archive.get(trial.key)
    archive.close()
    assert again == trial


def test_the_rungs_of_another_problem_are_not_misread(digits: Callable[..., moonas.Study]) -> None:
    digits(budget={"trials": 6}).run()
    with pytest.raises(RunFolderError, match=r"rung [23] of another problem than this one of 1; load the run folder"):
        _ = digits(search={}).rungs
