"""The numbers of trials: their places on the path of a search."""

from __future__ import annotations

from collections.abc import Iterable

from moonas.problem.trial import Trial


class Numbering:
    """Numbers architectures as a search comes to them.

    Numbers follow the path, not the clock: an interrupted search gives each architecture the number that it would have
    had without the interruption.
    """

    def __init__(self, taken: Iterable[int]):
        """Take the numbers of all trials that there are."""
        self._taken, self._walked = set(taken), set[str]()

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
        self._walked.add(key)
        return number

    def take_back(self, key: str, number: int) -> None:
        """Let an architecture that became no trial have no number."""
        self._taken.discard(number)
        self._walked.discard(key)
