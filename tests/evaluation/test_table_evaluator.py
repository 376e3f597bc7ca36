"""Metrics looked up in a table."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import moonas
from moonas.errors import DataError, MoonasError
from moonas.evaluation.evaluator import Candidate, Failure
from moonas.evaluation.table import TableEvaluator, read_table
from moonas.network.nas_bench_201 import NASBench201
from moonas.report.front import pareto_front

PUBLISHED = Path(__file__).parents[3] / "shared" / "data" / "nas_bench_201.csv.gz"
ONE = NASBench201.from_string("|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|skip_connect~2|")
TWO = NASBench201.from_string("|nor_conv_1x1~0|+|none~0|none~1|+|none~0|skip_connect~1|none~2|")
CSV = f"cell,top1,ms,nodes\n{ONE.string},91.5,2.5,3\n{TWO.string},,1.5,4\n"
COLUMNS = {"accuracy": ("top1", 0.01), "latency_ms": ("ms", 1.0), "nodes": ("nodes", 1.0)}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "table.csv").write_text(CSV)
    return tmp_path / "table.csv"


def test_rows_are_found_by_their_column_and_scaled(path: Path) -> None:
    rows = read_table(path, "cell", COLUMNS)
    assert rows[ONE.string] == {"accuracy": pytest.approx(0.915), "latency_ms": 2.5, "nodes": 3}
    assert isinstance(rows[ONE.string]["nodes"], int)


def test_a_gzipped_table_is_read(tmp_path: Path, path: Path) -> None:
    packed = tmp_path / "table.csv.gz"
    packed.write_bytes(gzip.compress(CSV.encode()))
    assert read_table(packed, "cell", COLUMNS)[ONE.string] == read_table(path, "cell", COLUMNS)[ONE.string]


def look_up(path: Path, architecture: Any, by: str = "string") -> Any:
    evaluator = TableEvaluator(read_table(path, "cell", COLUMNS), ("latency_ms", "accuracy"), by, "table T")
    return evaluator.evaluate([Candidate(architecture, 0)])[0]


def test_keys_are_read_as_they_are_written(tmp_path: Path) -> None:
    path = tmp_path / "digits.csv"
    path.write_text("genes,accuracy\n042130,0.5\nNone,0.6\n1.50,0.7\n")
    assert list(read_table(path, "genes", {"accuracy": ("accuracy", 1.0)})) == ["042130", "None", "1.50"]


def test_what_cannot_be_looked_up_fails_in_words(path: Path) -> None:
    assert look_up(path, ONE) == {"latency_ms": 2.5, "accuracy": pytest.approx(0.915)}
    other = NASBench201(("none",) * 6)
    assert look_up(path, other) == Failure(f"table T has no row for {other.string}, the string of this network")
    assert look_up(path, TWO) == Failure("accuracy is NaN")
    assert look_up(path, ONE, "strnig") == Failure("NASBench201 has no attribute 'strnig' to be looked up by")


@pytest.mark.parametrize(
    ("text", "match", "message"),
    [
        (CSV, "cels", "unknown column 'cels'; choose from cell, ms, nodes, top1; did you mean 'cell'"),
        (CSV.replace("top1", "top5"), "cell", "unknown column 'top1'; .* did you mean 'top5'"),
        (CSV + f"{ONE.string},1,1,1\n", "cell", "stands in column cell twice"),
        (CSV.replace("2.5", "fast"), "cell", "column ms holds other things than numbers, as 'fast'"),
        (CSV.partition("\n")[0], "cell", "holds no rows"),
        (CSV.replace(TWO.string, ""), "cell", "column cell is empty in 1 of 2 rows"),
        (CSV.replace("91.5", "9150"), "cell", "column top1: accuracy is 91.5, and cannot be above 1; .* scale: ..."),
        (CSV.replace("2.5", "-2.5"), "cell", "column ms: latency_ms is -2.5, and cannot be below 0"),
        (CSV.replace(",2.5", ",True").replace(",1.5", ",False"), "cell", "column ms holds other things than numbers"),
        ("", "cell", "cannot be read"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(tmp_path: Path, text: str, match: str, message: str) -> None:
    (tmp_path / "table.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        read_table(tmp_path / "table.csv", match, COLUMNS)


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere\.csv: cannot be read: FileNotFoundError"):
        read_table(tmp_path / "nowhere.csv", "cell", COLUMNS)


# Searches.


def problem(path: Path, **changes: Any) -> dict[str, Any]:
    metrics = {"accuracy": {"column": "accuracy"}, "joules": "energy"}
    return {
        "encoding": "tiny_cnn",
        "task": {"input_shape": [1, 8, 8], "classes": 10},
        "table": {"path": str(path), "metrics": metrics},
        "objectives": [{"metric": "accuracy"}, {"metric": "joules", "goal": "minimize"}],
        "record": [],
        "search": {"population": 8},
        "budget": {"trials": 16},
        "workers": 0,
        **changes,
    }


@pytest.fixture
def by_key(tmp_path: Path) -> Path:
    """A table of all networks of tiny_cnn by their keys, accuracy being given by the last digit."""
    import itertools

    space = moonas.search_space("tiny_cnn")
    genotypes = itertools.product(*(range(len(gene.choices)) for gene in space.genes))
    keys = sorted({space.decode(genotype).key for genotype in genotypes})
    rows = [{"key": key, "accuracy": int(key[-1], 16) / 20, "energy": int(key[-2], 16)} for key in keys]
    pd.DataFrame(rows).to_csv(tmp_path / "keys.csv", index=False)
    return tmp_path / "keys.csv"


def test_a_search_by_key_trains_and_builds_nothing(by_key: Path, tmp_path: Path) -> None:
    study = moonas.load(problem(by_key), out=tmp_path / "run")
    study.run()
    trials = study.trials
    assert (trials["state"] == "complete").all()
    assert trials["accuracy"].tolist() == [pytest.approx(int(key[-1], 16) / 20) for key in trials["key"]]
    assert study.metric_notes["accuracy"] == "from keys.csv"


def test_counted_metrics_go_beside_those_of_a_table(by_key: Path, tmp_path: Path) -> None:
    study = moonas.load(problem(by_key, record=["params"]), out=tmp_path / "run")
    study.run()
    network = study.architecture(study.trials["key"][0]).build(study.task)
    assert study.trials["params"][0] == sum(parameter.numel() for parameter in network.parameters())


def test_what_comes_with_other_metrics_does_not_replace_what_the_table_says(by_key: Path, tmp_path: Path) -> None:
    """Training, for its loss, measures an accuracy, too."""
    small = {"fidelity": {"epochs": 1, "samples": 100}, "budget": {"trials": 4}, "search": {"population": 4}}
    trained = problem(by_key, task=None, data="digits", record=["training_loss"], **small)
    study = moonas.load({key: value for key, value in trained.items() if value is not None}, out=tmp_path / "run")
    study.run()
    trials = study.trials
    assert (trials["training_loss"] > 0).all()
    assert trials["accuracy"].tolist() == [pytest.approx(int(key[-1], 16) / 20) for key in trials["key"]]


def test_another_table_in_the_same_folder_is_refused(by_key: Path, tmp_path: Path) -> None:
    moonas.load(problem(by_key), out=tmp_path / "run").run()
    moved = tmp_path / "moved.csv"
    moved.write_text(by_key.read_text())
    more = {"trials": 20}
    moonas.load(problem(moved, budget=more), out=tmp_path / "run").run()  # it may lie elsewhere
    moved.write_text(by_key.read_text().replace(",5\n", ",6\n"))
    with pytest.raises(MoonasError, match="holds metrics of another table"):
        moonas.load(problem(moved, budget={"trials": 24}), out=tmp_path / "run").run()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"table": {"metrics": {"accuracy": "a"}}}, r"table\.path: is missing; .* --set table\.path=FILE"),
        ({"table": {"path": "t.csv", "metrics": {}}}, r"table\.metrics: must name at least one metric"),
        ({"table": {"path": "t.csv", "metrics": {"key": "a"}}}, r"table\.metrics\.key: cannot be a metric's name"),
        ({"table": {"path": "t.csv", "metrics": {"accuracy": 5}}}, r"table\.metrics\.accuracy: must be"),
        ({"objectives": [{"metric": "joules"}]}, r"objectives\.0\.goal: is missing; say maximize or minimize"),
        ({"objectives": [{"metric": "jules"}]}, r"nothing measures 'jules'; .* did you mean 'joules'"),
    ],
)
def test_what_a_problem_says_of_its_table_is_checked(by_key: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(MoonasError, match=message):
        moonas.load(problem(by_key, **changes))


def test_the_shipped_problem_finds_much_of_the_true_front(tmp_path: Path) -> None:
    if not PUBLISHED.exists():
        pytest.skip("the table of NAS-Bench-201 is development data, and not here")
    study = moonas.load("nas_bench_201", out=tmp_path / "run", overrides={"table.path": str(PUBLISHED)})
    front = study.run()
    assert len(study.trials) == 480
    table = pd.read_csv(PUBLISHED)
    everything = pd.DataFrame(
        {
            "accuracy": table["cifar10_val_accuracy"] * 0.01,
            "latency_ms": table["raspberry_pi_4_latency_ms"],
            "state": "complete",
            "number": range(len(table)),
        }
    )
    best = pareto_front(everything, study.objectives)
    assert front["accuracy"].max() > best["accuracy"].max() - 0.02
    assert (study.trials["params"] >= 73306).all()  # the table's, which no cell goes below
