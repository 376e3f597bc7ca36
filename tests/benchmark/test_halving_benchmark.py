"""What a halving saves and loses, from networks trained at all rungs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from moonas.benchmark.__main__ import app
from moonas.benchmark.halving_report import JUDGED, Measured, Trainings, outcome, print_halving, trained_by_halving

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


def table(accuracies: np.ndarray[Any, Any]) -> pd.DataFrame:
    """The rows of trainings, (seeds, networks, rungs), that take as many seconds as the rung's number."""
    rows = [
        {"seed": seed, "number": number, "rung": rung + 1, "flops": number, "seconds": rung + 1, "accuracy": accuracy}
        for (seed, number, rung), accuracy in np.ndenumerate(accuracies)
    ]
    return pd.DataFrame(rows).sample(frac=1, random_state=0)


def test_the_truth_is_the_mean_of_the_other_seeds_at_the_top() -> None:
    accuracies = np.add.outer([0.0, 0.1, 0.2], np.add.outer(range(4), [0.0, 0.0]))
    accuracies[0, 1, 1] = np.nan
    trainings = Trainings.of(table(accuracies), rungs=2, seeds=3)
    first, last = trainings.measured([3, 1], 0), trainings.measured([1, 2], 2)
    assert [each["accuracy"] for each in first.truth] == pytest.approx([3.15, 1.15])
    assert [each["accuracy"] for each in last.truth] == pytest.approx([(0 + 1.1) / 2, 2.05])
    assert first.results == {
        (0, 1): {"accuracy": 3.0, "flops": 3.0},
        (0, 2): {"accuracy": 3.0, "flops": 3.0},
        (1, 1): {"accuracy": 1.0, "flops": 1.0},
    }
    assert first.seconds.tolist() == [[1, 2], [1, 2]]


@pytest.mark.parametrize(("lower", "least", "most"), [(1, -0.1, 0.0), (-1, -1.0, -0.95)])
def test_what_is_printed_is_of_many_generations(
    capsys: pytest.CaptureFixture[str], lower: int, least: float, most: float
) -> None:
    """A lower rung that orders as the top one does loses only whom it judges too early; the other way round, all."""
    order = np.arange(24)
    accuracies = np.array([np.column_stack([0.3 + lower * order / 100, 0.3 + order / 100])] * 2)
    print_halving(Trainings.of(table(accuracies), rungs=2, seeds=2), population=12, resamples=40, **OPTIONS)
    printed = " ".join(capsys.readouterr().out.split())
    assert "generations of 12 of 24 networks, mean over 2 seeds" in printed
    line = re.search(r"accuracy 1.00 \(1.00 to 1.00\) 1.00 (\S+) (\S+) \((\S+) to (\S+)\)", printed)  # 12 + 6 * 2 s
    assert line is not None, printed
    halving, difference, low, high = map(float, line.groups())
    assert least <= low <= difference <= high <= most
    assert halving == pytest.approx(1 + difference)


def test_the_command_trains_all_and_resumes(tmp_path: Path) -> None:
    rungs = "search.halving={rungs: [{epochs: 1, samples: 100}], keep: 0.5}"
    small = ["fidelity={epochs: 1, samples: 300}", "search.population=4", "workers=0", rungs]
    arguments = ["halving", "digits_tiny", "--generations", "2", "--seeds", "2", "--out", str(tmp_path)]
    for change in small:
        arguments += ["--set", change]
    first = CliRunner().invoke(app, arguments)
    assert first.exit_code == 0, first.output
    assert "generations of 4 of 8 networks, mean over 2 seeds" in " ".join(first.stdout.split())
    table = pd.read_csv(tmp_path / "rungs.csv")
    assert len(table) == 2 * 4 * 2 * 2
    assert CliRunner().invoke(app, arguments).stdout == first.stdout
    assert pd.read_csv(tmp_path / "rungs.csv").equals(table)
    without = CliRunner().invoke(app, ["halving", "digits_tiny", "--out", str(tmp_path / "n")])
    assert without.exit_code == 2
    assert "has no search.halving" in without.stderr
