"""A bundle of few kernels, its results, and a board at the end of stand-ins for ssh, scp and adb."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from boards import ADB, ALONE, SCP, SSH, Board, planned, run_script

from moonas.remote.bundle import SCRIPT, Bundle, write_bundle


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("bundle")
    return write_bundle(planned(folder), folder / "board.zip")


@pytest.fixture(scope="session")
def measured(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of the bundle, measured where there is no moonas."""
    out = tmp_path_factory.mktemp("measured") / "results.json"
    done = run_script(SCRIPT, bundle.path, "--out", out)
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture
def results(measured: Path) -> Any:
    """The same, to be changed."""
    return json.loads(measured.read_text())


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Board:
    """A board with Python, numpy and onnxruntime, at the end of ssh (any host but `nowhere`) and adb (0123)."""
    made = Board(tmp_path / "board", tmp_path / "asked")
    (made.home / "bin").mkdir(parents=True)
    for name in ("sh", "cat", "mkdir", "rm"):
        (made.home / "bin" / name).symlink_to(str(shutil.which(name)))
    made.python(ALONE)
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, text in (("ssh", SSH), ("scp", SCP), ("adb", ADB)):
        (programs / name).write_text("#!/bin/sh" + text.format(home=made.home, log=made.log))
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("PYTHONPATH", raising=False)
    return made
