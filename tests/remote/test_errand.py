"""A profile is measured on a device at the end of ssh or adb, and nothing is left there."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from boards import ALONE, UNTIL_FIRST, Board, planned

from moonas.errors import MoonasError
from moonas.profiling import Profiling
from moonas.remote import errand
from moonas.remote.bundle import Bundle
from moonas.remote.errand import measure_there
from moonas.remote.target import Target, over_adb, over_ssh


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bundle: Bundle) -> Profiling:
    """A profile whose bundle is ready; that of the command in test_remote_commands.py is not."""

    def copied(profiling: Profiling, path: Path, progress: object) -> Bundle:
        shutil.copy(bundle.path, path)
        return replace(bundle, path=path)

    monkeypatch.setattr(errand, "write_bundle", copied)
    return planned(tmp_path, "my board")


@pytest.mark.parametrize("target", [over_ssh("pi@board"), over_adb("0123")], ids=["ssh", "adb"])
def test_a_profile_is_measured_there_and_nothing_is_left(board: Board, made: Profiling, target: Target) -> None:
    (board.home / "data" / "local" / "tmp").mkdir(parents=True)
    lines: list[str] = []
    found = measure_there(made, target, lines.append)
    assert made.path.exists()
    assert made.table_path.exists()
    assert found.validation is not None
    assert found.validation.networks == 20
    assert board.files == []
    assert [path.name for path in board.home.glob("moonas-*")] == []
    assert any("3 of 3 groups measured" in line for line in lines)


def test_what_was_interrupted_goes_on_in_the_folder_that_it_left(board: Board, made: Profiling) -> None:
    board.python(UNTIL_FIRST_OR_CHECK)
    with pytest.raises(MoonasError, match="pi@board cannot be reached: "):
        measure_there(made, over_ssh("pi@board"))
    assert not made.path.exists()
    (folder,) = board.home.glob("moonas-my-board-*")
    assert sorted(path.name for path in folder.iterdir()) == ["bundle.zip", "measure.py", "results.json"]
    board.python(ALONE)
    lines: list[str] = []
    measure_there(made, over_ssh("pi@board"), lines.append)
    assert [line.split(" groups")[0] for line in lines if "groups measured" in line] == ["2 of 3", "3 of 3"]
    assert board.files == []


UNTIL_FIRST_OR_CHECK = "import sys\nif sys.argv[1] != '-c':\n" + "\n".join(
    f"    {line}" for line in UNTIL_FIRST.splitlines()
)


def test_a_profile_that_is_there_is_not_measured_again(board: Board, made: Profiling) -> None:
    made.path.parent.mkdir()
    made.table_path.touch()
    with pytest.raises(MoonasError, match=r"my board\.csv is there already; choose another name, or remove it"):
        measure_there(made, over_ssh("pi@board"))
    assert board.asked == []


def test_a_failure_there_is_told_and_the_folder_is_kept(board: Board, made: Profiling) -> None:
    board.python(ALONE.replace("runpy.run_path(", "sys.exit('measure.py: the disk is full') or runpy.run_path("))
    with pytest.raises(MoonasError, match=r"pi@board: measure\.py: the disk is full \(ssh ended with 1\)"):
        measure_there(made, over_ssh("pi@board"))
    assert len(list(board.home.glob("moonas-my-board-*"))) == 1


def test_nothing_is_begun_where_something_is_missing(board: Board, made: Profiling) -> None:
    board.python(ALONE.replace(', "onnxruntime"', ""))
    with pytest.raises(MoonasError, match="No module named 'onnxruntime'"):
        measure_there(made, over_ssh("pi@board"))
    assert board.files == []
    assert len(board.asked) == 1
