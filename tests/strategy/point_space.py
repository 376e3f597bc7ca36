"""A search space for tests of strategies: its networks are points of a grid, and nothing is ever built."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from moonas.encoding.encoding import Encoding, Gene, Genotype
from moonas.network.architecture import Architecture, Task
from moonas.problem.trial import State, Trial


@dataclass(frozen=True)
class Point(Architecture):
    """A point of the grid."""

    at: Genotype

    family = f"{__name__}:Point"

    def build(self, task: Task) -> Any:
        raise NotImplementedError


class PointSpace(Encoding):
    """Every genotype is a point of its own, and canonical."""

    def __init__(self, *sizes: int, ordered: bool = True):
        self._genes = tuple(Gene(f"x{i}", tuple(range(size)), ordered) for i, size in enumerate(sizes))

    @property
    def genes(self) -> tuple[Gene, ...]:
        return self._genes

    def decode(self, genotype: Genotype) -> Point:
        self.check(genotype)
        return Point(genotype)

    def encode(self, architecture: Architecture) -> Genotype:
        assert isinstance(architecture, Point)
        return architecture.at


class FoldedSpace(PointSpace):
    """The last gene matters only where the first is not 0."""

    def decode(self, genotype: Genotype) -> Point:
        self.check(genotype)
        return Point(genotype if genotype[0] else (*genotype[:-1], 0))

    def active(self, genotype: Genotype) -> tuple[bool, ...]:
        return (*(True for _ in genotype[:-1]), genotype[0] != 0)


def make_trial(number: int, at: Genotype, state: State = "complete", **metrics: float) -> Trial:
    return Trial(number, at, Point(at), state, metrics)


class Evaluation:
    """Answers genotypes with trials, numbered in the order of asking."""

    def __init__(self, function: Callable[[Genotype], Mapping[str, float]]):
        self.function = function
        self.trials: list[Trial] = []

    def __call__(self, genotypes: Sequence[Genotype]) -> list[Trial]:
        new = [make_trial(len(self.trials) + i, g, **self.function(g)) for i, g in enumerate(genotypes)]
        self.trials += new
        return new
