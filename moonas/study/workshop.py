"""What a session evaluates with: data, evaluators and workers, each made when it is first needed."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moonas.errors import RunFolderError, SpecError
from moonas.evaluation.evaluator import Evaluator
from moonas.evaluation.latency import FrontLatencyEvaluator
from moonas.evaluation.pipeline import Pipeline
from moonas.evaluation.rungs import Memory
from moonas.evaluation.table import TableEvaluator
from moonas.problem.objective import Constraint
from moonas.registry import as_given
from moonas.spec.problem import ProblemSpec
from moonas.study.archive import Archive
from moonas.study.assemble_energy import describe_energy, metered, with_meter
from moonas.study.assemble_evaluation import (
    assemble_evaluators,
    assemble_executor,
    computed_by,
    load_data,
    settled,
    task_of,
)
from moonas.study.assemble_halving import assemble_rungs, assemble_scorers
from moonas.study.assemble_latency import assemble_timing, kernels_fingerprint
from moonas.study.folder import RunFolder
from moonas.study.this_machine import is_timed_here

if TYPE_CHECKING:
    from moonas.training.split import SearchData

COMPUTED = "computed"
"""The fact how trainings of a run are computed: its processor and its precision."""
TASK = "task"
"""The fact what the networks of a run take and give: the shape of one input, and the number of outputs."""
_LARGEST_FRONT = 1024
"""Networks that are timed side by side, all of them in memory; a larger front is timed in parts."""
ENERGY = "energy"
"""The fact how energies of a run come about: the name of the meter, and in words."""


class Workshop:
    """Makes what evaluates the candidates of a run.

    Attributes:
        archive: of the run, once it is open: it knows how the run began.
    """

    archive: Archive | None = None

    def __init__(
        self,
        spec: ProblemSpec,
        folder: RunFolder,
        constraints: Sequence[Constraint],
        *,
        given: Mapping[str, Any],
        memory: Memory,
    ):
        """Take the problem; nothing is made yet.

        Args:
            spec: the problem.
            folder: the run folder, where workers get what they need.
            constraints: what candidates must keep.
            given: functions handed over from Python, by the path that the problem calls them.
            memory: where results of rungs are kept.
        """
        self._spec, self._folder, self._constraints = spec, folder, constraints
        self._given, self._memory = given, memory
        self._name = uuid.uuid4().hex
        self._scratch: Path | None = None

    @cached_property
    def pipeline(self) -> Pipeline:
        """What makes trials of candidates."""
        with as_given(self._given):
            evaluators = assemble_evaluators(self._settled, self._data)
        rungs = assemble_rungs(self._spec, self._data, memory=self._memory)
        return Pipeline(self._name, evaluators, self._constraints, rungs=rungs)

    @cached_property
    def scorer(self) -> Pipeline:
        """What measures for a screening; its evaluators are installed behind the others."""
        evaluators, before = assemble_scorers(self._spec, self._data), len(self.pipeline.evaluators)
        return Pipeline(self._name, evaluators, self._constraints, first_stage=before)

    @cached_property
    def timer(self) -> Pipeline:
        """What times the final front side by side, where that can be done; its evaluators are the last ones."""
        evaluators: tuple[Evaluator, ...] = ()
        if is_timed_here(self._spec):
            task = task_of(self._spec, self._data)
            evaluators = assemble_timing(self._spec, task, evaluator=FrontLatencyEvaluator)
        before = len(self.pipeline.evaluators) + len(self.scorer.evaluators)
        return Pipeline(self._name, evaluators, (), first_stage=before, largest_batch=_LARGEST_FRONT)

    @cached_property
    def executor(self) -> Executor:
        """Where all of them have their work done; from its first use on, the archive tells how the run began.

        Raises:
            RunFolderError: if that was with other data or another table.
        """
        assert self.archive is not None, "what is evaluated has a place to go to"
        if self._spec.wants_energy:
            self.archive.note(ENERGY, self._energy)
        if self._data is not None:  # before the first evaluation, that is
            training = self._settled.training
            self.archive.note(COMPUTED, [training.processor, training.precision])
            self.archive.agree("data", self._data.fingerprint, "holds trials on other data; give another folder")
        for evaluator in self.pipeline.evaluators:
            if isinstance(evaluator, TableEvaluator):
                complaint = "holds metrics of another table; give another folder"
                self.archive.agree("table", evaluator.fingerprint, complaint)
        kernels = kernels_fingerprint(self._spec)
        if kernels:
            self.archive.agree("kernels", kernels, "holds latencies of another table of kernels; give another folder")
        task = task_of(self._spec, self._data)
        self.archive.note(TASK, [list(task.input_shape), task.classes])
        self._scratch = self._folder.make_scratch()
        evaluators = (*self.pipeline.evaluators, *self.scorer.evaluators, *self.timer.evaluators)
        return assemble_executor(self._spec, self._name, evaluators, self._scratch)

    def close(self) -> None:
        """End the workers."""
        with ExitStack() as stack:  # all of it, also if a part fails or is interrupted
            if self._scratch is not None:
                stack.callback(shutil.rmtree, self._scratch, ignore_errors=True)
            if "executor" in vars(self):
                stack.callback(self.executor.shutdown, wait=True, cancel_futures=True)

    @cached_property
    def _settled(self) -> ProblemSpec:
        """The problem, its trainings computed as this run began, wherever it goes on: else trials would not compare."""
        known = self._fact(COMPUTED)
        if known is None:
            return settled(self._metered, self._data)
        try:
            return settled(computed_by(self._metered, *known), self._data)
        except SpecError as error:
            what = "holds a run that began on a GPU, and PyTorch finds none here; go on where there is one"
            raise RunFolderError(f"{self._folder.path} {what}, or give another folder") from error

    @cached_property
    def _metered(self) -> ProblemSpec:
        """The problem, its energies measured or modelled as this run began: the kinds do not compare."""
        known = self._fact(ENERGY)
        with as_given(self._given):
            if known is None:
                return metered(self._spec)
            meter, words = known
            try:
                return metered(with_meter(self._spec, meter))
            except SpecError as error:
                what = f"holds energies that are {words}, and none of another kind may come to them; here"
                raise RunFolderError(
                    f"{self._folder.path} {what} {error}; go on where that can be had, or give another folder"
                ) from error

    def _fact(self, name: str) -> Any:
        return None if self.archive is None else self.archive.fact(name)

    @property
    def _energy(self) -> list[str]:
        with as_given(self._given):
            return [self._metered.device.meter, describe_energy(self._metered)]

    @cached_property
    def _data(self) -> SearchData | None:
        with as_given(self._given):
            return load_data(self._spec)
