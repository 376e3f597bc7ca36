"""What several rooms of the tests share."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import moonas
from moonas.report import plot

if "PYTEST_XDIST_WORKER" in os.environ:  # there is a test process for each core
    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"  # of the processes that tests start


@pytest.fixture
def unrendered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pictures be composed and left empty: rendering takes half of a small search, and has tests of its own."""
    monkeypatch.setattr(plot, "save", lambda figure, path: path.touch())


@pytest.fixture
def tiny(tmp_path: Path, unrendered: None) -> Callable[..., moonas.Study]:
    """Make studies of an instant problem: a tiny space, counted metrics, no data, evaluated in this process."""

    def make(out: str = "run", **changes: Any) -> moonas.Study:
        problem = {
            "name": "tiny",
            "encoding": "tiny_cnn",
            "task": {"input_shape": [1, 8, 8], "classes": 10},
            "objectives": [{"metric": "params"}, {"metric": "flops", "goal": "maximize"}],
            "search": {"population": 6},
            "budget": {"trials": 18},
            "workers": 0,
        }
        return moonas.load(problem | changes, out=tmp_path / out)

    return make


MINE = """
encoding: tiny_cnn
task: {input_shape: [1, 8, 8], classes: 10}
objectives: [{metric: params}, {metric: flops, goal: maximize}]
search: {population: 6}
budget: {trials: 12}
workers: 0
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unrendered: None) -> Path:
    """A current folder with the instant problem `mine.yaml`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text(MINE)
    return tmp_path


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Let PyTorch compute as it does in a worker: sums in one order, so that runs repeat to the bit."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
