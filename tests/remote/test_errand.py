"""A profile is measured on a device at the end of ssh or adb, and nothing is left there."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from boards import ALONE, UNTIL_FIRST, Board, planned

from moonas.errors import MoonasError
from moonas.profiling import Profiling
from moonas.remote import errand, imported
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
    errand = measure_there(made, target, lines.append)
    found = errand.profile
    assert errand.left == ""
    assert made.path.exists()
    assert made.table_path.exists()
    assert found.validation is not None
    assert found.validation.networks == 20
    assert board.files == []
    assert [path.name for path in board.home.glob("moonas-*")] == []
    assert any("3 of 3 groups measured" in line for line in lines)


def test_what_was_interrupted_goes_on_in_the_folder_that_it_left(board: Board, made: Profiling) -> None:
    board.python(UNTIL_FIRST_OR_CHECK)
    with pytest.raises(MoonasError, match="pi@board cannot be reached: ") as told:
        measure_there(made, over_ssh("pi@board"))
    assert not made.path.exists()
    (folder,) = board.home.glob("moonas-my-board-*")
    assert str(told.value).endswith(
        f"; the folder {folder.name} of pi@board is kept, and the same command goes on with it"
    )
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
    made.path.touch()
    with pytest.raises(
        MoonasError, match=r"my board\.yaml is there already; choose another name, or remove it and its"
    ):
        measure_there(made, over_ssh("pi@board"))
    assert board.asked == []


@pytest.mark.parametrize("step", ["copied there", "copied here"])
def test_a_copy_that_fails_is_made_again_by_the_same_command(board: Board, made: Profiling, step: str) -> None:
    program = board.log.parent / "programs" / "scp"
    whole = program.read_text()
    full = {"copied there": "bundle.zip", "copied here": "results.json"}[step]
    program.write_text(
        whole.replace("shift\n", f"case $2 in *{full}) echo 'scp: No space left' >&2; exit 1;; esac\nshift\n")
    )
    with pytest.raises(MoonasError, match=r"scp: No space left .*; the folder moonas-my-board-.* of pi@board is kept"):
        measure_there(made, over_ssh("pi@board"))
    assert not made.path.exists()
    program.write_text(whole)
    lines: list[str] = []
    assert measure_there(made, over_ssh("pi@board"), lines.append).left == ""
    assert sum("groups measured" in line for line in lines) == (3 if step == "copied there" else 0)
    assert board.files == []


@pytest.mark.parametrize("wrong", ["proof", "files"])
def test_what_cannot_become_a_profile_is_kept_there_until_it_can(
    board: Board, made: Profiling, wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MoonasError("it failed")

    with monkeypatch.context() as patch:
        patch.setattr(imported, {"proof": "proved", "files": "write_profile"}[wrong], fail)
        with pytest.raises(MoonasError, match=r"^it failed; the folder moonas-my-board-.* of pi@board is kept"):
            measure_there(made, over_ssh("pi@board"))
    assert not made.path.exists()
    assert "my-board" in board.files[0]
    lines: list[str] = []
    assert measure_there(made, over_ssh("pi@board"), lines.append).profile.validation is not None
    assert not any("groups measured" in line for line in lines)
    assert made.table_path.exists()
    assert board.files == []


def test_results_of_another_bundle_are_refused(board: Board, made: Profiling, monkeypatch: pytest.MonkeyPatch) -> None:
    real = imported.read_results

    def others(path: Path) -> Any:
        found = real(path)
        return found.model_copy(update={"manifest": found.manifest.model_copy(update={"seed": 7})})

    monkeypatch.setattr(imported, "read_results", others)
    with pytest.raises(
        MoonasError, match=r"results\.json holds the results of another bundle; the folder .* of pi@board is kept"
    ):
        measure_there(made, over_ssh("pi@board"))
    assert not made.path.exists()


def test_an_interruption_says_where_the_results_are(
    board: Board, made: Profiling, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(imported, "proved", stop)
    with pytest.raises(KeyboardInterrupt, match=r"^in the folder moonas-my-board-.* of pi@board$"):
        measure_there(made, over_ssh("pi@board"))


def test_a_folder_that_cannot_be_removed_is_named_and_the_profile_is_there(board: Board, made: Profiling) -> None:
    (board.home / "bin" / "rm").unlink()
    board.script("rm", "echo 'rm: read-only' >&2", "exit 1")
    errand = measure_there(made, over_ssh("pi@board"))
    (folder,) = board.home.glob("moonas-my-board-*")
    why = "pi@board: rm: read-only (ssh ended with 1)"
    assert errand.left == f"The folder {folder.name} is left on the device, and can be removed ({why})."
    assert made.path.exists()
    assert errand.profile.validation is not None


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
