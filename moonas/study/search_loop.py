"""Ask, evaluate, tell, until the budget is spent."""

from __future__ import annotations

import operator
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

from moonas.encoding.encoding import Genotype
from moonas.errors import RunFolderError, SearchFailedError, StrategyError, one_line, place_in_users_code
from moonas.problem.objective import Objective
from moonas.problem.trial import Trial
from moonas.spec.problem import ProblemSpec
from moonas.strategy.strategy import Strategy
from moonas.study import assemble
from moonas.study.progress import Listener, Snapshot
from moonas.study.screening import screening_of
from moonas.study.session import FAILED_START, Session
from moonas.study.standing import Standing

Outcome = Literal["done", "exhausted", "out of time"]
_BARREN_ASKS = 100


class _OutOfTimeError(Exception):
    """The budget's time has run out."""


class SearchLoop:
    """One run of a search: from the first genotype, over those that the archive answers, to the end of the budget."""

    def __init__(
        self,
        spec: ProblemSpec,
        session: Session,
        strategy: Strategy,
        objectives: Sequence[Objective],
        listeners: Iterable[Listener | None],
    ):
        """Take what is asked (`strategy`), what answers (`session`), and who wants to know (`listeners`)."""
        self._session, self._strategy, self._screening = session, strategy, screening_of(spec, session)
        self._listeners = [listener for listener in listeners if listener is not None]
        session.begin_walk()
        self._population = spec.search.population
        self._budget = assemble.assemble_budget(spec)
        self._standing = Standing(objectives, min(self._population, self._budget.trials))
        self._told: set[str] = set()
        self._errors: Counter[str] = Counter()  # of the failed ones
        self._started = time.monotonic()
        self._parts = 0  # of evaluations, as they were last reported

    def run(self) -> Outcome:
        """Search.

        Raises:
            SearchFailedError: if no candidate of the first generation could be evaluated.
        """
        barren = 0
        self._report()
        try:
            while len(self._told) < self._budget.trials and barren < _BARREN_ASKS:
                self._check_time()
                genotypes = self._propose(self._budget.trials - len(self._told))
                if not genotypes:
                    return "exhausted"
                told_before = len(self._told)
                trials = self._session.evaluate(genotypes, told=self._tell, pulse=self._pulse)
                barren = 0 if len(self._told) > told_before else barren + 1
                self._refuse_failed_start()
                with self._strategys_border("tell"):
                    self._strategy.tell(trials)
        except _OutOfTimeError:
            return "out of time"
        return "exhausted" if barren else "done"

    def _propose(self, most: int) -> list[Genotype]:
        """The next generation, screened if that is due; at most so many."""
        screening = self._screening
        if screening is None or not screening.is_due(first=not self._told):
            return self._ask(self._population)[:most]
        genotypes = self._ask(screening.wanted(self._population))
        return screening.best(genotypes, min(self._population, most), pulse=self._pulse)

    def _ask(self, count: int) -> list[Genotype]:
        """What the strategy proposes, checked: it may be the user's own.

        Raises:
            StrategyError: if these are no genotypes.
        """
        with self._strategys_border("ask"):
            genotypes = [tuple(map(operator.index, genotype)) for genotype in self._strategy.ask(count)]
            for genotype in genotypes:
                self._session.encoding.check(genotype)
            return genotypes

    @contextmanager
    def _strategys_border(self, call: str) -> Iterator[None]:
        """Say of what goes wrong in a strategy that it went wrong there."""
        try:
            yield
        except (Exception, SystemExit) as error:
            what = f"strategy {type(self._strategy).__name__}: {call} went wrong"
            raise StrategyError(f"{what}: {one_line(error)}{place_in_users_code(error)}") from error

    def _tell(self, trial: Trial) -> None:
        """Count a trial, known or new, and spread the news."""
        if trial.key in self._told:
            return
        self._told.add(trial.key)
        if trial.state == "failed":
            self._errors[trial.error] += 1
        self._refuse_damaged(trial)
        self._standing.add(trial)
        self._report()
        self._check_time()

    def _pulse(self) -> None:
        """Between trials, tell of what leads to them."""
        parts = self._session.trained + self._session.scored
        if parts != self._parts:
            self._parts = parts
            self._report()
        self._check_time()

    def _refuse_damaged(self, trial: Trial) -> None:
        """Refuse a trial that lost a metric: what is evaluated has them all, a file that others changed may not."""
        lacking = [each.metric for each in self._standing.objectives if each.metric not in trial.metrics]
        if trial.state == "complete" and lacking:
            what = f"is damaged: trial {trial.number} is complete, but has no {', '.join(lacking)}"
            raise RunFolderError(f"{self._session.archive.path} {what}")

    def _refuse_failed_start(self) -> None:
        """Stop if nothing of the first generation could be evaluated, and leave word for the next run."""
        failed, told = self._errors.total(), len(self._told)
        if failed == told >= min(self._population, self._budget.trials):
            self._session.archive.note(FAILED_START, True)
            reason, count = self._errors.most_common(1)[0]
            raise SearchFailedError(
                f"all {failed} candidates of the first generation failed, so the problem is at fault, not they; "
                f"{count} of them: {reason}. Mend it and run again: that starts afresh"
            )

    def _report(self) -> None:
        if self._listeners:
            snapshot = self._snapshot()
            for listener in self._listeners:
                listener(snapshot)

    @property
    def _elapsed(self) -> float:
        return time.monotonic() - self._started

    def _check_time(self) -> None:
        if self._budget.seconds is not None and self._session.elapsed >= self._budget.seconds:
            raise _OutOfTimeError

    def _snapshot(self) -> Snapshot:
        done, total, evaluated = len(self._told), self._budget.trials, self._session.evaluated
        return Snapshot(
            trials=done,
            total=total,
            failed=self._errors.total(),
            best_metric=self._standing.objectives[0].metric,
            best=self._standing.best,
            hypervolume=self._standing.hypervolume,
            front=self._standing.front,
            elapsed=self._elapsed,
            left=self._elapsed / evaluated * (total - done) if evaluated >= self._population else None,
            trained=self._session.trained,
            scored=self._session.scored,
            kept=self._screening.kept if self._screening else 0,
        )
