"""What a halving saves and loses, from networks trained at all rungs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from typer.testing import CliRunner

from moonas.benchmark import halving_report
from moonas.benchmark.__main__ import app
from moonas.benchmark.halving_report import (
    JUDGED,
    Measured,
    Trainings,
    estimate_by_halves,
    judged_by_halves,
    outcome,
    print_halving,
    trained_by_halving,
)
from moonas.errors import CandidateError
from moonas.report.agreement import LEVEL
from moonas.training.trainer import Trainer

ACCURACY = JUDGED["accuracy"]
OPTIONS: dict[str, Any] = {"keep": 0.5, "chance": {"accuracy": 0.1}}


def measured(low: list[float], top: list[float], truth: list[float]) -> Measured:
    """Networks that take 1 second at the first of two rungs and 10 at the top one."""
    results = {(i, rung): {"accuracy": a} for rung, of in ((1, low), (2, top)) for i, a in enumerate(of)}
    return Measured(results, np.array([[1.0, 10.0]] * len(low)), [{"accuracy": a} for a in truth])


def test_seconds_are_of_all_that_a_halving_trains() -> None:
    good = [0.9, 0.8, 0.3, 0.2, 0.7, 0.6]
    found = outcome(measured(good, good, good), ACCURACY, **OPTIONS)
    assert found == {"all seconds": 60, "halving seconds": 6 + 3 * 10, "all recall": 1, "halving recall": 1}


def test_a_rung_that_misleads_loses_the_best() -> None:
    found = outcome(
        measured([0.2, 0.3, 0.9, 0.8, 0.7, 0.15], [0.9, 0.8] + [0.3] * 4, [0.9, 0.8] + [0.3] * 4), ACCURACY, **OPTIONS
    )
    assert (found["all recall"], found["halving recall"]) == (1, 0)


def test_rungs_that_order_as_the_top_does_lose_nobody_though_few_reach_it() -> None:
    """The rest of the best third are those that came next farthest."""
    accuracies = [0.9 - 0.03 * i for i in range(24)]
    results = {(i, rung): {"accuracy": a} for rung in (1, 2, 3) for i, a in enumerate(accuracies)}
    orderly = Measured(results, np.ones((24, 3)), [{"accuracy": a} for a in accuracies])
    found = outcome(orderly, ACCURACY, keep=1 / 3, chance={"accuracy": 0.1})
    assert (found["halving seconds"], found["halving recall"]) == (24 + 8 + 3, 1)


def test_the_luck_of_a_seed_lowers_both_recalls() -> None:
    lucky = [0.9, 0.3, 0.8, 0.2, 0.7, 0.6]
    found = outcome(measured(lucky, lucky, [0.9, 0.8, 0.3, 0.2, 0.1, 0.15]), ACCURACY, **OPTIONS)
    assert (found["all recall"], found["halving recall"]) == (0.5, 0.5)


def test_who_failed_or_learnt_nothing_is_trained_no_further() -> None:
    results = {(0, 1): {"accuracy": 0.1}, (1, 1): {"accuracy": 0.4}, (1, 2): {"accuracy": 0.5}}
    trained = trained_by_halving(results, 3, rungs=2, objectives=ACCURACY, **OPTIONS)
    assert trained == {(0, 1), (1, 1), (2, 1), (1, 2)}


def rows_of(accuracies: np.ndarray[Any, Any]) -> pd.DataFrame:
    """The rows of trainings, (seeds, networks, rungs); seconds tell which one it is."""
    rows = [
        {
            "seed": seed,
            "number": number,
            "rung": rung + 1,
            "flops": number,
            "seconds": 100 * (seed + 1) + 10 * number + rung + 1,
            "accuracy": accuracy,
        }
        for (seed, number, rung), accuracy in np.ndenumerate(accuracies)
    ]
    return pd.DataFrame(rows).sample(frac=1, random_state=0)


def test_the_truth_is_the_mean_of_the_other_seeds_at_the_top() -> None:
    accuracies = np.add.outer([0.0, 0.1, 0.2], np.add.outer(range(4), [0.0, 0.0]))
    accuracies[0, 1, 1] = np.nan
    trainings = Trainings.of(rows_of(accuracies), rungs=2, seeds=3)
    first, last = trainings.measured(np.array([3, 1]), 0), trainings.measured(np.array([1, 2]), 2)
    assert [each["accuracy"] for each in first.truth] == pytest.approx([3.15, 1.15])
    assert [each["accuracy"] for each in last.truth] == pytest.approx([(0 + 1.1) / 2, 2.05])
    assert first.results == {
        (0, 1): {"accuracy": 3.0, "flops": 3.0},
        (0, 2): {"accuracy": 3.0, "flops": 3.0},
        (1, 1): {"accuracy": 1.0, "flops": 1.0},
    }
    assert first.seconds.tolist() == [[131, 132], [111, 112]]
    assert last.seconds.tolist() == [[311, 312], [321, 322]]


@pytest.mark.parametrize(("networks", "population"), [(60, 20), (24, 4)])
def test_a_mean_varies_between_halves_as_theory_says(networks: int, population: int) -> None:
    """Of a mean over networks the standard error is known."""
    accuracies = np.random.default_rng(1).uniform(0.2, 0.9, (2, networks, 1))
    trainings = Trainings(accuracies, np.ones_like(accuracies), np.ones(networks))

    def mean(measured: Measured) -> dict[str, float]:
        return {"mean": float(np.mean([each["accuracy"] for each in measured.results.values()]))}

    judged = judged_by_halves(trainings, mean, population=population, resamples=400)
    found = estimate_by_halves(judged[..., 0], LEVEL)
    error = accuracies.mean(axis=0).std(ddof=1) / np.sqrt(networks)
    assert found.value == pytest.approx(accuracies.mean(), abs=error / 4)
    assert found.high - found.low == pytest.approx(2 * stats.norm.ppf((1 + LEVEL) / 2) * error, rel=0.2)


def test_what_never_varies_has_no_interval() -> None:
    found = estimate_by_halves(np.ones((10, 4)), LEVEL)
    assert str(found) == "1.00"


@pytest.mark.parametrize(("lower", "least", "most"), [(1, -0.1, 0.0), (-1, -1.0, -0.95)])
def test_what_is_printed_is_of_many_generations(
    capsys: pytest.CaptureFixture[str], lower: int, least: float, most: float
) -> None:
    """A lower rung that orders as the top one does loses only whom it judges too early; the other way round, all."""
    order = np.arange(24)
    accuracies = np.array([np.column_stack([0.5 + lower * order / 100, 0.5 + order / 100])] * 2)
    trainings = Trainings(accuracies, np.array([[[1.0, 2.0]] * 24] * 2), order)
    print_halving(trainings, population=12, resamples=20, **OPTIONS)
    printed = " ".join(capsys.readouterr().out.split())
    assert "generations of 12 of 24 networks, mean over 2 seeds" in printed
    line = re.search(r"accuracy 1.00 1.00 (\S+) ([+-]\S+)", printed)  # all: 12 times 2 s; a halving: 12 and 6 times 2 s
    assert line is not None, printed
    halving, difference = map(float, line.groups())
    assert least <= difference <= most
    assert halving == pytest.approx(1 + difference)
    assert "accuracy, flops" in printed


def test_the_command_trains_all_and_resumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(halving_report, "_BRACKETS", 2)
    rungs = "search.halving={rungs: [{epochs: 1, samples: 100}], keep: 0.5}"
    small = ["fidelity={epochs: 1, samples: 300}", "search.population=4", "workers=0", rungs]
    arguments = ["halving", "digits_tiny", "--networks", "8", "--seeds", "2", "--out", str(tmp_path)]
    for change in small:
        arguments += ["--set", change]
    first = CliRunner().invoke(app, arguments)
    assert first.exit_code == 0, first.output
    assert "generations of 4 of 8 networks, mean over 2 seeds" in " ".join(first.stdout.split())
    table = pd.read_csv(tmp_path / "rungs.csv")
    assert len(table) == 2 * 4 * 2 * 2
    assert CliRunner().invoke(app, arguments).stdout == first.stdout
    assert pd.read_csv(tmp_path / "rungs.csv").equals(table)
    other = CliRunner().invoke(app, [*arguments, "--set", rungs.replace("0.5", "0.9")])  # of the same trainings
    assert other.exit_code == 0, other.output
    assert other.stdout != first.stdout
    assert pd.read_csv(tmp_path / "rungs.csv").equals(table)
    few = CliRunner().invoke(app, [*arguments, "--networks", "7"])
    assert few.exit_code == 2
    assert "--networks 7: too few; give twice search.population (4) or more" in " ".join(few.stderr.split())
    without = CliRunner().invoke(app, ["halving", "digits_tiny", "--out", str(tmp_path / "n")])
    assert without.exit_code == 2
    assert "has no search.halving" in without.stderr


def test_failed_trainings_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(halving_report, "_BRACKETS", 2)
    arguments = ["halving", "digits_tiny", "--networks", "8", "--seeds", "2", "--out", str(tmp_path)]
    small = ["fidelity={epochs: 1, samples: 300}", "search.population=4", "workers=0"]
    small.append("search.halving={rungs: [{epochs: 1, samples: 100}], keep: 0.5}")
    for change in small:
        arguments += ["--set", change]
    fit = Trainer.fit

    def diverge(self: Trainer, architecture: Any, *, seed: int, **options: Any) -> Any:
        if self.fidelity.samples in broken:
            raise CandidateError("training diverged")
        return fit(self, architecture, seed=seed, **options)

    monkeypatch.setattr(Trainer, "fit", diverge)
    broken = {100}
    some = CliRunner().invoke(app, arguments)
    assert some.exit_code == 0, some.output
    assert "16 trainings failed, the first: training diverged; at the top rung these" in " ".join(some.output.split())
    broken = {100, 300}
    every = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "every")])
    assert every.exit_code == 2
    assert "32 trainings failed, the first: training diverged" in " ".join(every.stderr.split())
