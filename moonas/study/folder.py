"""The run folder: whose it is, what problem it belongs to, and files that are whole or not there."""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import filelock

from moonas.errors import MoonasError, RunFolderError
from moonas.spec.document import HEADER
from moonas.spec.family import EncodingSpec
from moonas.spec.load import load_problem, to_yaml
from moonas.spec.problem import ProblemSpec
from moonas.study.archive_file import is_archive
from moonas.study.environment import differences, environment, now
from moonas.study.handover import HANDED_OVER

_LOCK, _HOLDER, _SCRATCH = ".lock", ".holder.json", ".moonas-scratch-"
_PLACES: dict[str, bool | set[str]] = {"data": {"path"}, "table": {"path"}}
_EXTENSIBLE: dict[str, bool | set[str]] = {"budget": True, "workers": True, "name": True, **_PLACES}
"""What may differ from run to run in one folder: it changes how far a search goes, not where. Data and tables are known
by their fingerprints. So may phases, but for the one that an audit is about."""

_RESULTS = {"trials.csv", "pareto.csv", "rungs.csv", "pareto.png", "audit.csv", "agreement.csv", "audit.png"}
PROBLEM, AUDIT = "problem.yaml", "audit.yaml"
"""The problem that a folder is about, in the folder of a search and of an audit."""
_WRITTEN = {PROBLEM, AUDIT, "environment.json", *_RESULTS, *HANDED_OVER}


class RunFolder:
    """A folder that holds one search, or one audit."""

    def __init__(self, path: Path, description: str = PROBLEM):
        """Name the folder, and the file in it that says what it is about; nothing is touched yet."""
        self.path = path
        self._about = description
        self._lock = filelock.FileLock(str(path / _LOCK), blocking=False, thread_local=False)

    @property
    def archive_path(self) -> Path:
        """Where the trials are."""
        return self.path / "trials.sqlite"

    @property
    def has_archive(self) -> bool:
        """Whether there is one."""
        return os.path.isfile(self.archive_path)  # noqa: PTH113  # Path.is_file raises for a name too long

    def claim(self) -> None:
        """Take the folder for this process; make it if it is not there.

        Raises:
            RunFolderError: if it holds other things, is in use, or cannot be written.
        """
        with _plain_words(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            self._refuse_foreign()
            self._take_lock()
            for left in self._scratch_folders():  # by a process that was killed
                shutil.rmtree(left, ignore_errors=True)

    def describe(self, spec: ProblemSpec, *, begun: bool) -> None:
        """Write what the run is about: the problem and, once, environment.json.

        Args:
            spec: the problem.
            begun: whether the folder has results already.

        Raises:
            RunFolderError: if its results belong to another problem.
        """
        if begun:
            self._refuse_other_problem(spec)
        self.write(self._about, lambda path: _write_text(path, to_yaml(spec)))
        if not begun or not (self.path / "environment.json").exists():
            text = json.dumps(environment(), indent=2) + "\n"
            self.write("environment.json", lambda path: _write_text(path, text))

    def release(self) -> None:
        """Let others have the folder."""
        if self._lock.is_locked:
            (self.path / _HOLDER).unlink(missing_ok=True)
            self._lock.release()

    def write(self, name: str, writer: Callable[[Path], None]) -> None:
        """Write a file so that it is whole at any instant: the old one stays until the new one is complete.

        Args:
            name: of the file.
            writer: writes it to the path that it is given, which has the same suffix.

        Raises:
            RunFolderError: if it cannot be written.
        """
        target = self.path / name
        with (
            _plain_words(self.path),
            tempfile.TemporaryDirectory(prefix=_SCRATCH, dir=self.path) as scratch,
        ):
            draft = Path(scratch) / target.name
            writer(draft)
            draft.replace(target)

    def make_scratch(self) -> Path:
        """Make a temporary folder in here, which a later run removes if this one cannot.

        Raises:
            RunFolderError: if it cannot be made.
        """
        with _plain_words(self.path):
            return Path(tempfile.mkdtemp(prefix=_SCRATCH, dir=self.path))

    def environment_changes(self) -> list[str]:
        """How this machine and its packages differ from those on which the run began, one line each."""
        try:
            before = dict(json.loads((self.path / "environment.json").read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return []
        here = environment()
        before.pop("started", None)
        here.pop("started")
        return list(differences(before, here))

    def _refuse_foreign(self) -> None:
        """Keep out of folders that are not ours, so that no file of the user's is written over."""
        names = {child.name for child in self.path.iterdir()}
        foreign = names - {_LOCK, _HOLDER} - {left.name for left in self._scratch_folders()}
        if foreign and not self._is_ours(foreign):
            example = min(foreign)
            raise RunFolderError(
                f"{self.path} is not a run folder: it holds other files, as {example}; give a new or an empty one"
            )

    def _scratch_folders(self) -> list[Path]:
        """Our temporary folders, with nothing in them but what we put there."""
        found = [path for path in self.path.glob(f"{_SCRATCH}*") if path.is_dir()]
        return [path for path in found if {child.name for child in path.iterdir()} <= _WRITTEN]

    def _is_ours(self, names: set[str]) -> bool:
        """Whether a run made this folder; a problem.yaml that moonas has not written is the user's own."""
        if self._about == PROBLEM and is_archive(self.archive_path):
            return True
        if names == {self.archive_path.name} and self.archive_path.stat().st_size == 0:
            return True  # of a run that was killed as it began
        problem = self.path / self._about
        return problem.exists() and problem.read_text(encoding="utf-8", errors="replace").startswith(HEADER)

    def _take_lock(self) -> None:
        try:
            self._lock.acquire()
        except filelock.Timeout as error:
            raise RunFolderError(f"{self.path} is in use by {self._holder()}; wait, or give another folder") from error
        holder = {"pid": os.getpid(), "host": platform.node(), "since": now(), "command": " ".join(sys.argv)}
        (self.path / _HOLDER).write_text(json.dumps(holder), encoding="utf-8")

    def _holder(self) -> str:
        try:
            holder = json.loads((self.path / _HOLDER).read_text(encoding="utf-8"))
            return f"process {holder['pid']} on {holder['host']} since {holder['since']} ({holder['command']})"
        except (OSError, ValueError, KeyError, TypeError):
            return "another process"

    def _refuse_other_problem(self, spec: ProblemSpec) -> None:
        try:
            found = load_problem(self.path / self._about)  # with the defaults of fields that it was written before
        except MoonasError as error:
            raise RunFolderError(
                f"{self.path} holds results, but its {self._about} cannot be read, so whose they are is lost; put it "
                f"back, or give another folder: {error}"
            ) from error
        before, wanted = (comparable(each, audited=self._about == AUDIT) for each in (found, spec))
        changed = list(differences(before, wanted))
        if changed:
            listing = "".join(f"\n  {line}" for line in changed)
            raise RunFolderError(
                f"{self.path} holds a run of another problem; give another folder, or undo the difference:{listing}"
            )


def problem_of_run(problem: str | Path, out: str | Path | None) -> tuple[str | Path, str | Path | None]:
    """The problem file and the run folder that are meant; a run folder in place of a problem means its own."""
    inside = Path(problem) / PROBLEM
    if os.path.isfile(inside):  # noqa: PTH113  # Path.is_file raises for a name too long
        return inside, problem if out is None else out
    return problem, out


def comparable(spec: ProblemSpec, *, audited: bool = False) -> dict[str, Any]:
    """What of a problem decides where its search goes, or what its audit compares, as plain values."""
    phases: bool | set[str] = {"validate"} if audited else True
    plain = spec.model_dump(mode="json", exclude_none=True, exclude={**_EXTENSIBLE, "phases": phases})
    if isinstance(spec.encoding, EncodingSpec):
        del plain["encoding"]["name"]  # the file's, which may be renamed; a user's own encoding has no other identity
    if not spec.wants_energy:
        plain["device"] = {name: each for name, each in plain["device"].items() if name not in ("meter", "power")}
    for device in (plain["device"], *plain["devices"].values()):
        if "table" in device:
            device["table"] = Path(device["table"]).name  # its place may change, and it is known by its fingerprint
    return plain


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


@contextmanager
def _plain_words(path: Path) -> Iterator[None]:
    """Turn what the system refuses into one sentence about the folder."""
    try:
        yield
    except (FileExistsError, NotADirectoryError) as error:
        raise RunFolderError(f"{path} cannot be a run folder: there is a file in its place") from error
    except (OSError, ValueError) as error:  # ValueError: a path with a null character
        raise RunFolderError(f"{path} cannot be written: {getattr(error, 'strerror', None) or error}") from error
