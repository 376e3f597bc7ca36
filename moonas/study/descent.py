"""A network that keeps limits which none drawn at random does: looked for from the nearest ones, gene by gene."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence

from moonas.encoding.encoding import Encoding, Genotype
from moonas.problem.objective import Constraint, total_violation
from moonas.problem.trial import Trial


class Descent:
    """Coordinate descent on the violation of limits.

    It tries every other choice of every gene that matters alone, then the choices that came nearer together, and goes
    on from the nearest of these; where nothing comes nearer, from the next nearest network that was drawn.

    Attributes:
        looked_at: what was evaluated on the way.
    """

    def __init__(
        self,
        encoding: Encoding,
        constraints: Sequence[Constraint],
        evaluate: Callable[[Sequence[Genotype]], list[Trial]],
        *,
        most: int,
    ):
        """Take the space, the limits, what measures canonical genotypes, and how many of them it may at most."""
        self._encoding, self._constraints, self._evaluate, self._most = encoding, constraints, evaluate, most
        self._known: set[Genotype] = set()
        self.looked_at: list[Trial] = []

    def run(self, drawn: Iterable[Trial]) -> None:
        """Look for a network that keeps all limits, beginning with those drawn, which do not."""
        starts = sorted((trial for trial in drawn if trial.state != "failed"), key=self.violation)
        self._known |= {trial.genotype for trial in starts}
        for start in starts:
            if self._is_over:
                return
            self._descend(start)

    def violation(self, trial: Trial) -> float:
        """How far a network is beyond the limits; infinitely, if it fails."""
        return math.inf if trial.state == "failed" else total_violation(self._constraints, trial.metrics)

    @property
    def _is_over(self) -> bool:
        return len(self.looked_at) >= self._most or any(trial.state == "complete" for trial in self.looked_at)

    def _descend(self, best: Trial) -> None:
        """Go on from a network as long as others come nearer to the limits."""
        while not self._is_over:
            steps = {self._changed(best, {gene: choice}): (gene, choice) for gene, choice in self._steps(best)}
            alone = self._ask(list(steps))
            nearer = [trial for trial in sorted(alone, key=self.violation) if self._is_nearer(trial, best)]
            together = self._ask(list(self._together(best, [steps[trial.genotype] for trial in nearer])))
            nearest = min([best, *alone, *together], key=self.violation)
            if not self._is_nearer(nearest, best):
                return
            best = nearest

    def _is_nearer(self, trial: Trial, other: Trial) -> bool:
        return self.violation(trial) < self.violation(other)

    def _steps(self, trial: Trial) -> Iterator[tuple[int, int]]:
        """Each gene that matters with each of its other choices."""
        for gene, active in enumerate(self._encoding.active(trial.genotype)):
            choices = range(len(self._encoding.genes[gene].choices)) if active else ()
            yield from ((gene, choice) for choice in choices if choice != trial.genotype[gene])

    def _together(self, best: Trial, steps: Sequence[tuple[int, int]]) -> Iterator[Genotype]:
        """The best steps, one of a gene, taken together: two of them, four, and so on, all."""
        chosen: dict[int, int] = {}
        for gene, choice in steps:
            chosen.setdefault(gene, choice)
        for power in range(1, len(chosen).bit_length() + 1):
            first = dict(list(chosen.items())[: 2**power])
            if len(first) > 1:
                yield self._changed(best, first)

    def _changed(self, trial: Trial, changes: dict[int, int]) -> Genotype:
        return self._encoding.canonical(tuple(changes.get(gene, own) for gene, own in enumerate(trial.genotype)))

    def _ask(self, genotypes: Sequence[Genotype]) -> list[Trial]:
        """Evaluate those that are new, as many as there may be."""
        if self._is_over:
            return []
        new = [each for each in dict.fromkeys(genotypes) if each not in self._known]
        trials = self._evaluate(new[: self._most - len(self.looked_at)])
        self._known |= {trial.genotype for trial in trials}
        self.looked_at += trials
        return trials
