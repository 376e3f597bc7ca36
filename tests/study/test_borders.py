"""Where the user's own objects meet the search, a mistake is one sentence that names them."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

import moonas
from moonas.cli import app
from moonas.errors import MoonasError, RunFolderError, SpecError, StrategyError
from moonas.study import executor

Tiny = Callable[..., moonas.Study]


class Asking(moonas.Strategy):
    """Asks for whatever `answer` is."""

    answer: Any = None

    def ask(self, count: int) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def tell(self, trials: Any) -> None:
        """Learn nothing."""


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (None, "strategy Asking: ask went wrong: TypeError: 'NoneType' object is not iterable"),
        (RuntimeError("boom"), "strategy Asking: ask went wrong: RuntimeError: boom (test_borders.py:"),
        ([(0,)], "strategy Asking: ask went wrong: a genotype of this encoding has 7 genes, not 1"),
        ([(0, 0, 0, 0, 0, 0, -1)], "gene stages.1.expansion has choices 0 to 1, not -1"),
        ([(0.0,) * 7], "'float' object cannot be interpreted as an integer"),
    ],
)
def test_what_a_strategy_asks_must_be_genotypes(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch, answer: Any, message: str
) -> None:
    monkeypatch.setattr(Asking, "answer", answer)
    with pytest.raises(StrategyError) as caught:
        tiny(search={"strategy": Asking}).run()
    assert message in str(caught.value)


def test_genotypes_of_numpy_are_as_good(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Asking, "answer", np.zeros((1, 7), dtype=np.int64))
    assert len(tiny(search={"strategy": Asking}).run()) == 1


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("math:pi", "strategy math:pi: must be a subclass of moonas.Strategy, is a float"),
        ("builtins:dict", "strategy builtins:dict: "),
        ("types:SimpleNamespace", "strategy types:SimpleNamespace: "),
    ],
)
def test_what_is_no_strategy_is_refused(tiny: Tiny, path: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        tiny(search={"strategy": path})
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("path", ["math:pi", "builtins:dict"])
def test_what_is_no_encoding_is_refused(tiny: Tiny, path: str) -> None:
    with pytest.raises(SpecError, match=f"encoding {path}: "):
        tiny(encoding=path)


def test_what_gives_no_data_is_refused(tiny: Tiny) -> None:
    for path in ("math:pi", "builtins:dict"):
        study = tiny(data=path, task=None, objectives=[{"metric": "accuracy"}, {"metric": "params"}])
        with pytest.raises(MoonasError, match=f"data {path}: "):
            study.run()
        assert not study.out.exists()


def test_an_encoding_that_breaks_a_law_is_refused_before_the_search(tiny: Tiny) -> None:
    inner = tiny().encoding

    class Forgetful(moonas.Encoding):
        """Encodes every network as the first."""

        genes = inner.genes

        def decode(self, genotype: moonas.Genotype) -> moonas.Architecture:
            return inner.decode(genotype)

        def encode(self, architecture: moonas.Architecture) -> moonas.Genotype:
            return (0,) * 7

    with pytest.raises(SpecError, match=r"encoding .*Forgetful breaks a law: decode\(encode\(a\)\) != a"):
        tiny(encoding=Forgetful)


@pytest.mark.parametrize("name", ["key", "number", "state", "seconds", "error"])
def test_a_function_cannot_take_a_column_of_the_tables(tiny: Tiny, name: str) -> None:
    with pytest.raises(SpecError, match=f"a function cannot be called {name}: that is another column"):
        tiny(
            objectives=[{"metric": "params"}, moonas.objective(lambda module, context: 1.0, name=name, goal="maximize")]
        )


def run(**streams: Any) -> int:
    """The exit code of a search in a process of its own, with these streams."""
    return subprocess.run([sys.executable, "-m", "moonas.run", "mine.yaml"], check=False, **streams).returncode


def run_here(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["run", "mine.yaml", *arguments], catch_exceptions=False)


def test_a_module_that_exits_does_not_end_the_program_in_silence(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "exits.py").write_text("import sys\nsys.exit(0)\n")
    monkeypatch.syspath_prepend(str(here))
    result = run_here("--set", "objectives.0.metric=exits:f", "--set", "objectives.0.goal=minimize")
    assert result.exit_code == 2
    assert "importing 'exits' failed: SystemExit: 0" in result.stderr


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full here")  # noqa: PTH110
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_an_output_that_cannot_be_written_does_not_end_the_search(here: Path, stream: str) -> None:
    with Path("/dev/full").open("w") as full:
        other = "stderr" if stream == "stdout" else "stdout"
        assert run(**{stream: full, other: subprocess.DEVNULL}) == 0
    assert (here / "runs" / "mine" / "pareto.csv").exists()


def test_a_terminal_without_the_letters_gets_others(here: Path) -> None:
    printed = here / "printed.txt"
    with printed.open("wb") as file:
        assert run(env={**os.environ, "PYTHONIOENCODING": "latin-1"}, stdout=file, stderr=subprocess.DEVNULL) == 0
    assert "params ?" in printed.read_text(encoding="latin-1")


def test_a_row_that_lost_its_metrics_is_said_to_be_damaged(here: Path) -> None:
    assert run_here("--quiet").exit_code == 0
    connection = sqlite3.connect(here / "runs" / "mine" / "trials.sqlite")
    connection.execute("UPDATE trials SET metrics = '{}' WHERE number = 1")
    connection.commit()
    connection.close()
    result = run_here()
    assert result.exit_code == 2
    assert "trials.sqlite is damaged: trial 1 is complete, but has no params, flops" in result.stderr


def test_a_disk_too_full_for_the_handover_gives_one_sentence(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(executor, "write_handover", full)
    study = tiny(workers=1)
    with pytest.raises(RunFolderError, match="run cannot be written: No space left on device"):
        study.run()


FORGETFUL = """
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.optimize import minimize
import moonas

study = moonas.load("mine.yaml", out="r", overrides={"workers": 1})
minimize(study.as_pymoo(), NSGA2(pop_size=4), ("n_gen", 1), seed=1)
"""


def test_a_study_that_nobody_closes_is_closed_at_the_programs_end(here: Path) -> None:
    (here / "forgetful.py").write_text(FORGETFUL)
    result = subprocess.run([sys.executable, "forgetful.py"], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    assert (here / "r" / "pareto.csv").exists()
    assert not [child for child in (here / "r").iterdir() if child.name.startswith((".moonas", "trials.sqlite-"))]
