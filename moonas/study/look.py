"""Networks of a study looked at outside of a run: those drawn at random, and those that come nearer to its limits."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pandas as pd

from moonas.encoding.encoding import Encoding, Genotype
from moonas.errors import MoonasError, SpecError, one_line, place_in_users_code
from moonas.evaluation.evaluator import Candidate
from moonas.problem.trial import Trial
from moonas.spec.problem import ProblemSpec
from moonas.study.assemble_evaluation import trial_seed
from moonas.study.descent import Descent
from moonas.study.progress import Tally
from moonas.study.spread import Draw
from moonas.study.study import Study
from moonas.study.workers import Workers

_MOST_LOOKED_FOR = 256
"""Networks that are evaluated in search of one that keeps the limits, where none drawn at random does."""
_SOME = 0.05
"""Of the answers, those that tell how long all take: the first ones wait for libraries."""


@dataclass
class Evaluation:
    """Evaluates genotypes in worker processes, and shows how far it is."""

    study: Study
    workers: Workers
    stages: int
    line: Callable[[Tally], None] | None
    answers: int = 0
    begun: float = field(default_factory=time.monotonic)

    def run(self, genotypes: Sequence[Genotype], what: str, total: int) -> list[Trial]:
        """The trials of some of `total` genotypes, in their order."""
        asked = [(i, genotype, self._candidate(genotype)) for i, genotype in enumerate(genotypes)]
        trials = self.workers.run(asked, self.study.constraints, pulse=lambda: self._show(what, total))
        return sorted(trials, key=lambda trial: trial.number)

    def restart(self) -> None:
        """Count from nothing again."""
        self.answers, self.begun = 0, time.monotonic()

    def _candidate(self, genotype: Genotype) -> Candidate:
        architecture = self.study.encoding.decode(genotype)
        return Candidate(architecture, trial_seed(self.study.spec.seed, architecture.key))

    def _show(self, what: str, total: int) -> None:
        self.answers += 1
        if self.line is not None:
            elapsed, whole = time.monotonic() - self.begun, total * self.stages
            left = elapsed / self.answers * (whole - self.answers) if self.answers >= _SOME * whole else None
            self.line(Tally(what, self.answers // self.stages, total, elapsed, left))


def look_at(draw: Draw, evaluation: Evaluation, metrics: Sequence[str]) -> pd.DataFrame:
    """Evaluate the networks that were drawn, and if none of these keeps the limits, look for one that does.

    Returns:
        A row for each network; see `moonas.report.check`.
    """
    study = evaluation.study
    drawn = evaluation.run(draw.genotypes, "networks", len(draw.genotypes))
    limits = [limit for limit in study.constraints if limit.metric in metrics]
    states = {trial.state for trial in drawn}
    evaluation.restart()
    what = "looking for one that keeps the limits"
    evaluate = partial(evaluation.run, what=what, total=_MOST_LOOKED_FOR)
    descent = Descent(study.encoding, limits, evaluate, most=_MOST_LOOKED_FOR)
    if "infeasible" in states and "complete" not in states and not draw.is_all:
        with encodings_border(study.spec):
            descent.run(drawn)
    rows = [_row(study.encoding, trial, metrics, drawn=True) for trial in drawn]
    rows += [_row(study.encoding, trial, metrics, drawn=False) for trial in descent.looked_at]
    genes = [gene.name for gene in study.encoding.genes]
    frame = pd.DataFrame(rows, columns=["key", "drawn", "state", *metrics, "error", *genes])
    return frame.astype(dict.fromkeys(metrics, float) | dict.fromkeys(genes, object))


def _row(encoding: Encoding, trial: Trial, metrics: Sequence[str], *, drawn: bool) -> dict[str, Any]:
    chosen = zip(encoding.values(trial.genotype).items(), encoding.active(trial.genotype), strict=True)
    return {
        **{gene: choice for (gene, choice), active in chosen if active},
        **{metric: trial.metrics.get(metric) for metric in metrics},
        **{"key": trial.key, "drawn": drawn, "state": trial.state, "error": trial.error or None},
    }


@contextmanager
def encodings_border(spec: ProblemSpec) -> Iterator[None]:
    """Say of what goes wrong in an encoding, which may be the user's own, that it went wrong there."""
    try:
        yield
    except MoonasError:
        raise
    except Exception as error:
        what = f"encoding {spec.encoding.name} breaks a law: {one_line(error)}{place_in_users_code(error)}"
        raise SpecError(f"{what}; moonas.testing.check_encoding checks them all") from error
