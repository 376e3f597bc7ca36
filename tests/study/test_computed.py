"""A run goes on computing its trainings as it began: trials of two precisions would not compare."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import moonas
from moonas.errors import MoonasError

PROBLEM: dict[str, Any] = {
    "fidelity": {"epochs": 1, "samples": 128},
    "objectives": [{"metric": "accuracy"}, {"metric": "params"}],
    "search": {"population": 4},
    "workers": 0,
}


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """The devices and precisions of all trainers that are made."""
    from moonas.training.trainer import Trainer

    made: list[tuple[str, str]] = []
    fit = Trainer.fit

    def remember(self: Trainer, *arguments: Any, **options: Any) -> Any:
        made.append((self.device.type, self.precision))
        return fit(self, *arguments, **options)

    monkeypatch.setattr(Trainer, "fit", remember)
    return made


@pytest.fixture
def probed(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Sets what a trial of the machine is to say."""

    def say(answer: str) -> None:
        monkeypatch.setattr("moonas.training.precision.fastest_precision", lambda *_, **__: answer)

    return say


def run(out: Path, trials: int, **changes: Any) -> None:
    moonas.load("digits_tiny", out=out, overrides={**PROBLEM, "budget.trials": trials, **changes}).run()


@pytest.mark.parametrize(("first", "then"), [("bfloat16", "float32"), ("float32", "bfloat16")])
def test_a_run_keeps_the_precision_in_which_it_began(
    tmp_path: Path, seen: list[tuple[str, str]], probed: Callable[[str], None], first: str, then: str
) -> None:
    probed(first)
    run(tmp_path / "run", 4)
    probed(then)
    run(tmp_path / "run", 8)
    assert len(seen) == 8
    assert set(seen) == {("cpu", first)}
    run(tmp_path / "other", 4)
    assert seen[-1] == ("cpu", then)


def test_what_the_problem_says_is_not_tried(tmp_path: Path, seen: list[tuple[str, str]]) -> None:
    answers: Iterator[str] = iter(())
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("moonas.training.precision.fastest_precision", lambda *_, **__: next(answers))
        run(tmp_path / "run", 4, **{"training.precision": "bfloat16"})
    assert set(seen) == {("cpu", "bfloat16")}


def test_the_smallest_images_of_a_halving_decide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def note(processor: str, *, pixels: int) -> str:
        asked.append(pixels)
        return "float32"

    monkeypatch.setattr("moonas.training.precision.fastest_precision", note)
    halving = {"rungs": [{"epochs": 1, "samples": 64, "resolution": 4}], "keep": 0.5}
    run(tmp_path / "run", 4, **{"search.halving": halving, "training.batch": 32})
    assert asked == [32 * 4 * 4]


def test_a_run_that_began_on_a_gpu_does_not_go_on_without(tmp_path: Path) -> None:
    from moonas.study.archive import Archive
    from moonas.study.workshop import COMPUTED

    study = moonas.load("digits_tiny", out=tmp_path / "run", overrides={**PROBLEM, "budget.trials": 4})
    study.run()
    archive = Archive(tmp_path / "run" / "trials.sqlite", study.encoding)
    archive.note(COMPUTED, ["cuda", "float32"])
    archive.close()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("torch.cuda.is_available", lambda: False)
        with pytest.raises(
            MoonasError,
            match="began on a GPU, and PyTorch finds none here; go on where there is one, or give another folder",
        ):
            run(tmp_path / "run", 8)
