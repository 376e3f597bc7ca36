"""The command line as users meet it."""

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner, Result

import moonas
from moonas.cli import app
from moonas.errors import UnknownNameError
from moonas.spec.load import load_problem

pytestmark = pytest.mark.usefixtures("here")


def moonas_command(line: str) -> Result:
    return CliRunner().invoke(app, shlex.split(line), catch_exceptions=False)


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)


def test_a_run_ends_with_the_front_and_the_files(here: Path) -> None:
    result = moonas_command("run mine.yaml")
    assert result.exit_code == 0
    assert "Pareto front: " in result.stdout
    assert "12 complete; hypervolume " in result.stdout
    front = pd.read_csv(here / "runs" / "mine" / "pareto.csv")
    assert all(key in result.stdout for key in front["key"])
    assert "trials 12/12  best params " in result.stderr
    assert f"front {len(front)}" in result.stderr.splitlines()[-1]


def test_what_takes_long_at_the_start_is_announced_first() -> None:
    lines = moonas_command("run mine.yaml").stderr.splitlines()
    assert lines[0] == "Starting mine: loading libraries, data and workers takes some seconds."
    assert lines[1].startswith("mine: ")


@pytest.fixture
def blank(here: Path) -> str:
    """A problem of which nothing can be learnt: all images are black."""
    np.savez(here / "blank.npz", x_train=np.zeros((80, 8, 8), dtype=np.uint8), y_train=np.arange(80) % 2)
    (here / "blank.yaml").write_text(
        "encoding: tiny_cnn\ndata: {name: npz, path: blank.npz}\nobjectives: [{metric: accuracy}, {metric: params}]\n"
        "fidelity: {epochs: 1}\nsearch: {population: 4}\nbudget: {trials: 4}\nworkers: 0\n"
    )
    return "run blank.yaml"


def test_networks_that_learn_nothing_are_remarked_on(blank: str) -> None:
    result = moonas_command(blank)
    assert result.exit_code == 0
    assert "4 of 4 complete networks have the same accuracy, 0.5000: they may have learnt nothing" in result.stdout


def test_a_rung_that_tells_nothing_is_remarked_on(blank: str) -> None:
    result = moonas_command(f"{blank} --set 'search.halving={{rungs: [{{epochs: 1, samples: 16}}]}}'")
    assert result.exit_code == 0
    assert "4 of 4 stopped networks were no better than chance: the first rung is too short" in result.stdout


def test_a_predicted_latency_says_under_the_table_and_at_the_end_what_it_is(here: Path) -> None:
    objectives = "[{metric: params}, {metric: latency_ms}, {metric: latency_ms@t4}]"
    result = moonas_command(f"run mine.yaml --set device=raspberry_pi_4 --set 'objectives={objectives}'")
    assert result.exit_code == 0
    note = "latency_ms: predicted by hw_profiles/raspberry_pi_4 (fitted, +-10 %), ncnn on CPU, 1 thread, batch 1"
    assert note in result.stdout.splitlines()
    assert "latency_ms@t4: predicted by hw_profiles/t4 (spec-sheet, rank only)" in result.stdout
    assert "Warning: latency_ms@t4 is predicted from a data sheet" in result.stdout
    assert "latency_ms is predicted with an error that was found for images of at least 128 pixels" in result.stdout
    assert "raspberry_pi_4 has no table of kernels that was measured on this machine" in result.stdout


def test_a_front_that_was_timed_in_the_end_is_shown_beside_what_was_searched(here: Path) -> None:
    objectives = "[{metric: flops, goal: maximize}, {metric: latency_ms}]"
    device = "{name: here, runtime: torch, rounds: 2, round_ms: 0.1}"
    result = moonas_command(f"run mine.yaml --set 'device={device}' --set 'objectives={objectives}'")
    assert result.exit_code == 0
    assert all(f" {name} " in result.stdout for name in ("latency_ms", "measured_latency_ms"))
    assert "were not measured" not in result.stdout


def test_the_module_and_the_command_are_the_same(here: Path) -> None:
    assert python("-m", "moonas.run", "mine.yaml", "--out", "a", "--quiet").returncode == 0
    assert moonas_command("run mine.yaml --out b --quiet").exit_code == 0
    a, b = (pd.read_csv(here / out / "trials.csv").drop(columns="seconds") for out in "ab")
    pd.testing.assert_frame_equal(a, b)


def test_quiet_prints_nothing(here: Path) -> None:
    result = moonas_command("run mine.yaml --quiet")
    assert (result.stdout, result.stderr) == ("", "")


def test_flags_change_the_problem(here: Path) -> None:
    moonas_command(
        "run mine.yaml --out r --trials 7 --seed 5 --set search.strategy=random --set search.population=4 -q"
    )
    spec = moonas.load(here / "r" / "problem.yaml").spec
    assert (spec.budget.trials, spec.seed, spec.search.strategy, spec.search.population) == (7, 5, "random", 4)
    assert len(pd.read_csv(here / "r" / "trials.csv")) == 7


def test_running_again_resumes(here: Path) -> None:
    moonas_command("run mine.yaml --trials 7 --quiet")
    result = moonas_command("run mine.yaml")
    assert result.exit_code == 0
    assert "Resuming after 7 trials." in result.stderr
    assert len(pd.read_csv(here / "runs" / "mine" / "trials.csv")) == 12


def test_a_run_folder_goes_on_by_its_own_name(here: Path) -> None:
    moonas_command("run mine.yaml --out elsewhere --trials 7 --quiet")
    (here / "elsewhere").rename(here / "moved")
    assert moonas_command("run moved --trials 9 --quiet").exit_code == 0
    assert len(pd.read_csv(here / "moved" / "trials.csv")) == 9
    assert not (here / "runs").exists()
    study = moonas.load("moved")
    assert study.out == Path("moved")
    assert len(study.trials) == 9


def test_a_budget_below_what_is_there_is_said(here: Path) -> None:
    moonas_command("run mine.yaml --quiet")
    result = moonas_command("run mine.yaml --trials 5")
    assert result.exit_code == 0
    assert "12 trials are there, and the budget is 5: nothing more is evaluated" in result.stderr


def test_limits_that_no_network_keeps_are_said(here: Path) -> None:
    result = CliRunner().invoke(
        app, ["run", "mine.yaml", "--set", "constraints=[{metric: params, at_most: 10}]"], catch_exceptions=False
    )
    assert result.exit_code == 0
    assert "No network is on the front. 12 of 12 trials: breaks params <= 10." in result.stdout
    assert "pareto.png" not in result.stdout


def test_mistakes_of_data_and_functions_come_before_anything_is_written(here: Path) -> None:
    for change, message in [
        ("objectives.0.metric=nosuch:latency", "no module named 'nosuch'"),
        ("objectives.0.metric=json:nosuch", "unknown object in json 'nosuch'"),
    ]:
        result = moonas_command(f"run mine.yaml --set {change} --set objectives.0.goal=minimize")
        assert result.exit_code == 2
        assert message in result.stderr
        assert "trials 0/" not in result.stderr
        assert not (here / "runs").exists()


def test_another_problem_in_the_same_folder_is_refused() -> None:
    moonas_command("run mine.yaml --quiet")
    result = moonas_command("run mine.yaml --seed 3")
    assert result.exit_code == 2
    assert "runs/mine holds a run of another problem" in result.stderr
    assert "seed: was 0, is 3" in result.stderr


def test_time_that_runs_out_is_exit_code_3() -> None:
    result = moonas_command("run mine.yaml --trials 192 --set budget.hours=0.00002")
    assert result.exit_code == 3
    assert "The time of the budget ran out before the trials did" in result.stderr


def test_an_exhausted_space_is_said_and_is_no_failure() -> None:
    result = moonas_command("run mine.yaml --trials 500")
    assert result.exit_code == 0
    assert "The search space is exhausted" in result.stderr


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("run nowhere.yaml", "moonas: no such file: nowhere.yaml; choose from"),
        ("run digit", "did you mean 'digits'?"),
        ("run mine.yaml --set seed", "moonas: --set seed: must be KEY.PATH=VALUE, as in --set search.population=16"),
        ("run mine.yaml --set search.populaton=4", "did you mean 'population'?"),
        ("run mine.yaml --trials 0", "mine.yaml, --trials, budget.trials: must be at least 1, is 0"),
        ("run mine.yaml --set search.options={speed: 1}", "strategy nsga2 has no option 'speed'"),
        ("copy digit", "did you mean 'digits'?"),
        ("list problms", "did you mean 'problems'?"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(line: str, message: str) -> None:
    result = CliRunner().invoke(app, line.split(" ", 3) if "{" in line else line.split(), catch_exceptions=False)
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Starting" not in result.stderr
    assert not Path("runs").exists()


def test_list_names_everything_that_is_shipped(here: Path) -> None:
    result = moonas_command("list")
    assert result.exit_code == 0
    for name in ("digits", "digits_power", "digits_tiny", "fashion_mnist", "small_cnn", "tiny_cnn", "here"):
        line = next(line for line in result.stdout.splitlines() if line.split()[:1] == [name])
        assert len(line.split()) > 3, "a name without a summary"


def test_a_copy_can_be_edited_and_runs_by_its_name(here: Path) -> None:
    assert moonas_command("copy digits_tiny").stdout == "Wrote problems/digits_tiny.yaml.\n"
    path = here / "problems" / "digits_tiny.yaml"
    path.write_text(path.read_text().replace("trials: 16", "trials: 3"))
    assert moonas.load("digits_tiny").spec.budget.trials == 3
    result = moonas_command("copy digits_tiny")
    assert result.exit_code == 2
    assert "is there already, and stays as it is" in result.stderr
    assert "moonas copy digits_tiny problems/mine.yaml" in result.stderr
    assert "trials: 3" in path.read_text()


def test_a_copy_is_called_like_its_file_and_searched_in_a_folder_of_its_own(here: Path) -> None:
    for name in ("digits", "digits_tiny", "fashion_mnist"):
        moonas_command(f"copy {name} problems/my_{name}.yaml")
    assert moonas.load("my_digits").out == Path("runs/my_digits")
    assert moonas.load("problems/my_digits_tiny.yaml").spec.name == "my_digits_tiny"
    assert load_problem("my_fashion_mnist", overrides={"data.path": "f.npz"}).name == "my_fashion_mnist"


def test_a_phase_that_is_none_is_refused_in_words(here: Path) -> None:
    unknown: Any = "validat"
    with pytest.raises(UnknownNameError, match=r"unknown phase 'validat'; .*did you mean 'validate'\?"):
        moonas.load("mine.yaml", phase=unknown)


def test_a_search_from_python_may_be_of_any_phase(here: Path) -> None:
    front = moonas.search("mine.yaml", phase="validate")
    trials = pd.read_csv(here / "runs" / "mine-validate" / "trials.csv")
    assert len(trials) == 6  # one generation of the twelve trials
    assert set(front["key"]) <= set(trials["key"])


def test_version() -> None:
    assert moonas_command("--version").stdout == f"moonas {moonas.__version__}\n"


def test_help_and_import_load_neither_torch_nor_pymoo() -> None:
    probe = (
        "import sys\nfrom typer.testing import CliRunner\nimport moonas\nfrom moonas.cli import app\n"
        "assert CliRunner().invoke(app, ['run', '--help']).exit_code == 0\n"
        "heavy = 'torch', 'pymoo', 'pandas', 'matplotlib'\n"
        "assert not [m for m in (*heavy, 'numpy') if m in sys.modules]\n"
        "assert CliRunner().invoke(app, ['list']).exit_code == 0\n"
        "print([m for m in heavy if m in sys.modules])"
    )
    assert python("-c", probe).stdout == "[]\n"


def test_every_public_name_is_there_and_documented() -> None:
    for name in moonas.__all__:
        thing = getattr(moonas, name)
        if name != "Genotype":  # an alias of a built-in type
            assert thing.__doc__, name
    assert set(moonas.__all__) <= set(dir(moonas))
    with pytest.raises(AttributeError, match="no attribute 'serch'"):
        _ = moonas.serch


def test_no_public_name_is_also_a_rooms_name() -> None:
    import pkgutil

    # Importing a sub-package would put it in the place of the function of that name.
    assert not set(moonas.__all__) & {module.name for module in pkgutil.iter_modules(moonas.__path__)}


def test_a_script_without_a_main_guard_and_with_functions_of_its_own_runs_in_workers(here: Path) -> None:
    script = here / "script.py"
    script.write_text(
        "import moonas\n"
        "def relus(module, context):\n"
        "    '''Count ReLUs.'''\n"
        "    import torch\n"
        "    return sum(isinstance(m, torch.nn.ReLU) for m in module.modules())\n"
        "front = moonas.search('mine.yaml', out='r', overrides={\n"
        "    'objectives': [moonas.objective(relus, goal='minimize'), {'metric': 'params'}], 'workers': 1})\n"
        "print(front[['relus', 'params']].to_json())\n"
    )
    result = python(str(script))
    assert result.returncode == 0, result.stderr
    front = json.loads(result.stdout)
    assert min(front["relus"].values()) >= 2
