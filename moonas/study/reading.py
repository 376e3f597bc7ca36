"""What a run folder holds, read as frames and networks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from moonas.encoding.encoding import Encoding
from moonas.errors import UnknownNameError
from moonas.network.architecture import Architecture, Task
from moonas.problem.objective import Objective
from moonas.registry import as_given, given_objects
from moonas.report.hypervolume import first_generation, hypervolume_history, with_box
from moonas.report.plot import plot_front
from moonas.spec.problem import ProblemSpec
from moonas.study import assemble, columns
from moonas.study.archive import Archive
from moonas.study.assemble_evaluation import load_task
from moonas.study.final_front import front_of
from moonas.study.folder import RunFolder
from moonas.study.session import Session
from moonas.study.workshop import ENERGY, TASK


class Reading:
    """What is read of a search: nothing here writes, but for pictures where somebody wants them."""

    def __init__(self, spec: ProblemSpec, out: Path):
        """Put a checked problem and a run folder together."""
        self.spec, self.out = spec, out
        self.encoding: Encoding = assemble.assemble_encoding(spec)
        self.objectives: tuple[Objective, ...] = assemble.assemble_objectives(spec)
        self.metrics: tuple[str, ...] = columns.metric_columns(spec)
        self._folder = RunFolder(out)
        self._session: Session | None = None
        self._given = given_objects()

    @property
    def trials(self) -> pd.DataFrame:
        """All trials so far, by number; empty before the first."""
        with self._reading() as archive:
            return archive.to_frame(self.metrics)

    @property
    def front(self) -> pd.DataFrame:
        """The complete trials that no other dominates, the best of the first objective first.

        If they were timed together when the search ended, with `measured_latency_ms` and more; see
        `moonas.report.timed_front.with_timings`.
        """
        with self._reading() as archive:
            return front_of(archive, self.metrics, self.objectives)

    @property
    def hypervolume(self) -> pd.DataFrame:
        """The share of a fixed box that is dominated after each trial: `number, hypervolume`."""
        trials = self.trials
        return hypervolume_history(trials, self._boxed_objectives(trials))

    @property
    def rungs(self) -> pd.DataFrame:
        """All trainings of a halving so far, one row each, empty without one.

        `key, number` (none yet for what is not a trial yet), `rung` (from 1), `epochs, samples, resolution` (none for
        all there are), `accuracy, training_loss, seconds`.
        """
        with self._reading() as archive:
            return archive.partial.to_frame(self.spec.rungs, self.spec.score)

    def architecture(self, key: str) -> Architecture:
        """The architecture of a trial; `.build(task)` makes the PyTorch module.

        Raises:
            UnknownNameError: if no trial has this key.
        """
        with self._reading() as archive:
            trial = archive.get(key)
            if trial is None:
                raise UnknownNameError("key", key, (known.key for known in archive))
            return trial.architecture

    @property
    def task(self) -> Task:
        """What the networks take and give, as `architecture.build` wants it. Reads the data, if no run knows."""
        with self._reading() as archive:
            known = archive.fact(TASK)
        if known is not None:
            return Task(tuple(known[0]), known[1])
        with as_given(self._given):
            return load_task(self.spec)

    def plot(self, path: str | Path, trials: pd.DataFrame | None = None) -> None:
        """Draw the front and the history of the hypervolume into a `.png` or `.svg` file."""
        trials = self.trials if trials is None else trials
        plot_front(trials, self._boxed_objectives(trials), Path(path), title=self.spec.name, notes=self.metric_notes)

    @property
    def metric_notes(self) -> dict[str, str]:
        """How the metrics that depend on it were measured: on what device, after how much training."""
        with self._reading() as archive:
            return columns.metric_notes(self.spec, energy=energy_of(archive))

    def environment_changes(self) -> list[str]:
        """How this machine and its packages differ from those on which the run began: its timings may not compare."""
        return self._folder.environment_changes()

    @contextmanager
    def _reading(self) -> Iterator[Archive]:
        """The archive, for reading only; an empty one if the folder has none."""
        if self._session is not None:
            yield self._session.archive
            return
        archive = Archive(self._folder.archive_path, self.encoding, writable=False)
        try:
            yield archive
        finally:
            archive.close()

    def _boxed_objectives(self, trials: pd.DataFrame) -> tuple[Objective, ...]:
        return with_box(self.objectives, first_generation(trials, self.spec.search.population))


def energy_of(archive: Archive) -> str | None:
    """How the energies of a run came about; None if it has none."""
    known = archive.fact(ENERGY)
    return known[1] if known else None
