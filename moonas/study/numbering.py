"""The numbers of trials: their places on the path of a search."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from contextlib import contextmanager

from moonas.problem.trial import Trial


class Numbering:
    """Numbers architectures as a search comes to them.

    Numbers follow the path, not the clock: an interrupted search gives each architecture the number that it would have
    had without the interruption.
    """

    def __init__(self, taken: Iterable[int]):
        """Take the numbers of all trials that there are."""
        self._taken, self._walked = set(taken), set[str]()
        self._generation: dict[str, int] = {}

    def begin_walk(self) -> None:
        """Start at the beginning of the path, where numbers count from 0."""
        self._walked = set()

    def has_met(self, key: str) -> bool:
        """Whether the walk came by an architecture."""
        return key in self._walked

    def number(self, key: str, known: Trial | None) -> int:
        """The number of an architecture, and of its trial, if it has one."""
        number = len(self._walked) if known is None else known.number
        while known is None and number in self._taken:
            number += 1
        self._taken.add(number)
        if key not in self._walked:
            self._walked.add(key)
            self._generation[key] = number
        return number

    @contextmanager
    def generation(self, trials: Container[str]) -> Iterator[None]:
        """Number a generation; interrupted, it is one that the walk has not come by yet.

        Args:
            trials: the keys of those that are trials, and so keep their numbers, by the time of an interruption.
        """
        self._generation.clear()
        try:
            yield
        except BaseException:
            self._walked -= self._generation.keys()
            self._taken -= {number for key, number in self._generation.items() if key not in trials}
            raise
