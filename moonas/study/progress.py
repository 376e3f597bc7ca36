"""How far a search is, and ways to show it."""

from __future__ import annotations

import math
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol, TextIO

from moonas.report.table import number


@dataclass(frozen=True)
class Snapshot:
    """A search at one moment.

    Attributes:
        trials: told so far.
        total: trials of the budget.
        failed: of those told.
        best_metric: the first objective.
        best: its best value so far; None before the first.
        hypervolume: share of the box that is dominated; see `moonas.report.hypervolume`. NaN before the box is known.
        front: networks on the front.
        elapsed: seconds of this run.
        left: seconds to go at the pace of this run; None before its first generation.
        trained: how many trainings at the rungs of a halving this run took.
        scored: networks by a screening.
        kept: of these, for the generations.
    """

    trials: int
    total: int
    failed: int
    best_metric: str
    best: float | None
    hypervolume: float
    front: int
    elapsed: float
    left: float | None
    trained: int = 0
    scored: int = 0
    kept: int = 0

    def line(self, width: int | None = None) -> str:
        """All of it on one line; on a narrow one what matters least is left out."""
        best = "-" if self.best is None else number(self.best)
        share = "-" if math.isnan(self.hypervolume) else f"{self.hypervolume:.4f}"
        parts = {
            "trials": f"trials {self.trials}/{self.total}",
            "failed": f"failed {self.failed}" if self.failed else "",
            "trained": f"trainings {self.trained}" if self.trained else "",
            "screening": f"screening kept {self.kept} of {self.scored}" if self.scored else "",
            "best": f"best {self.best_metric} {best}",
            "hypervolume": f"hypervolume {share}",
            "front": f"front {self.front}",
            "elapsed": f"elapsed {duration(self.elapsed)}",
            "left": "" if self.left is None else f"left {duration(self.left)}",
        }
        for least in ("", "screening", "trained", "elapsed", "front", "hypervolume", "failed", "left", "best"):
            parts.pop(least, None)
            line = "  ".join(part for part in parts.values() if part)
            if width is None or len(line) <= width:
                break
        return line[:width]

    def __str__(self) -> str:
        return self.line()


@dataclass(frozen=True)
class Tally:
    """How many of so many networks are done, in one step of a longer work.

    Attributes:
        what: the step.
        done: networks, those known before included.
        total: networks of the step.
        elapsed: seconds of the step.
        left: seconds to go at the pace so far; None before the first.
    """

    what: str
    done: int
    total: int
    elapsed: float
    left: float | None

    def line(self, width: int | None = None) -> str:
        """All of it on one line."""
        left = "" if self.left is None else f"  left {duration(self.left)}"
        return f"{self.what} {self.done}/{self.total}  elapsed {duration(self.elapsed)}{left}"[:width]


class State(Protocol):
    """What a progress line can show."""

    def line(self, width: int | None = None) -> str:
        """All of it on one line; on a narrow one what matters least is left out."""


Listener = Callable[[Snapshot], None]
"""Takes the state of a search after each trial, and after each training and score that leads to one."""


class ProgressLine:
    """One line that renews itself in a terminal; elsewhere a new line every so many seconds."""

    def __init__(self, stream: TextIO | None = None, *, every: float = 10.0):
        """Write to `stream`, or standard error; where that is no terminal, at most one line in `every` seconds."""
        self._stream = sys.stderr if stream is None else stream
        self._live = self._stream.isatty()
        self._pause = 0.1 if self._live else every
        self._written_at = -math.inf
        self._latest: State | None = None

    def __call__(self, state: State) -> None:
        """Show it, unless the last was shown a moment ago."""
        self._latest = state
        now = time.monotonic()
        if now - self._written_at >= self._pause:
            self._written_at = now
            self._write(state)

    def __enter__(self) -> ProgressLine:
        return self

    def __exit__(self, *_: object) -> None:
        if self._latest is not None:
            self._write(self._latest)
        if self._live and self._written_at > 0:
            with suppress(OSError):
                self._stream.write("\n")
                self._stream.flush()

    def _write(self, state: State) -> None:
        self._latest = None
        with suppress(OSError):  # nobody reads any longer; the search goes on
            self._write_line(state)

    def _write_line(self, state: State) -> None:
        line = state.line(shutil.get_terminal_size().columns - 1 if self._live else None)
        self._stream.write(f"\r\x1b[2K{line}" if self._live else f"{line}\n")
        self._stream.flush()


def duration(seconds: float) -> str:
    """Seconds as a person says them: 8s, 2m05s, 1h02m."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
