"""What reaches a device: the commands, safely quoted, and one sentence for each way to fail."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from boards import ALONE, Board

from moonas.errors import MoonasError
from moonas.remote.target import over_adb, over_ssh


def test_words_arrive_as_they_are(board: Board) -> None:
    said: list[str] = []
    board.script("say", 'for each in "$@"; do echo "<$each>"; done')
    words = ("two words", "$HOME", "a;rm -r b", "it's", '"', "*")
    over_ssh("pi@board").run("say", *words, progress=said.append)
    assert said == [f"<{word}>" for word in words]


def test_files_go_there_and_back(board: Board, tmp_path: Path) -> None:
    (board.home / "data" / "local" / "tmp").mkdir(parents=True)
    source = tmp_path / "one file"
    source.write_text("content")
    for target in (over_ssh("pi@board"), over_adb("0123")):
        target.push(source, target.path("there"))
        target.pull(target.path("there"), tmp_path / "back")
        assert (tmp_path / "back").read_text() == "content"
        (tmp_path / "back").unlink()
    assert board.files == ["data/local/tmp/there", "there"]


def test_a_device_with_all_that_is_needed_passes(board: Board) -> None:
    over_ssh("pi@board").check()
    over_adb("0123").check()


@pytest.mark.parametrize("package", ["numpy", "onnxruntime"])
def test_a_missing_package_is_named_with_what_to_install(board: Board, package: str) -> None:
    board.python(ALONE.replace(f', "{package}"', ""))
    with pytest.raises(MoonasError) as caught:
        over_ssh("pi@board").check()
    assert str(caught.value) == (
        f"python3 of pi@board is not enough (ModuleNotFoundError: No module named '{package}'); install Python 3.8 or "
        "newer with numpy and onnxruntime there, in a venv where pip refuses, and name it by --python"
    )


def test_an_old_python_is_refused(board: Board) -> None:
    board.python("import sys\nsys.version_info = (3, 7, 17)\nexec(sys.argv[2])")
    with pytest.raises(MoonasError, match=r"python3 of pi@board is not enough \(Python is older than 3.8\)"):
        over_ssh("pi@board").check()


@pytest.mark.parametrize("python", ["python4", "my venv/bin/python"])
def test_a_missing_interpreter_is_named(board: Board, python: str) -> None:
    with pytest.raises(MoonasError) as caught:
        over_ssh("pi@board", python=python).check()
    assert str(caught.value).startswith(f"pi@board has no {python}; install Python 3.8 or newer with numpy")


def test_another_interpreter_can_be_named(board: Board) -> None:
    board.python("raise SystemExit('wrong')")
    board.script("python9", f'exec {sys.executable} "$@"')
    over_ssh("pi@board", python="python9").check()


def test_a_host_that_cannot_be_reached_is_named_with_the_reason(board: Board) -> None:
    with pytest.raises(MoonasError) as caught:
        over_ssh("nowhere").check()
    assert str(caught.value) == ("nowhere cannot be reached: ssh: connect to host nowhere port 22: Connection refused")


def test_an_unknown_serial_number_is_told_as_adb_does(board: Board) -> None:
    with pytest.raises(MoonasError) as caught:
        over_adb("9999").check()
    assert str(caught.value) == "9999: error: device '9999' not found (adb ended with 1)"


def test_a_command_that_fails_tells_its_last_words_and_its_exit_code(board: Board) -> None:
    board.script("fail", "echo first", "echo why it failed >&2", "exit 7")
    with pytest.raises(MoonasError) as caught:
        over_ssh("pi@board").run("fail")
    assert str(caught.value) == "pi@board: why it failed (ssh ended with 7)"


def test_a_command_that_was_interrupted_there_is_interrupted_here(board: Board) -> None:
    board.script("stop", "exit 130")
    with pytest.raises(KeyboardInterrupt):
        over_ssh("pi@board").run("stop")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("ssh", "ssh is not on the PATH; install OpenSSH's client"),
        ("adb", "adb is not on the PATH; install the platform-tools of Android's SDK"),
    ],
)
def test_a_program_that_is_missing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, words: str
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    target = over_ssh("pi@board") if name == "ssh" else over_adb("0123")
    with pytest.raises(MoonasError) as caught:
        target.check()
    assert str(caught.value) == words


@pytest.mark.parametrize("name", ["", "-oProxyCommand=rm", "pi@board rm", "pi\n@board"])
def test_what_is_no_name_of_a_device_is_refused(name: str) -> None:
    with pytest.raises(MoonasError, match="must be a host, as pi@192"):
        over_ssh(name)
    with pytest.raises(MoonasError, match="must be a serial number"):
        over_adb(name)
