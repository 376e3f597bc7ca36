"""A search space with few kernels, and devices that are folders of this machine."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from moonas.network.architecture import Task
from moonas.profiling import Profiling, plan

ENCODING = """
family: staged_cnn
stem: {width: 4, kernel: 3, stride: 2}
stages:
  - {block: [plain, residual], depth: [1, 2, 3, 4, 5, 6, 7], width: [4, 8], kernel: 3, stride: 2}
"""
ALONE = """
import runpy, sys

class Refused:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in {*sys.stdlib_module_names, "numpy", "onnxruntime"}:
            raise ModuleNotFoundError(f"No module named {name!r}")

sys.meta_path.insert(0, Refused())
sys.argv = sys.argv[1:]
if sys.argv[0] == "-c":
    exec(sys.argv[1])
else:
    runpy.run_path(sys.argv[0], run_name="__main__")
"""
"""Runs a program as where there is nothing but numpy and onnxruntime."""
UNTIL_FIRST = """
import importlib.util, os, sys

sys.argv = sys.argv[1:]
spec = importlib.util.spec_from_file_location("measure", sys.argv[0])
program = importlib.util.module_from_spec(spec)
spec.loader.exec_module(program)
save = program.save

def save_and_die(path, results):
    save(path, results)
    os._exit(255)

program.save = save_and_die
program.main()
"""
"""Runs measure.py until its first results are saved, and kills it."""


def planned(folder: Path, name: str = "board", rounds: int = 2) -> Profiling:
    path = folder / "few.yaml"
    path.write_text(ENCODING)
    changes = {"rounds": rounds, "round_ms": 0.01}
    return plan(name, str(path), Task((1, 8, 8), 3), changes=changes, folder=folder / "hw_profiles")


def run_script(*arguments: Any, within: str = ALONE, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", within, *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120, check=False)


@dataclass(frozen=True)
class Board:
    """A device that is a folder: stand-ins for ssh, scp and adb run here what they are to run there.

    Attributes:
        home: what is on it.
        log: what the stand-ins were asked.
    """

    home: Path
    log: Path

    @property
    def asked(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []

    @property
    def files(self) -> list[str]:
        """What is left, but for its programs."""
        found = (path.relative_to(self.home) for path in self.home.rglob("*") if not path.is_dir())
        return sorted(str(path) for path in found if path.parts[0] != "bin")

    def python(self, code: str) -> None:
        """Have `python3` run a program by way of another."""
        self.script("python3", f'exec {sys.executable} -c "$PROGRAM" "$@"', PROGRAM=code)

    def script(self, name: str, *lines: str, **variables: str) -> None:
        path = self.home / "bin" / name
        given = [f"{key}=$(cat <<'END'\n{value}\nEND\n)" for key, value in variables.items()]
        path.write_text("\n".join(["#!/bin/sh", *given, *lines]) + "\n")
        path.chmod(0o755)


SSH = """
echo "ssh $*" >> {log}
host=$1; shift
if [ "$host" = nowhere ]; then
  echo "ssh: connect to host nowhere port 22: Connection refused" >&2
  exit 255
fi
cd {home} && PATH={home}/bin exec sh -c "$*"
"""
SCP = """
echo "scp $*" >> {log}
shift
there() {{ case $1 in *:*) echo "{home}/${{1#*:}}" ;; *) echo "$1" ;; esac; }}
cp "$(there "$1")" "$(there "$2")"
"""
ADB = """
echo "adb $*" >> {log}
if [ "$2" != 0123 ]; then echo "error: device '$2' not found" >&2; exit 1; fi
shift 2; what=$1; shift
case $what in
  shell) PATH={home}/bin exec sh -c "$(echo "$*" | sed 's#/data/#{home}/data/#g')" ;;
  push) cp "$1" "{home}$2" ;;
  pull) cp "{home}$1" "$2" ;;
esac
"""
