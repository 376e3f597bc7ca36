"""The abstraction of a meter: joules that only grow."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal, Self

Scope = Literal["board", "package", "module", "external"]
"""What a meter sees: a whole board, the package of a CPU, a module without its carrier, what its owner knows."""
_PERIODS = 50


class Meter(ABC):
    """Counts the joules of all that it sees, whoever spends them: a measurement wants the machine for itself.

    What it needs of the system (a driver, a thread) it holds while it is entered, as `with meter:`. Otherwise it is
    plain values, so it travels to workers.

    Attributes:
        scope: what it sees.
        method: how it measures, in a few words.
        period_s: after so many seconds it has a new reading.
    """

    scope: Scope
    method: str
    period_s: float

    @property
    def shortest_window_s(self) -> float:
        """The shortest time to measure over, in seconds: then the readings at its ends are 2 percent off at most."""
        return _PERIODS * self.period_s

    @abstractmethod
    def joules(self) -> float:
        """Joules since some moment before; only differences mean something.

        Raises:
            MeterError: if the meter cannot be read.
        """

    def mark(self) -> float:
        """Mark this moment, at once: what `between` takes.

        Raises:
            MeterError: if the meter cannot be read.
        """
        return self.joules()

    def between(self, start: float, end: float) -> float:
        """Joules between two marks; it may have to wait until they are known.

        Raises:
            MeterError: if they do not become known.
        """
        return end - start

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:  # noqa: B027  # most hold nothing
        """Let go of what was held."""
