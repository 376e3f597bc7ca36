"""Devices that are reached by programs of this system: ssh and scp, or adb."""

from __future__ import annotations

import shlex
import subprocess
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from moonas.errors import MoonasError

_INSTALL = {
    "ssh": "install OpenSSH's client",
    "scp": "install OpenSSH's client",
    "adb": "install the platform-tools of Android's SDK",
}
_NOT_FOUND, _NO_CONNECTION, _INTERRUPTED = 127, 255, 130
_NEEDED = "import sys, numpy, onnxruntime; sys.exit(0 if sys.version_info >= (3, 8) else 'Python is older than 3.8')"
_INSTALL_THERE = (
    "install Python 3.8 or newer with numpy and onnxruntime there, in a venv where pip refuses, and name it by --python"
)


@dataclass(frozen=True)
class Target:
    """A device, and the commands that reach it.

    Attributes:
        name: as the user gives it.
        shell: the command to which a line for the device's shell is added.
        copy: the command to which source and target of a copy are added, to the device; and from it.
        place: what stands before a path of the device in a copy.
        folder: the folder of the device in which ours are made; the device's own choice if empty.
        python: the interpreter there.
    """

    name: str
    shell: tuple[str, ...]
    copy: tuple[tuple[str, ...], tuple[str, ...]]
    place: str
    folder: str
    python: str

    def path(self, *parts: str) -> str:
        """A path there."""
        return "/".join(filter(None, (self.folder, *parts)))

    def check(self) -> None:
        """Make sure that the device is there, and has what is needed.

        Raises:
            MoonasError: if not; it says what to install.
        """
        code, said = _run([*self.shell, shlex.join([self.python, "-c", _NEEDED])])
        if code == _NOT_FOUND:
            raise MoonasError(f"{self.name} has no {self.python}; {_INSTALL_THERE}")
        if "ModuleNotFoundError" in said or "older than" in said:
            what = f"{self.python} of {self.name} is not enough ({_last_line(said)})"
            raise MoonasError(f"{what}; {_INSTALL_THERE}")
        self._refuse(code, said)

    def run(self, *command: str, progress: Callable[[str], None] = lambda line: None) -> None:
        """Run a command there, and tell what it says.

        Raises:
            MoonasError: if it fails.
        """
        code, said = _run([*self.shell, shlex.join(command)], progress)
        self._refuse(code, said)

    def push(self, source: Path, target: str) -> None:
        """Copy a file there."""
        self._refuse(*_run([*self.copy[0], str(source.resolve()), self.place + target]))

    def pull(self, source: str, target: Path) -> None:
        """Copy a file here."""
        self._refuse(*_run([*self.copy[1], self.place + source, str(target.resolve())]))

    def _refuse(self, code: int, said: str) -> None:
        program = self.shell[0]
        if code == _INTERRUPTED:
            raise KeyboardInterrupt
        if code == _NO_CONNECTION and program == "ssh":
            raise MoonasError(f"{self.name} cannot be reached: {_last_line(said)}")
        if code:
            raise MoonasError(f"{self.name}: {_last_line(said)} ({program} ended with {code})")


def over_ssh(host: str, *, python: str = "python3") -> Target:
    """A device that ssh reaches.

    Args:
        host: as ssh takes it: a name of its configuration, or user@host.
        python: the interpreter there; a relative path begins in the user's home.

    Raises:
        MoonasError: if ssh would take it for something else.
    """
    _check(host, "--ssh", "a host, as pi@192.168.0.7")
    copy = ("scp", "-q")
    return Target(host, ("ssh", host), (copy, copy), f"{host}:", "", python)


def over_adb(serial: str, *, python: str = "python3") -> Target:
    """A device that adb reaches; it must have a Python that adb's user may run.

    Raises:
        MoonasError: if adb would take the serial number for something else.
    """
    _check(serial, "--adb", "a serial number, as adb devices lists them")
    adb = ("adb", "-s", serial)
    return Target(serial, (*adb, "shell"), ((*adb, "push"), (*adb, "pull")), "", "/data/local/tmp", python)


def _check(name: str, option: str, what: str) -> None:
    if not name or name.startswith("-") or not name.isprintable() or " " in name:
        raise MoonasError(f"{option} {name}: must be {what}")


def _run(command: Sequence[str], progress: Callable[[str], None] = lambda line: None) -> tuple[int, str]:
    """Run a program of this system; its exit code, and the last of what it said.

    Its input stays open until it ends. So what it runs on a device can see when it is gone.
    """
    pipe, errors_too = subprocess.PIPE, subprocess.STDOUT
    said: deque[str] = deque(maxlen=20)
    try:
        process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=errors_too, text=True, encoding="utf-8", errors="replace"
        )
    except FileNotFoundError as error:
        raise MoonasError(f"{command[0]} is not on the PATH; {_INSTALL[command[0]]}") from error
    except OSError as error:
        raise MoonasError(f"{command[0]} cannot be run: {error.strerror}") from error
    with process:
        try:
            for line in process.stdout or ():
                said.append(line.strip())
                progress(line.strip())
        except KeyboardInterrupt:
            process.terminate()
            raise
    return process.returncode, "\n".join(said)


def _last_line(said: str) -> str:
    return next((line for line in reversed(said.splitlines()) if line), "it says nothing")
