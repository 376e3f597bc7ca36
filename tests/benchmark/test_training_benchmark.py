"""The command end to end on a few tiny networks: what it prints must be what its rows say."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from moonas.benchmark.__main__ import app
from moonas.report.table import number

pytestmark = [
    pytest.mark.usefixtures("here"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning"),  # of the loader's processes
]
TINY = "training --encoding tiny_cnn --networks 3 --block 2 --epochs 3 --samples 256 --set workers=1"


def benchmark(line: str) -> Result:
    return CliRunner().invoke(app, shlex.split(line), catch_exceptions=False)


def printed(output: str, *first: str) -> list[str]:
    """The cells of the row of a table that begins with `first`."""
    for line in output.splitlines():
        cells = re.split(r"\s{2,}", line.strip())
        if tuple(cells[: len(first)]) == first:
            return cells[len(first) :]
    raise AssertionError(f"no row {first} in\n{output}")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, pd.DataFrame]:
    """What one benchmark of two passes printed, and its rows."""
    path = tmp_path_factory.mktemp("benchmark") / "rows.csv"
    result = benchmark(f"{TINY} --passes 2 --out {path}")
    assert result.exit_code == 0, result.output
    return result.stdout, pd.read_csv(path)


def test_printed_figures_are_those_of_the_rows(trained: tuple[str, pd.DataFrame]) -> None:
    output, rows = trained
    turns = rows.groupby(["contender", "pass", "block"])["turn_seconds"].first().groupby("contender").sum()
    accuracy = rows.groupby("contender")["accuracy"].mean()
    assert len(rows) == 3 * 3 * 2  # networks, contenders, passes
    assert rows["key"].nunique() == 3
    assert rows["accuracy"].between(0, 1).all()
    for contender in ("epoch_cosine", "one_cycle", "moonas"):
        _, per_hour, lowest, highest, mean = printed(output, contender)
        assert per_hour == number(round(3600 * 6 / turns[contender], 3))
        low, rate, high = (float(each.replace(",", "")) for each in (lowest, per_hour, highest))
        assert low <= rate <= high
        assert mean == number(accuracy[contender])
    for reference in ("epoch_cosine", "one_cycle"):
        times, gained = printed(output, "tiny_cnn", reference)
        assert times.startswith(f"{turns[reference] / turns['moonas']:.2f} (")
        assert gained.startswith(f"{accuracy['moonas'] - accuracy[reference]:+.4f} (")


def test_contenders_train_the_same_networks_and_take_turns(trained: tuple[str, pd.DataFrame]) -> None:
    _, rows = trained
    rows = rows[rows["pass"] == rows["pass"].min()]
    networks = rows.groupby("contender", sort=False)["key"].agg(list)
    assert networks.map(tuple).nunique() == 1
    order = rows.drop_duplicates(["block", "contender"])[["block", "contender"]]
    assert order["block"].tolist() == [0, 0, 0, 1, 1, 1]
    first = order.groupby("block")["contender"].first()
    assert first[0] != first[1]  # nobody always begins


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ("--samples 100", "--samples 100: must be a multiple of 128 and 64"),
        ("--samples 12800", "--samples 12800: there are 1,077 images for training; give at most that"),
        ("--samples 128 --epochs 2", "2 epochs, 128 images: 2 steps in batches of 128, and the reference loops need 5"),
        ("--set training.batch", "--set training.batch: must be KEY.PATH=VALUE"),
        ("--device cuda", "--device cuda: PyTorch sees no such device here; use cpu"),
        ("--encoding tinny", "unknown encoding 'tinny'"),
    ],
)
def test_mistakes_are_said_in_one_sentence(
    here: Path, monkeypatch: pytest.MonkeyPatch, options: str, complaint: str
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    result = benchmark(f"training {options} --out rows.csv")
    assert result.exit_code == 2
    assert complaint in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not (here / "rows.csv").exists()


def test_rows_that_are_there_stay(here: Path) -> None:
    (here / "rows.csv").write_text("mine")
    result = benchmark("training --out rows.csv")
    assert result.exit_code == 2
    assert "--out rows.csv is there already" in result.stderr
    assert (here / "rows.csv").read_text() == "mine"
