"""More candidates asked for than evaluated: those that look best before training go on."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from moonas.encoding.encoding import Genotype
from moonas.errors import MoonasError
from moonas.evaluation.rungs import PartialResult
from moonas.problem.objective import minimised, total_violation
from moonas.spec.halving import ScreenSpec
from moonas.spec.problem import ProblemSpec
from moonas.study.assemble import assemble_constraints
from moonas.study.assemble_halving import screening_objectives
from moonas.study.session import Session


class Screening:
    """Chooses by a score of untrained networks beside the objectives that are counted, or `flops` if none is.

    The score alone would mostly choose the largest networks; beside their cost, it chooses those that are good for
    their size.

    Attributes:
        kept: networks so far.
    """

    def __init__(self, spec: ProblemSpec, screen: ScreenSpec, session: Session):
        """Take what is wanted, and what measures (`session`)."""
        self._spec, self._session = screen, session
        self.kept = 0
        self._objectives, self._constraints = screening_objectives(spec, screen), assemble_constraints(spec)

    def is_due(self, *, first: bool) -> bool:
        """Whether a generation, the first or another one, is screened."""
        return first or self._spec.generations == "all"

    def wanted(self, population: int) -> int:
        """How many candidates to choose a generation from."""
        return math.ceil(population / self._spec.keep)

    def best(self, genotypes: Sequence[Genotype], count: int, *, pulse: Callable[[], None]) -> list[Genotype]:
        """The best of some genotypes, at most `count`, one for an architecture, in the order in which they came.

        Raises:
            MoonasError: if none of the first ones has a score.
        """
        by_key: dict[str, Genotype] = {}
        for genotype in genotypes:
            by_key.setdefault(self._session.encoding.decode(genotype).key, genotype)
        scores = self._session.score(list(by_key.values()), pulse=pulse)
        errors = [score.error for score in scores.values() if score.error]
        if not self.kept and scores and len(errors) == len(scores):
            what = f"search.screen: {self._spec.metric} works for none of {len(scores)} networks"
            raise MoonasError(f"{what}, so it cannot choose: {errors[0]}")
        chosen = set(self._ranked(scores)[:count])
        self.kept += len(chosen)
        return [by_key[key] for key in scores if key in chosen]

    def _ranked(self, scores: Mapping[str, PartialResult]) -> list[str]:
        """Keys, the best first; those that break a limit after those that keep all; those without a score last."""
        from moonas.strategy.halving import best_first  # pymoo

        failed = [key for key, score in scores.items() if score.error]
        broken = {key: total_violation(self._constraints, scores[key].metrics) for key in scores if key not in failed}
        fit = [key for key, violation in broken.items() if not violation]
        unfit = sorted((key for key, violation in broken.items() if violation), key=broken.__getitem__)
        order = best_first(minimised(self._objectives, [scores[key].metrics for key in fit]))
        return [*(fit[i] for i in order), *unfit, *failed]


def screening_of(spec: ProblemSpec, session: Session) -> Screening | None:
    """Make the screening of a problem, if it wants one."""
    return None if spec.search.screen is None else Screening(spec, spec.search.screen, session)
