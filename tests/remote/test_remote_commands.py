"""`moonas profile bundle`, `import`, `--ssh` and `--adb`, as typed."""

from __future__ import annotations

from pathlib import Path

import pytest
from boards import ENCODING, Board
from typer.testing import CliRunner

from moonas.cli import app

OPTIONS = ["--encoding", "few.yaml", "--input", "1x8x8", "--classes", "3", "--rounds", "2", "--round-ms", "0.01"]


@pytest.fixture
def few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "few.yaml").write_text(ENCODING)
    return tmp_path


def moonas(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["profile", *arguments])
    return result.exit_code, result.output


def test_a_bundle_is_written_with_what_to_do_next(few: Path) -> None:
    code, said = moonas("bundle", "board", *OPTIONS)
    assert code == 0, said
    assert "On the device: unzip board.zip measure.py && python3 measure.py board.zip" in said
    assert (few / "board.zip").exists()


def test_results_are_imported_by_a_command(few: Path, measured: Path) -> None:
    code, said = moonas("import", str(measured), "--name", "mine")
    assert code == 0, said
    assert "On 20 other networks: mean error" in said
    assert "search with --set device=mine" in said
    assert (few / "hw_profiles" / "mine.yaml").exists()


def test_a_profile_is_measured_over_ssh_by_a_command(few: Path, board: Board) -> None:
    code, said = moonas("board", *OPTIONS, "--ssh", "pi@board")
    assert code == 0, said
    assert "search with --set device=board" in said
    assert board.asked[0].startswith("ssh pi@board python3 -c")
    assert (few / "hw_profiles" / "board.csv").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--ssh", "a", "--adb", "b"], "moonas: --ssh and --adb name two devices; give one of them"),
        (["--ssh", "nowhere"], "moonas: nowhere cannot be reached: ssh: connect to host nowhere port 22: "),
        (["--ssh", "pi@board", "--runtime", "torch"], "moonas: a bundle is measured with ONNX Runtime; "),
    ],
)
def test_mistakes_are_told_in_one_sentence(few: Path, board: Board, options: list[str], words: str) -> None:
    code, said = moonas("board", *OPTIONS, *options)
    assert code == 2
    assert said.startswith(words)
    assert len(said.splitlines()) == 1
    assert board.files == []


def test_results_that_are_missing_are_named(few: Path) -> None:
    assert moonas("import", "nowhere.json") == (2, "moonas: nowhere.json: cannot be read: No such file or directory\n")
