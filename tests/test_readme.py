"""What README shows, works: its modules are written out as they stand, and used."""

import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

import moonas
from moonas.cli import app

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
YAML_BLOCKS = re.findall(r"```yaml\n(.*?)```", README, flags=re.DOTALL)
MODULES = {block.split("\n")[0].removeprefix("# "): block for block in BLOCKS if block.startswith("# my_")}

PROBLEM = """
encoding: tiny_cnn
data: digits
objectives: [{metric: accuracy}, {metric: params}]
fidelity: {epochs: 1, samples: 200}
search: {population: 4}
budget: {trials: 8}
workers: 1
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unrendered: None) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name, text in MODULES.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "encodings").mkdir()
    for text in YAML_BLOCKS:
        if text.startswith("# encodings/"):
            (tmp_path / text.split("\n")[0].removeprefix("# ")).write_text(text)
    (tmp_path / "mine.yaml").write_text(PROBLEM)
    return tmp_path


def assigned(*settings: str) -> list[str]:
    return [part for setting in settings for part in ("--set", setting)]


def run(*settings: str) -> pd.DataFrame:
    """The trials of a search that finds the modules in the current folder, in this process."""
    line = ["run", "mine.yaml", "--out", "run", "--quiet", "--workers", "0", *assigned(*settings)]
    result = CliRunner().invoke(app, line, catch_exceptions=False)
    assert result.exit_code == 0, result.stderr
    return pd.read_csv("run/trials.csv")


def show(mark: str) -> None:
    """Run the example that contains this, as it stands."""
    (example,) = [block for block in BLOCKS if mark in block]
    exec(compile(example, "README.md", "exec"), {})


def test_readme_shows_a_module_for_each_kind_of_extension() -> None:
    assert set(MODULES) == {"my_metrics.py", "my_spaces.py", "my_data.py", "my_search.py"}


def test_an_objective_of_ones_own_is_found_by_the_program_and_by_its_workers() -> None:
    settings = assigned("objectives.1={metric: 'my_metrics:activation_mb', goal: minimize, at_most: 5.0, cost: cheap}")
    command = [sys.executable, "-m", "moonas.run", "mine.yaml", "--out", "run", "--quiet", *settings]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    trials = pd.read_csv("run/trials.csv")
    assert (trials["activation_mb"] > 0).all()
    assert trials["accuracy"].notna().all()


def test_a_family_of_ones_own_keeps_the_laws_and_is_searched() -> None:
    show("import check_encoding")
    trials = run("encoding=perceptrons", "budget.trials=10")
    assert sorted(set(trials["width"])) == [4, 8, 16, 32, 64]
    assert set(trials["activation"]) == {"relu", "tanh"}
    assert (trials.loc[trials["width"] == 64, "params"] == 64 * 64 + 64 + 64 * 10 + 10).all()


def test_the_family_of_ones_own_takes_twenty_lines() -> None:
    code = [line for line in MODULES["my_spaces.py"].splitlines()[1:] if line.strip()]
    assert len(code) <= 20


def test_a_data_set_of_ones_own_with_options() -> None:
    trials = run("data={name: 'my_data:blobs', options: {count: 400}}")
    assert trials["accuracy"].max() > 0.8


def test_a_strategy_of_ones_own() -> None:
    trials = run("search.strategy=my_search:Climb")
    assert len(trials) == 8
    assert trials["key"].is_unique


@pytest.fixture
def quick_digits(here: Path) -> None:
    """Problems in the current folder, in the place of the shipped ones, which take minutes."""
    (here / "problems").mkdir()
    for name in ("digits", "digits_tiny"):
        (here / "problems" / f"{name}.yaml").write_text(PROBLEM.replace("workers: 1", "workers: 0"))


@pytest.mark.usefixtures("quick_digits")
def test_the_python_example() -> None:
    show("study.trials")
    for name in ("digits", "digits_tiny"):
        assert len(pd.read_csv(f"runs/{name}/trials.csv")) == 8


@pytest.mark.usefixtures("quick_digits")
def test_the_pymoo_example() -> None:
    show("as_pymoo")
    assert 8 <= len(pd.read_csv("runs/pymoo/trials.csv")) <= 24


@pytest.mark.parametrize("mark", ["mobilenet_v3_large", "from_genotype"])
def test_the_examples_of_known_networks(mark: str) -> None:
    show(mark)


def test_the_problem_example_is_valid(here: Path) -> None:
    (problem,) = [block for block in YAML_BLOCKS if "mine.yaml" in block]
    (here / "example.yaml").write_text(problem)
    spec = moonas.load(here / "example.yaml").spec
    assert spec.data is not None
    assert spec.data.path == str(here / "my.npz")


def test_readme_names_every_benchmark() -> None:
    from moonas.benchmark.__main__ import app as benchmarks

    (paragraph,) = [text for text in README.split("\n\n") if "python -m moonas.benchmark NAME" in text]
    for command in benchmarks.registered_commands:
        assert command.callback is not None
        assert f"`{command.callback.__name__}`" in paragraph


def test_the_options_in_readme_are_the_options() -> None:
    help_text = CliRunner().invoke(app, ["run", "--help"]).output
    usage = next(line for line in README.splitlines() if line.startswith("python -m moonas.run PROBLEM"))
    for option in re.findall(r"--[a-z]+", usage):
        assert option in help_text
