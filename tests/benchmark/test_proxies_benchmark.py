"""The command end to end on a few tiny networks, and its figures on rows whose answer is known."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from typer.testing import CliRunner, Result

from moonas.benchmark.__main__ import app
from moonas.benchmark.proxies_report import judgements_of
from moonas.benchmark.turns import RANK_COLUMNS
from moonas.report.evidence import CEILING, KENDALL_AT_EQUAL_SIZE

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")  # of the loader's processes
TINY = (
    "proxies digits --set encoding=tiny_cnn --set workers=0 --set fidelity.epochs=1 --set fidelity.samples=256 "
    "--networks 4 --seeds 1 --long-epochs 2 --long-samples 512 --long-seeds 1 "
    "--reference-epochs 2 --reference-samples 384 --timed 2 --out p"
)


def benchmark(line: str) -> Result:
    return CliRunner().invoke(app, shlex.split(line), catch_exceptions=False)


def cells(output: str, first: str) -> list[list[str]]:
    """The cells of all rows of tables that begin with `first`."""
    rows = (re.split(r"\s{2,}", line.strip()) for line in output.splitlines())
    return [row[1:] for row in rows if row[0] == first]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("proxies")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        result = benchmark(TINY)
    assert result.exit_code == 0, result.output
    return folder / "p", result.stdout


def test_printed_agreement_is_that_of_the_rows(finished: tuple[Path, str]) -> None:
    folder, output = finished
    rows = pd.read_csv(folder / "ranks.csv")
    assert len(rows) == 4 * 4  # networks; contenders and truth
    judged = {name: some.set_index("key")["accuracy"].sort_index() for name, some in rows.groupby("contender")}
    for name in ("epoch_cosine", "one_cycle", "proxy"):
        tau = stats.kendalltau(judged[name], judged["truth"]).statistic
        (row,) = cells(output, f"{name} accuracy")
        assert row[1].startswith(f"{tau:.2f}")


def test_printed_speed_is_that_of_the_turns(finished: tuple[Path, str]) -> None:
    folder, output = finished
    turns = pd.read_csv(folder / "times.csv").drop_duplicates("contender").set_index("contender")["turn_seconds"]
    for name in ("proxy", "proxy, one worker"):
        (row,) = cells(output, name)
        expected = [turns[reference] / turns[name] for reference in ("epoch_cosine", "one_cycle")]
        assert row[-2:] == [f"{times:.2f}" for times in expected]  # one block has no interval


def test_running_again_judges_only_what_is_missing(
    finished: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, output = finished
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p").mkdir()
    for name in ("ranks.csv", "times.csv", "settings.json"):
        (tmp_path / "p" / name).write_bytes((whole / name).read_bytes())
    lines = (whole / "ranks.csv").read_text().splitlines(keepends=True)
    cut = [*lines[:-2], lines[-2][:20]]  # killed while it wrote the last row but one
    (tmp_path / "p" / "ranks.csv").write_text("".join(cut))
    result = benchmark(TINY)
    assert result.stdout == output  # a training repeats to the digit
    again = (tmp_path / "p" / "ranks.csv").read_text().splitlines(keepends=True)
    assert again[: len(lines) - 2] == lines[:-2]
    assert len(again) == len(lines)


def test_settings_tell_how_trainings_were_computed(finished: tuple[Path, str]) -> None:
    training = json.loads((finished[0] / "settings.json").read_text())["training"]
    assert training["precision"] in ("float32", "bfloat16")
    assert training["processor"] in ("cpu", "cuda")


def test_a_folder_of_other_settings_is_refused(finished: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    folder, _ = finished
    before = {path: path.read_bytes() for path in folder.iterdir()}
    monkeypatch.chdir(folder.parent)
    result = benchmark(TINY.replace("--long-epochs 2", "--long-epochs 3"))
    assert result.exit_code == 2
    assert "moonas: --out p holds results of other settings, see settings.json; give another folder" in result.stderr
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def simulated(networks: int, *, seeds: int = 3) -> pd.DataFrame:
    """Rows of a truth that is size and quality, of a good proxy, and of references that see size alone."""
    random = np.random.default_rng(0)
    size, quality = random.normal(size=(2, networks))
    rows = []
    for contender, knows in (("truth", 1.0), ("proxy", 1.0), ("epoch_cosine", 0.0), ("one_cycle", 0.0)):
        for seed in range(seeds):
            seen = size + knows * quality + 0.2 * random.normal(size=networks)
            for i in range(networks):
                counts = {"key": f"net-{i}", "params": int(1e6 * (5 + size[i])), "flops": int(1e8 * (5 + size[i]))}
                said = {"accuracy": seen[i], "training_loss": -seen[i], "seconds": 1.0, "error": ""}
                rows.append({"contender": contender, "seed": seed, **counts, **said})
    return pd.DataFrame(rows, columns=list(RANK_COLUMNS))


def test_a_proxy_that_knows_more_than_size_is_found_better_by_that() -> None:
    rows = simulated(60)
    found = judgements_of(rows, list(rows["key"].unique()), seeds=1, long_seeds=2)
    gain = found.gain("proxy accuracy", "one_cycle accuracy", KENDALL_AT_EQUAL_SIZE)
    assert gain.low > 0.5
    assert found.agreement("epoch_cosine accuracy", KENDALL_AT_EQUAL_SIZE).low < 0.1
    assert found.agreement("epoch_cosine accuracy", "kendall").low > 0.3  # size alone does that
    assert found.agreement(CEILING, KENDALL_AT_EQUAL_SIZE).low > 0.6
    assert np.array_equal(found.signals["proxy accuracy"], found.signals["proxy training_loss"])  # larger is better


def test_only_networks_judged_by_all_count_and_only_seeds_asked_for() -> None:
    rows = simulated(10)
    rows.loc[(rows["key"] == "net-3") & (rows["contender"] == "one_cycle") & (rows["seed"] == 1), "accuracy"] = np.nan
    keys = [f"net-{i}" for i in range(8)]
    found = judgements_of(rows, keys, seeds=2, long_seeds=3)
    assert found.full.shape == (7, 3)
    assert found.signals["proxy accuracy"].shape == (7, 2)
    of_net_7 = rows[(rows["key"] == "net-7") & (rows["contender"] == "truth")]["accuracy"]
    assert found.full[-1] == pytest.approx(of_net_7.to_numpy())
