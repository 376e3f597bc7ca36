"""NSGA-II on integer genes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pymoo.operators.survival.rank_and_crowding.metrics import calc_crowding_distance
from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting

from moonas.encoding.encoding import Genotype
from moonas.errors import MoonasError
from moonas.problem.objective import minimised, total_violation
from moonas.problem.trial import State, Trial
from moonas.strategy.strategy import Strategy

_TIERS: tuple[State, ...] = ("complete", "stopped", "infeasible")
Mask = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True)
class _Member:
    """A trial in the population: feasible before stopped before infeasible; among their like, the better first.

    Infeasible ones by violation, stopped ones by the rung that they reached; then by rank, then by crowding.
    """

    trial: Trial
    violation: float
    rank: int
    crowding: float

    @property
    def order(self) -> tuple[int, float, int, int, float]:
        tier = _TIERS.index(self.trial.state)
        return (tier, self.violation, -self.trial.rung, self.rank, -self.crowding)


class NSGA2(Strategy):
    """NSGA-II (Deb et al., 2002, doi:10.1109/4235.996017), ranks and crowding by pymoo.

    Parents by binary tournament; uniform crossover; a mutation steps to a neighbour on ordered genes and draws anew on
    unordered ones, and touches active genes only; genes that become active are drawn. Offspring are canonical and new.
    Constraint violation comes before rank. Trials that a halving stopped come behind complete ones and before
    infeasible ones; failed ones never enter the population.
    """

    def __init__(self, *, crossover: float = 0.9, mutation: float | None = None, **settings: Any):
        """Set the rates.

        Args:
            crossover: probability that a child has two parents.
            mutation: probability of each active gene to mutate; 1 / (number of active genes) if not given.
            settings: as for every `Strategy`.

        Raises:
            MoonasError: if a rate is not within 0 and 1.
        """
        super().__init__(**settings)
        for name, rate in (("crossover", crossover), ("mutation", mutation)):
            number = isinstance(rate, int | float) and not isinstance(rate, bool)
            if rate is not None and not (number and 0 <= rate <= 1):
                raise MoonasError(f"{name} must be a probability from 0 to 1, is {rate}")
        self.crossover = crossover
        self.mutation = mutation
        self._members: list[_Member] = []
        self._told: dict[int, Trial] = {}  # since the last ask, by number

    def ask(self, count: int) -> list[Genotype]:
        """Breed `count` new genotypes; random ones until the first trials are told, or when breeding finds none."""
        self._select()
        genotypes: list[Genotype] = []
        for _ in range(count):
            child = self.propose_new(self._breed) if self._members else None
            child = self.propose_random() if child is None else child
            if child is None:
                break
            genotypes.append(child)
        return genotypes

    def tell(self, trials: Sequence[Trial]) -> None:
        """Remember them; who survives is decided at the next ask, so that telling in parts is telling at once."""
        self._told |= {trial.number: trial for trial in trials if trial.state != "failed"}

    def _select(self) -> None:
        """Let the best of the population and the newly told survive."""
        if self._told:
            everyone = {member.trial.number: member.trial for member in self._members} | self._told
            self._members = self._survivors([everyone[number] for number in sorted(everyone)])
            self._told.clear()

    def _survivors(self, trials: list[Trial]) -> list[_Member]:
        """Rank feasible trials by dominance and crowding, so the stopped ones of each rung; keep the best."""
        members = self._ranked([trial for trial in trials if trial.state == "complete"])
        stopped = [trial for trial in trials if trial.state == "stopped"]
        for rung in {trial.rung for trial in stopped}:
            members += self._ranked([trial for trial in stopped if trial.rung == rung])
        members += [
            _Member(trial, total_violation(self.constraints, trial.metrics), rank=0, crowding=0.0)
            for trial in trials
            if trial.state == "infeasible"
        ]
        return sorted(members, key=lambda member: member.order)[: self.population]

    def _ranked(self, trials: list[Trial]) -> list[_Member]:
        if not trials:
            return []
        values = minimised(self.objectives, [trial.metrics for trial in trials])
        members = []
        for rank, front in enumerate(NonDominatedSorting().do(values)):
            crowding = calc_crowding_distance(values[front])
            members += [
                _Member(trials[i], 0.0, rank, float(distance)) for i, distance in zip(front, crowding, strict=True)
            ]
        return members

    def _breed(self) -> Genotype:
        first, second = self._parent(), self._parent()
        meant = self._active(first)
        if self.random.random() < self.crossover:
            first, meant = self._cross(first, second)
        child = self._mutate(first)
        return self._awaken(child, self._active(child) & ~meant)

    def _cross(self, first: Genotype, second: Genotype) -> tuple[Genotype, Mask]:
        """Take each gene from either parent, but from one in which it means something, if there is one."""
        a, b = self._active(first), self._active(second)
        take = (self.random.random(len(first)) < 0.5) & a | ~b
        child = tuple(x if mine else y for x, y, mine in zip(first, second, take, strict=True))
        return child, a | b

    def _awaken(self, genotype: Genotype, woken: Mask) -> Genotype:
        """Draw genes that have come to mean something; until now they were all at their first choice."""
        drawn = self.encoding.sample(self.random) if woken.any() else genotype
        return tuple(new if wakes else old for new, old, wakes in zip(drawn, genotype, woken, strict=True))

    def _active(self, genotype: Genotype) -> Mask:
        return np.array(self.encoding.active(genotype), dtype=bool)

    def _parent(self) -> Genotype:
        rivals = self.random.integers(len(self._members), size=2)
        best: _Member = min((self._members[i] for i in rivals), key=lambda member: member.order)
        return best.trial.genotype

    def _mutate(self, genotype: Genotype) -> Genotype:
        free = np.flatnonzero(self._active(genotype) & (self.encoding.sizes > 1))
        if not len(free):
            return genotype
        rate = self.mutation if self.mutation is not None else 1 / len(free)
        mutated = list(genotype)
        for i in free[self.random.random(len(free)) < rate]:
            mutated[i] = self._another(int(i), genotype[i])
        return tuple(mutated)

    def _another(self, i: int, index: int) -> int:
        """Another choice of gene `i`: a neighbour if it is ordered, any if not."""
        last = len(self.encoding.genes[i].choices) - 1
        if self.encoding.genes[i].ordered:
            neighbours = [n for n in (index - 1, index + 1) if 0 <= n <= last]
            return neighbours[int(self.random.integers(len(neighbours)))]
        other = int(self.random.integers(last))
        return other + (other >= index)
