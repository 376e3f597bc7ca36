"""A run folder claimed, its archive open: what it takes to answer genotypes with trials."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from moonas.encoding.encoding import Encoding, Genotype
from moonas.evaluation.evaluator import Candidate
from moonas.evaluation.rungs import UNTRAINED, PartialResult
from moonas.network.architecture import Architecture
from moonas.problem.objective import Constraint
from moonas.problem.trial import Trial
from moonas.spec.problem import ProblemSpec
from moonas.study.archive import Archive
from moonas.study.assemble_evaluation import trial_seed
from moonas.study.folder import RunFolder
from moonas.study.numbering import Numbering
from moonas.study.partial_results import SCREEN
from moonas.study.workshop import Workshop

FAILED_START = "failed_start"
"""The fact that a search ended because its whole first generation failed."""


class Session:
    """Evaluates genotypes for one study; every architecture once, whoever asks for it and however often.

    Attributes:
        encoding: what genotypes mean.
        archive: where all trials are.
        evaluated: how many architectures were evaluated on this walk, and not answered by the archive.
        trained: how many trainings at the rungs of a halving this walk took.
        scored: how many architectures a screening scored on this walk, those known before included.
    """

    def __init__(
        self,
        spec: ProblemSpec,
        folder: RunFolder,
        encoding: Encoding,
        constraints: Sequence[Constraint],
        given: Mapping[str, Any],
    ):
        """Claim the folder and open its archive. Data and workers wait until there is something to evaluate.

        Args:
            spec: the problem.
            folder: the run folder.
            encoding: the search space.
            constraints: what trials must keep.
            given: functions handed over from Python, by the path that the problem calls them.

        Raises:
            RunFolderError: if the folder cannot be had.
        """
        self._seed, self._folder, self.encoding = spec.seed, folder, encoding
        self._workshop = Workshop(spec, folder, constraints, given=given, memory=self)
        if not folder.has_archive:
            _ = self._workshop.pipeline  # what is wrong with data or functions shows itself before anything is written
        folder.claim()
        try:
            self.archive = self._workshop.archive = Archive(folder.archive_path, encoding)
            if self.archive.fact(FAILED_START):  # the problem was at fault, and may be mended
                self.archive.forget_failures()
                self.archive.note(FAILED_START, False)
                if not len(self.archive):
                    self.archive.clear()
            begun = self.archive.has_results
            if not begun:
                self.archive.clear()  # the facts of a run that came to nothing
            folder.describe(spec, begun=begun)
            self._numbering = Numbering(self.archive.numbers())
        except BaseException:
            folder.release()
            raise
        self._spent, self._since = self.archive.elapsed, 0.0
        self.begin_walk()

    @property
    def elapsed(self) -> float:
        """Seconds spent on evaluating, all runs in this folder added up."""
        return self._spent + (time.monotonic() - self._since if self._since else 0.0)

    def forget_failures(self) -> None:
        """Let architectures whose trials failed be tried again."""
        self.archive.forget_failures()
        self._numbering = Numbering(self.archive.numbers())

    def begin_walk(self) -> None:
        """Start at the beginning of a search's path, where numbers count from 0."""
        self._numbering.begin_walk()
        self.evaluated = self.trained = self.scored = 0

    def evaluate(
        self,
        genotypes: Sequence[Genotype],
        *,
        told: Callable[[Trial], None] = lambda _: None,
        pulse: Callable[[], None] = lambda: None,
    ) -> list[Trial]:
        """Answer each genotype with its trial: from the archive if its architecture is known, else by evaluating it.

        Args:
            genotypes: any, repeats included.
            told: called with each trial as it is there, in no particular order.
            pulse: called whenever a part of an evaluation is done.
        """
        architectures = [self.encoding.decode(genotype) for genotype in genotypes]
        trials: dict[str, Trial] = {}
        asked: list[tuple[int, Genotype, Candidate]] = []
        ended: list[Trial] = []  # that an interrupted run made of this very generation, as far as the path tells
        with self._numbering.generation(trials):
            for key, architecture in {a.key: a for a in architectures}.items():
                known, is_new = self.archive.get(key), not self._numbering.has_met(key)
                if known is not None:
                    trials[key] = known
                number = self._numbering.number(key, known)
                if known is None:
                    asked.append((number, self.encoding.encode(architecture), self._candidate(architecture)))
                elif is_new:
                    ended.append(known)
            for known in list(trials.values()):
                told(known)
            with self._on_the_clock():
                shop = self._workshop
                for trial in shop.pipeline.run(shop.executor, asked, pulse=pulse, ended=ended) if asked else ():
                    trials[trial.key] = trial  # first, so that an interruption cannot free a number that is on disk
                    self.archive.append(trial, elapsed=self.elapsed)
                    self.evaluated += 1
                    told(trial)
        return [trials[architecture.key] for architecture in architectures]

    def score(self, genotypes: Sequence[Genotype], *, pulse: Callable[[], None]) -> dict[str, PartialResult]:
        """Score genotypes for a screening: by the key of their architecture, what is counted of it and the score.

        Args:
            genotypes: any.
            pulse: called whenever a part of it is done.
        """
        architectures = {a.key: a for a in map(self.encoding.decode, genotypes)}
        scores = {key: self.archive.partial.recall(key).get(SCREEN) for key in architectures}
        asked = [
            (number, self.encoding.encode(architectures[key]), self._candidate(architectures[key]))
            for number, key in enumerate(scores)
            if scores[key] is None
        ]
        self.scored += len(scores) - len(asked)
        with self._on_the_clock():
            shop = self._workshop
            for trial in shop.scorer.run(shop.executor, asked, pulse=pulse) if asked else ():
                error = trial.error if trial.state == "failed" else ""
                scores[trial.key] = result = PartialResult(trial.metrics, trial.seconds, error)
                self.keep(trial.key, SCREEN, result)
                self.scored += 1
        return {key: score for key, score in scores.items() if score is not None}

    def time(self, trials: Sequence[Trial], *, pulse: Callable[[], None]) -> Iterator[Trial]:
        """Time the networks of trials side by side; yield each with what was timed, or with why it could not be.

        The pulse is called whenever a part of it is done.
        """
        asked = [(trial.number, trial.genotype, self._candidate(trial.architecture)) for trial in trials]
        with self._on_the_clock():
            shop = self._workshop
            yield from shop.timer.run(shop.executor, asked, pulse=pulse) if asked else ()

    def recall(self, key: str) -> Mapping[int, PartialResult]:
        """What was measured of an architecture on the way to a trial."""
        return self.archive.partial.recall(key)

    def keep(self, key: str, rung: int, result: PartialResult) -> None:
        """Write down what was measured on the way to a trial, and when."""
        self.archive.partial.keep(key, rung, result)
        self.trained += rung > UNTRAINED
        self.archive.note_elapsed(self.elapsed)

    @contextmanager
    def _on_the_clock(self) -> Iterator[None]:
        """Let the time of a block count as the search's."""
        self._since = time.monotonic()
        try:
            yield
        finally:
            self._spent, self._since = self.elapsed, 0.0

    def close(self) -> None:
        """End the workers, close the archive, let the folder go."""
        with ExitStack() as stack:  # all of it, also if a part fails or is interrupted
            stack.callback(self._folder.release)
            stack.callback(self.archive.close)
            if self._folder.has_archive and self._spent > self.archive.elapsed:
                stack.callback(self.archive.note_elapsed, self._spent)
            stack.callback(self._workshop.close)

    def _candidate(self, architecture: Architecture) -> Candidate:
        return Candidate(architecture, trial_seed(self._seed, architecture.key))
