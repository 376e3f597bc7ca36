"""Every error that moonas raises on purpose: one clear sentence each, and the exit code that it means."""

from __future__ import annotations

import difflib
import sysconfig
import traceback
from collections.abc import Iterable
from pathlib import Path


class MoonasError(Exception):
    """The root of all errors that a user of moonas may want to catch."""

    exit_code = 2


class UnknownNameError(MoonasError):
    """A name that nothing goes by. The message lists what exists and the nearest match."""

    def __init__(self, kind: str, name: str, known: Iterable[str], hint: str = "", what: str = ""):
        super().__init__(kind, name, tuple(known), hint, what)  # the arguments, for the way between processes

    def __str__(self) -> str:
        kind, name, known, hint, what = self.args
        what = what or f"unknown {kind} '{name}'"
        return f"{what}; {choose_from(name, known, hint)}"


class SpecError(MoonasError):
    """What the user wrote is wrong: *file, line, field: what; what is right*. One line for each mistake."""


class EncodingError(MoonasError):
    """A genotype, or the architecture it stands for, makes no sense for its encoding or its task."""


class StrategyError(MoonasError):
    """A strategy raises, or asks for what is no genotype."""


class DataError(MoonasError):
    """The data set cannot serve: missing, malformed, of one class, too small to be split."""


class MeterError(MoonasError):
    """Energy cannot be measured: there is no meter, or it tells nothing that can be used."""


class NoMeterError(MeterError):
    """There is no such meter on this machine, and nothing that its user could do about it."""


class RunFolderError(MoonasError):
    """The run folder is held by another process, belongs to another problem, or cannot be written."""


class SearchFailedError(MoonasError):
    """Not one candidate of the first generation could be evaluated: the problem is at fault, not the networks."""


class CandidateError(MoonasError):
    """One candidate cannot be evaluated; recorded as the reason of a failed trial, never fatal to a search.

    Attributes:
        seconds: that were spent on it before.
    """

    seconds: float = 0.0


class TimeLimitError(CandidateError):
    """A candidate took longer than its time limit and was stopped."""


class WorkerLostError(CandidateError):
    """The worker process of a candidate died: killed, out of memory, or crashed."""


class WorkerStartError(MoonasError):
    """No worker process can be started: the machine or the problem is at fault, and no candidate."""


def choose_from(name: str, known: Iterable[str], hint: str = "", *, limit: int = 30) -> str:
    """Word what may be chosen instead of `name`: all there is, the `hint` at another way, the nearest match last."""
    names = sorted(known)
    more = f", … ({len(names)} in all)" if len(names) > limit else ""
    listing = f"choose from {', '.join(names[:limit])}{more}" if names else "there is none"
    return f"{listing}{hint}{did_you_mean(name, names)}"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Ask for the one of `known` that is nearest to `name`, if any is near."""
    folded = {each.casefold(): each for each in known}
    near = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.6)
    return f"; did you mean '{folded[near[0]]}'?" if near else ""


def place_in_users_code(error: BaseException) -> str:
    """Where in the user's own code an error was raised, as ` (my_metrics.py:7, in activation_mb)`; else nothing."""
    if isinstance(error, MoonasError):  # speaks for itself
        return ""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not frame.filename.startswith(_NOT_THE_USERS)]
    return f" ({Path(own[-1].filename).name}:{own[-1].lineno}, in {own[-1].name})" if own else ""


_LIBRARIES = (sysconfig.get_path(kind) for kind in ("stdlib", "purelib", "platlib"))
_NOT_THE_USERS = (str(Path(__file__).parent), *_LIBRARIES, "<frozen")


def one_line(error: BaseException, *, limit: int = 300) -> str:
    """Render an exception as `Type: message` on one line of at most `limit` characters."""
    text = " ".join(str(error).split())
    if not isinstance(error, MoonasError) or not text:
        text = f"{type(error).__name__}: {text}" if text else type(error).__name__
    text = text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")  # what files and terminals can hold
    return text if len(text) <= limit else text[: limit - 1] + "…"
