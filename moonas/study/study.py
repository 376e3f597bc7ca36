"""The face of it all: a problem in a run folder, searched, and what came out."""

from __future__ import annotations

import atexit
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from moonas.encoding.encoding import Genotype
from moonas.problem.objective import Constraint
from moonas.problem.trial import Trial
from moonas.registry import as_given
from moonas.spec.problem import ProblemSpec
from moonas.strategy.strategy import Strategy
from moonas.study import assemble
from moonas.study.archive import Archive
from moonas.study.final_front import time_front
from moonas.study.progress import Listener, ProgressLine
from moonas.study.reading import Reading, energy_of
from moonas.study.results import write_results
from moonas.study.search_loop import Outcome, SearchLoop
from moonas.study.session import Session

if TYPE_CHECKING:
    from moonas.problem.nas_problem import NASProblem


class Study(Reading):
    """One search in one run folder.

    Running it again goes on where it was interrupted: the search walks the same path, and evaluates only what is not in
    the folder's archive yet. Frames have one row a trial: `key, number, state`, the metrics with units in their names
    and natural values, `seconds, error`, then a column a gene.

    Attributes:
        outcome: how the last `run` ended: "done", "exhausted" (nothing new is left) or "out of time"; None before.
    """

    def __init__(self, spec: ProblemSpec, out: str | Path | None = None):
        """Put a checked problem and a folder together; nothing is written yet.

        Args:
            spec: the problem; see `moonas.load` for a way from a name, a file or a dict.
            out: the run folder; `runs/NAME` if not given.
        """
        super().__init__(spec, Path(out) if out is not None else Path("runs") / spec.name)
        self.constraints: tuple[Constraint, ...] = assemble.assemble_constraints(spec)
        self.outcome: Outcome | None = None
        assemble.check_columns(self.encoding, self.metrics)
        assemble.check_laws(spec, self.encoding)
        self._strategy()  # so that wrong options are refused before anything is written

    def run(
        self, *, progress: bool = False, retry_failed: bool = False, listener: Listener | None = None
    ) -> pd.DataFrame:
        """Search until the budget is spent, write the results, and return the front.

        Interrupted, it writes the results so far before it lets the interruption through.

        Args:
            progress: whether a line on standard error shows how far it is.
            retry_failed: whether trials that failed in an earlier run are tried again, as after raising their limits,
                and networks of the front that could not be timed.
            listener: called with a `Snapshot` at the start and after each trial, training of a halving, and score.

        Raises:
            RunFolderError: if the folder is in use, holds something else, or cannot be written.
            SearchFailedError: if no candidate of the first generation could be evaluated.
        """
        with self._opened() as session:
            if retry_failed:
                session.forget_failures()
            try:
                with ProgressLine() if progress else nullcontext() as line:
                    loop = SearchLoop(self.spec, session, self._strategy(), self.objectives, [listener, line])
                    self.outcome = loop.run()
                with ProgressLine() if progress else nullcontext() as line:
                    time_front(self.spec, session, self.metrics, self.objectives, retry_failed=retry_failed, line=line)
            finally:
                if self._folder.has_archive:  # else somebody removed it, and the error that says so must come through
                    self._write_results(session.archive)
        return self.front

    def as_pymoo(self) -> NASProblem:
        """The search as a pymoo Problem, whose evaluations fill this study's archive.

        The study holds its run folder and its workers until `close`, the end of a `with` block, or the program's end.
        """
        from moonas.problem.nas_problem import NASProblem  # pymoo

        return NASProblem(self.encoding, self.objectives, self.constraints, self.evaluate)

    def evaluate(
        self,
        genotypes: Sequence[Genotype],
        *,
        told: Callable[[Trial], None] = lambda _: None,
        retry_failed: bool = False,
    ) -> list[Trial]:
        """Answer each genotype with its trial, from the archive if its architecture is known.

        The study holds its run folder and its workers until `close`, the end of a `with` block, or the program's end.

        Args:
            genotypes: any, repeats included.
            told: called with each trial as it is there, in no particular order.
            retry_failed: whether trials that failed before are tried again, as after raising their limits.
        """
        if self._session is None:
            self._session = self._new_session()
            atexit.register(self.close)
        if retry_failed:
            self._session.forget_failures()
        return self._session.evaluate(genotypes, told=told)

    def close(self) -> None:
        """Write the results, and let go of the run folder and the workers, if they are held."""
        session, self._session = self._session, None
        if session is not None:
            atexit.unregister(self.close)
            try:
                self._write_results(session.archive)
            finally:
                session.close()

    def __repr__(self) -> str:
        return f"<Study {self.spec.name} in {self.out}>"

    def __enter__(self) -> Study:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _strategy(self) -> Strategy:
        with as_given(self._given):
            return assemble.assemble_strategy(self.spec, self.encoding, self.objectives, self.constraints)

    def _new_session(self) -> Session:
        return Session(self.spec, self._folder, self.encoding, self.constraints, self._given)

    @contextmanager
    def _opened(self) -> Iterator[Session]:
        """The session that is open, or one for as long as the block lasts."""
        if self._session is not None:
            yield self._session
            return
        session = self._new_session()
        try:
            yield session
        finally:
            session.close()

    def _write_results(self, archive: Archive) -> None:
        write_results(
            archive,
            self._folder,
            self.spec,
            metrics=self.metrics,
            objectives=self.objectives,
            draw=self.plot,
            energy=energy_of(archive),
        )
