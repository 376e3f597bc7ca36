"""Resume is rerun: a search that was interrupted ends as if it had not been."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest
from torch import nn

import moonas
from moonas.problem.trial import Trial
from moonas.study.progress import Snapshot
from moonas.study.workshop import Workshop

DETERMINISTIC = {
    "objectives": [{"metric": "accuracy"}, {"metric": "params"}, {"metric": "flops"}],
    "fidelity.samples": 256,
    "budget.trials": 24,
}


def without_time(trials: pd.DataFrame) -> pd.DataFrame:
    return trials.drop(columns="seconds")


def search(out: Path, *, workers: int) -> None:
    """What the command below does, without the start of a process."""
    moonas.load("digits_tiny", out=out, overrides={**DETERMINISTIC, "workers": workers}).run()


def search_command(out: Path, *, workers: int) -> list[str]:
    changes = [part for path, value in DETERMINISTIC.items() for part in ("--set", f"{path}={value}")]
    options = ["--out", str(out), "--workers", str(workers), "--quiet", *changes]
    return [sys.executable, "-m", "moonas.run", "digits_tiny", *options]


def check_sound(archive: Path, before: dict[str, int]) -> dict[str, int]:
    """The file is whole, nothing told was lost or renumbered; return key -> number."""
    connection = sqlite3.connect(archive)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    begun = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'trials'").fetchone() == (1,)
    now = dict(connection.execute("SELECT key, number FROM trials")) if begun else {}
    connection.close()
    assert {key: now[key] for key in before} == before
    return now


def wait_for_trials(process: subprocess.Popen[bytes], archive: Path, count: int) -> None:
    """Wait until the archive holds `count` trials, or the search is over."""
    while process.poll() is None:
        if archive.exists():
            connection = sqlite3.connect(f"file:{archive}?mode=ro", uri=True)
            try:
                if connection.execute("SELECT count(*) FROM trials").fetchone()[0] >= count:
                    return
            except sqlite3.OperationalError:
                pass  # the table is not there yet
            finally:
                connection.close()
        time.sleep(0.05)


def test_killed_at_random_moments_a_search_ends_as_if_uninterrupted_whatever_the_workers(tmp_path: Path) -> None:
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    search(straight, workers=0)
    moments = random.Random(0)
    known: dict[str, int] = {}
    for workers in (2, 1, 2, 0):
        process = subprocess.Popen(search_command(broken, workers=workers), stderr=subprocess.DEVNULL)
        wait_for_trials(process, broken / "trials.sqlite", len(known) + moments.randint(1, 5))
        time.sleep(moments.uniform(0.0, 0.5))
        process.send_signal(signal.SIGKILL)
        process.wait()
        known = check_sound(broken / "trials.sqlite", known)
    assert len(known) >= 4
    search(broken, workers=0)
    for name in ("trials.csv", "pareto.csv"):
        expected, found = pd.read_csv(straight / name), pd.read_csv(broken / name)
        pd.testing.assert_frame_equal(without_time(found), without_time(expected))


class InterruptionError(Exception):
    pass


@pytest.mark.parametrize("strategy", ["nsga2", "random"])
def test_interrupted_after_any_trial_the_rest_is_the_same(tiny: Callable[..., moonas.Study], strategy: str) -> None:
    search = {"strategy": strategy, "population": 6}
    straight = tiny("straight", search=search)
    straight.run()

    def interrupt(snapshot: Snapshot) -> None:
        if snapshot.trials == stop:
            raise InterruptionError

    for stop in (1, 5, 6, 7, 17):
        broken = tiny(f"broken{stop}", search=search)
        with pytest.raises(InterruptionError):
            broken.run(listener=interrupt)
        assert len(broken.trials) == stop
        broken.run()
        pd.testing.assert_frame_equal(without_time(broken.trials), without_time(straight.trials))


def test_a_finished_search_evaluates_nothing_when_run_again(
    tiny: Callable[..., moonas.Study], monkeypatch: pytest.MonkeyPatch
) -> None:
    study = tiny()
    front = study.run()
    monkeypatch.setattr(Workshop, "pipeline", property(lambda _: pytest.fail("nothing is to be evaluated")))
    pd.testing.assert_frame_equal(study.run(), front)


def test_a_larger_budget_goes_on_where_the_smaller_ended(tiny: Callable[..., moonas.Study]) -> None:
    whole = tiny("whole", budget={"trials": 30})
    whole.run()
    tiny("steps", budget={"trials": 10}).run()
    steps = tiny("steps", budget={"trials": 30})
    steps.run()
    pd.testing.assert_frame_equal(without_time(steps.trials), without_time(whole.trials))


class Colliding(moonas.Encoding):
    """Six genotypes, three architectures: the last gene means nothing, and nobody is told."""

    def __init__(self) -> None:
        self._inner = moonas.load("digits_tiny").encoding

    @property
    def genes(self) -> tuple[moonas.Gene, ...]:
        return (moonas.Gene("width", (16, 24, 32), ordered=True), moonas.Gene("nothing", ("a", "b")))

    def decode(self, genotype: moonas.Genotype) -> moonas.Architecture:
        return self._inner.decode((0, 0, 0, 0, 1, genotype[0], 0))

    def encode(self, architecture: moonas.Architecture) -> moonas.Genotype:
        return (self._inner.encode(architecture)[5], 0)


class Repeating(moonas.Strategy):
    """Asks for the same six genotypes again and again."""

    def ask(self, count: int) -> list[moonas.Genotype]:
        return [(width, nothing) for width in range(3) for nothing in range(2)]

    def tell(self, trials: Any) -> None:
        self.told = [trial.key for trial in trials]


def test_a_repeat_of_an_architecture_is_never_evaluated_twice(tiny: Callable[..., moonas.Study]) -> None:
    calls: list[str] = []

    def count(module: nn.Module, context: Any) -> float:
        calls.append(context.architecture.key)
        return float(len(calls))

    study = tiny(
        encoding=Colliding,
        search={"strategy": Repeating, "population": 6},
        objectives=[{"metric": "params"}, moonas.objective(count, goal="maximize", cost="dear")],
    )
    study.run()
    assert sorted(calls) == sorted(set(study.trials["key"]))
    assert len(calls) == 3
    assert study.outcome == "exhausted"


def test_training_happens_once_for_each_architecture(
    tiny: Callable[..., moonas.Study], monkeypatch: pytest.MonkeyPatch
) -> None:
    from moonas.training.trainer import Trainer

    trained: list[str] = []
    fit = Trainer.fit

    def counting(self: Trainer, architecture: Any, **keywords: Any) -> nn.Module:
        trained.append(architecture.key)
        return fit(self, architecture, **keywords)

    monkeypatch.setattr(Trainer, "fit", counting)
    study = tiny(
        encoding=Colliding,
        data="digits",
        task=None,
        objectives=[{"metric": "accuracy"}, {"metric": "params"}],
        fidelity={"epochs": 1, "samples": 64},
        search={"population": 6},
    )
    study.run()
    study.run()
    assert sorted(trained) == sorted(study.trials["key"])
    assert len(trained) == 3


def test_networks_that_break_a_cheap_limit_are_never_trained(tiny: Callable[..., moonas.Study]) -> None:
    trained: list[str] = []

    def dear(module: nn.Module, context: Any) -> float:
        trained.append(context.architecture.key)
        return 1.0

    study = tiny(
        objectives=[{"metric": "flops"}, moonas.objective(dear, goal="maximize", cost="dear")],
        constraints=[{"metric": "params", "at_most": 4000}],
    )
    study.run()
    trials = study.trials
    assert set(trained) == set(trials.loc[trials["params"] <= 4000, "key"])
    assert set(trials["state"]) == {"complete", "infeasible"}
    assert trials.loc[trials["state"] == "infeasible", "error"].str.startswith("breaks params <= 4000: ").all()


def test_numbers_follow_the_path_and_evaluations_from_outside_keep_theirs(tiny: Callable[..., moonas.Study]) -> None:
    straight = tiny("straight")
    straight.run()
    seeded = tiny("seeded")
    with seeded:
        outside = seeded.evaluate([(0,) * len(seeded.encoding.genes)])
    seeded.run()
    trials: list[Trial] = outside
    assert trials[0].number == 0
    path = straight.trials["key"].tolist()
    rest = [key for key in seeded.trials["key"] if key != trials[0].key]  # by number
    assert rest == [key for key in path if key != trials[0].key]


def test_time_runs_out_over_all_runs_in_a_folder(tiny: Callable[..., moonas.Study]) -> None:
    def slow(module: nn.Module, context: Any) -> float:
        time.sleep(0.2)
        return 1.0

    def make(trials: int, hours: float) -> moonas.Study:
        return tiny(
            objectives=[{"metric": "params"}, moonas.objective(slow, goal="maximize")],
            budget={"trials": trials, "hours": hours},
        )

    first = make(18, 2 / 3600)
    assert len(first.run()) >= 1
    assert first.outcome == "out of time"
    done = len(first.trials)
    assert 1 <= done < 18
    again = make(18, 2 / 3600)
    again.run()
    assert again.outcome == "out of time"
    assert len(again.trials) == done
    more = make(18, 1.0)
    more.run()
    assert more.outcome == "done"
    assert len(more.trials) == 18


def test_workers_die_with_a_killed_search(tmp_path: Path) -> None:
    process = subprocess.Popen(
        search_command(tmp_path / "run", workers=2), stderr=subprocess.DEVNULL, start_new_session=True
    )
    group = process.pid
    wait_for_trials(process, tmp_path / "run" / "trials.sqlite", 1)
    workers = psutil.Process(process.pid).children(recursive=True)
    assert process.poll() is None
    assert len(workers) >= 2
    process.send_signal(signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.2)
    pytest.fail("workers outlive their search")


def test_an_interruption_leaves_nothing_running_and_no_numbers_taken(tiny: Callable[..., moonas.Study]) -> None:
    calls: list[str] = []

    def slow(module: nn.Module, context: Any) -> float:
        calls.append(context.architecture.key)
        time.sleep(0.05)
        return 1.0

    def interrupt(snapshot: Snapshot) -> None:
        if snapshot.trials == 2:
            raise InterruptionError

    objectives = [{"metric": "params"}, moonas.objective(slow, goal="maximize", cost="dear")]
    with tiny(objectives=objectives) as study:
        study.evaluate([])  # so that the session stays open
        with pytest.raises(InterruptionError):
            study.run(listener=interrupt)
        time.sleep(0.3)
        assert len(calls) <= 3  # two told, and one that had begun
        study.run()
    assert study.trials["number"].tolist() == list(range(18))
    assert len(calls) <= 18 + 1
