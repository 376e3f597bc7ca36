"""A file to which an external meter writes."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from moonas.errors import MeterError, one_line
from moonas.hardware.meter.meter import Meter

HEADER = "seconds,watts"
_POLL_S = 0.1
_FEWEST = 2

Samples = npt.NDArray[np.float64]


class Recording(Meter):
    """A CSV file of seconds and watts that grows while networks run, integrated by trapezoids.

    The seconds are those of `time.time()` on the machine that runs the networks: who records on another one sets its
    clock by this one.
    """

    scope = "external"

    def __init__(
        self,
        path: Path,
        *,
        patience_s: float = 10.0,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ):
        """Look at the file.

        Args:
            path: of the file; its first line may be `seconds,watts`.
            patience_s: so long a row may take to reach the file, in seconds.
            clock: by which the rows are dated.
            sleep: waits so many seconds.

        Raises:
            MeterError: if it is no recording.
        """
        self.method = f"recording {path.name}"
        self._path, self._patience_s, self._clock, self._sleep = path, patience_s, clock, sleep
        seconds, _ = self._read()
        if len(seconds) < _FEWEST:
            raise MeterError(f"{path} holds {len(seconds)} rows; start the recording before the search")
        self.period_s = float(np.median(np.diff(seconds)))

    def mark(self) -> float:
        """The time: what is drawn until now is read later, as waiting for it would be a part of what is measured."""
        return self._clock()

    def between(self, start: float, end: float) -> float:
        """Joules between two times; waits until there is a row of the later one.

        Raises:
            MeterError: if none comes.
        """
        return self._joules_until(end) - self._joules_until(start)

    def joules(self) -> float:
        """Joules from the first row to now; waits until there is a row of now, or later.

        Raises:
            MeterError: if none comes.
        """
        return self._joules_until(self._clock())

    def _joules_until(self, now: float) -> float:
        seconds, watts = self._read()
        patience_s = max(self._patience_s, 2 * self.period_s)
        while seconds[-1] < now:
            if self._clock() > now + patience_s:
                behind = f"its last row is {self._clock() - seconds[-1]:.1f} s old"
                raise MeterError(f"{self._path} does not grow: {behind}; is it still recorded, by the same clock?")
            self._sleep(_POLL_S)
            seconds, watts = self._read()
        if seconds[0] > now:
            raise MeterError(
                f"{self._path} begins {seconds[0] - now:.1f} s from now; is it recorded by the same clock?"
            )
        before = seconds < now
        steps = np.append(seconds[before], now)
        powers = np.append(watts[before], np.interp(now, seconds, watts))
        return float(np.sum(np.diff(steps) * (powers[1:] + powers[:-1]) / 2))

    def _read(self) -> tuple[Samples, Samples]:
        """The rows that are complete."""
        try:
            text = self._path.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise MeterError(f"{self._path} cannot be read: {one_line(error)}") from error
        lines = text[: text.rfind("\n") + 1].splitlines()  # the last line may be in the making
        rows = [
            self._row(i + 1, line) for i, line in enumerate(lines) if line.strip() and (i or line.strip() != HEADER)
        ]
        samples = np.array(rows, dtype=np.float64).reshape(-1, 2)
        if not np.all(np.diff(samples[:, 0]) > 0):
            raise MeterError(f"{self._path}: its seconds must grow from row to row")
        return samples[:, 0], samples[:, 1]

    def _row(self, number: int, line: str) -> tuple[float, float]:
        try:
            seconds, watts = map(float, line.split(","))
        except ValueError as error:
            raise MeterError(f"{self._path}, line {number}: must be {HEADER}, is {line[:60]!r}") from error
        if not np.isfinite([seconds, watts]).all():
            raise MeterError(f"{self._path}, line {number}: must be finite numbers, is {line[:60]!r}")
        return seconds, watts
