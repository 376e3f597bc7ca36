"""Random search: the baseline that every claim is held against."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from moonas.encoding.encoding import Genotype
from moonas.problem.trial import Trial
from moonas.strategy.strategy import Strategy


class RandomSearch(Strategy):
    """Uniform draws from the genotypes, without repeats (Bergstra & Bengio, 2012)."""

    def ask(self, count: int) -> list[Genotype]:
        """Draw `count` new genotypes, fewer when the space is exhausted."""
        drawn = iter(self.propose_random, None)
        return list(islice(drawn, count))

    def tell(self, trials: Sequence[Trial]) -> None:
        """Learn nothing."""
