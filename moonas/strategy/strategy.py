"""The abstraction of a search strategy."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import numpy as np

from moonas.encoding.encoding import Encoding, Genotype
from moonas.problem.objective import Constraint, Objective
from moonas.problem.trial import Trial

_TRIES = 50


class Strategy(ABC):
    """Proposes genotypes and learns from trials.

    A strategy is deterministic in its seed and the trials it was told: that is what makes a search resumable by running
    it again. It draws random numbers from `self.random` only, and proposes canonical genotypes it has not proposed yet.
    Options of a problem file reach it as keyword arguments.
    """

    def __init__(
        self,
        *,
        encoding: Encoding,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint] = (),
        population: int = 24,
        seed: int = 0,
    ):
        """Take what is sought and where.

        Args:
            encoding: the search space.
            objectives: what to optimise.
            constraints: what to keep.
            population: how many genotypes are asked for at a time.
            seed: of all random choices.
        """
        self.encoding = encoding
        self.objectives = tuple(objectives)
        self.constraints = tuple(constraints)
        self.population = population
        self.random = np.random.default_rng(seed)
        self._proposed: set[Genotype] = set()
        self._walk = np.ndindex(*encoding.sizes)

    @abstractmethod
    def ask(self, count: int) -> list[Genotype]:
        """Propose up to `count` genotypes; none when there is nothing left to propose."""

    @abstractmethod
    def tell(self, trials: Sequence[Trial]) -> None:
        """Learn from any part of what was asked, in any order."""

    def propose_new(self, draw: Callable[[], Genotype]) -> Genotype | None:
        """Draw until a canonical genotype comes that was not proposed before; None after many tries."""
        for _ in range(_TRIES):
            genotype = self.encoding.canonical(draw())
            if genotype not in self._proposed:
                self._proposed.add(genotype)
                return genotype
        return None

    def propose_random(self) -> Genotype | None:
        """A random genotype not proposed before; None when the space is (nearly) exhausted.

        After many unlucky draws a small space is walked through, so that nothing in it is missed.
        """
        genotype = self.propose_new(lambda: self.encoding.sample(self.random))
        if genotype is None and float(np.prod(self.encoding.sizes, dtype=float)) <= 1e5:
            return self._first_missing()
        return genotype

    def _first_missing(self) -> Genotype | None:
        """The next genotype of a walk through the whole space that was not proposed before."""
        for index in self._walk:
            genotype = self.encoding.canonical(tuple(int(i) for i in index))
            if genotype not in self._proposed:
                self._proposed.add(genotype)
                return genotype
        return None
