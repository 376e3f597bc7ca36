"""The composition root of evaluation: data, evaluators, and the workers that run them."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moonas.errors import RunFolderError, SpecError
from moonas.evaluation import worker
from moonas.evaluation.evaluator import Evaluator
from moonas.evaluation.function import FunctionCaller, FunctionEvaluator
from moonas.evaluation.looking import joined
from moonas.evaluation.static import StaticEvaluator
from moonas.evaluation.table import TableEvaluator, read_table
from moonas.evaluation.training import TrainingEvaluator
from moonas.evaluation.zero_cost import ZeroCostEvaluator
from moonas.network.architecture import Task
from moonas.registry import import_path
from moonas.spec.metric import metric_of
from moonas.spec.objective import MetricUse
from moonas.spec.problem import ProblemSpec
from moonas.spec.training import FidelitySpec
from moonas.study.assemble import assemble_device
from moonas.study.assemble_energy import assemble_energy
from moonas.study.assemble_latency import assemble_latency
from moonas.study.assemble_memory import assemble_memory
from moonas.study.columns import metric_columns
from moonas.study.executor import InProcessExecutor, ProcessExecutor

if TYPE_CHECKING:
    from moonas.training.split import SearchData
    from moonas.training.trainer import Trainer

SCORED_IMAGES = 64
"""The batch of zero-cost proxies, as their papers take it."""


def load_data(spec: ProblemSpec) -> SearchData | None:
    """Load what the search may see of the data; None for a search without.

    Raises:
        DataError: if they cannot be loaded.
    """
    from moonas.training.split import load_search_data  # scikit-learn

    return None if spec.data is None else load_search_data(spec.data)


def settled(spec: ProblemSpec, data: SearchData | None) -> ProblemSpec:
    """The problem with a processor and a precision of its trainings, where it left them to this machine.

    The precision is what is faster here for the smallest of its images.

    Raises:
        SpecError: if it wants a GPU and there is none.
    """
    if data is None:
        return spec
    from moonas.training.precision import fastest_precision  # torch
    from moonas.training.prepared import task_at

    processor, precision = _processor(spec.training.processor), spec.training.precision
    if precision == "auto":
        shapes = [task_at(data.task, rung).input_shape for rung in spec.rungs]
        pixels = spec.training.batch * min(math.prod(shape[1:]) for shape in shapes)
        precision = fastest_precision(processor, pixels=pixels) if len(shapes[0]) == 3 else "float32"
    return computed_by(spec, processor, precision)


def computed_by(spec: ProblemSpec, processor: str, precision: str) -> ProblemSpec:
    """The problem with this processor and this precision for its trainings."""
    changes = {"processor": processor, "precision": precision}
    return spec.model_copy(update={"training": spec.training.model_copy(update=changes)})


def _processor(wanted: str) -> str:
    import torch

    there = torch.cuda.is_available()
    if wanted == "cuda" and not there:
        raise SpecError("training.processor is cuda, and PyTorch finds no GPU here; set it to auto or cpu")
    return "cuda" if there and wanted != "cpu" else "cpu"


def assemble_evaluators(spec: ProblemSpec, data: SearchData | None) -> tuple[Evaluator, ...]:
    """Make the evaluators for what is to be measured; the last ones are those of a halving, from the first rung.

    Args:
        spec: says what, `settled` and `metered`.
        data: what the search may see of them.

    Raises:
        MoonasError: if a function of the user's own cannot be imported.
    """
    columns = [column for column in metric_columns(spec) if column not in spec.tabled]
    trainer = None if data is None else assemble_trainer(spec, data, spec.fidelity)
    task = task_of(spec, data)
    evaluators: list[Evaluator] = _tabled(spec)
    static = _of_source("static", columns)
    if static:
        evaluators.append(StaticEvaluator(static, task, tracer()))
    scores = _of_source("zero_cost", columns)
    if scores and data:
        evaluators.append(assemble_zero_cost(spec, data, scores))
    cheap = _functions(spec, task, "cheap")
    if cheap.functions:
        evaluators.append(FunctionEvaluator(cheap, gated=False))
    evaluators += assemble_memory(spec, task)
    evaluators += assemble_latency(spec, task)
    if spec.wants_energy:
        evaluators += assemble_energy(spec, task)
    dear = _functions(spec, trainer.task if trainer else task, "dear")
    if trainer and data and (dear.functions or {trainer.metric, "training_loss"} & set(columns)):
        trainers = [*(assemble_trainer(spec, data, rung) for rung in spec.rungs[:-1]), trainer]
        evaluators += [TrainingEvaluator(each, replace(dear, task=each.task)) for each in trainers]
    elif dear.functions:
        evaluators.append(FunctionEvaluator(dear, gated=True))
    return tuple(joined(evaluators))


def _of_source(source: str, columns: Sequence[str]) -> list[str]:
    return [name for name in columns if (metric := metric_of(name)) is not None and metric.source == source]


def _tabled(spec: ProblemSpec) -> list[Evaluator]:
    if spec.table is None or spec.table.path is None:
        return []
    path, table = Path(spec.table.path), spec.table
    wanted = [column for column in metric_columns(spec) if column in table.metrics]
    columns = {name: (table.metrics[name].column, table.metrics[name].scale) for name in wanted}
    return [TableEvaluator(read_table(path, table.match, columns), wanted, table.by, f"table {path.name}")]


def assemble_trainer(spec: ProblemSpec, data: SearchData, fidelity: FidelitySpec) -> Trainer:
    """Make what trains networks, for a problem that is `settled`."""
    from moonas.training.trainer import Trainer  # torch

    recipe = spec.training
    assert recipe.processor != "auto"
    assert recipe.precision != "auto"
    return Trainer(data, fidelity, recipe, seed=_data_seed(spec), device=recipe.processor, precision=recipe.precision)


def assemble_zero_cost(spec: ProblemSpec, data: SearchData, metrics: Sequence[str]) -> ZeroCostEvaluator:
    """Make what scores networks without training, on images as they are."""
    from moonas.training.prepared import PreparedData  # torch
    from moonas.training.target import TARGETS

    batch = PreparedData(data, FidelitySpec(), seed=_data_seed(spec)).first(SCORED_IMAGES)
    return ZeroCostEvaluator(metrics, data.task, *batch, TARGETS[data.target].loss)


def _data_seed(spec: ProblemSpec) -> int:
    return spec.data.seed if spec.data else 0


def load_task(spec: ProblemSpec) -> Task:
    """What the networks take and give.

    Raises:
        DataError: if the data that decide it cannot be loaded.
    """
    return task_of(spec, load_data(spec))


def task_of(spec: ProblemSpec, data: SearchData | None) -> Task:
    """What the networks take and give, the data being there."""
    if data is not None:
        return data.task
    assert spec.task is not None, "a problem has data or a task"
    return Task(spec.task.input_shape, spec.task.classes)


def _functions(spec: ProblemSpec, task: Task, cost: str) -> FunctionCaller:
    uses = (use for _, use in spec.metric_uses if use.is_function and (use.cost or "cheap") == cost)
    return FunctionCaller({use.column: _import_function(use) for use in uses}, task, assemble_device(spec), tracer())


def tracer() -> Any:
    """What lists the operations of networks."""
    from moonas.hardware.trace import trace  # torch

    return trace


def _import_function(use: MetricUse) -> Any:
    function = import_path(use.metric)
    if not callable(function):
        raise SpecError(f"metric {use.metric}: must be a function f(module, context) -> float")
    return function


def assemble_executor(spec: ProblemSpec, study: str, evaluators: Sequence[Evaluator], scratch: Path) -> Executor:
    """Make the place where candidates are evaluated.

    Args:
        spec: gives the number of workers and the limits of a candidate.
        study: the name under which the workers install the evaluators.
        evaluators: handed to each worker.
        scratch: an empty folder for that, removed by the caller in the end.

    Raises:
        RunFolderError: if it cannot be written, as on a full disk.
    """
    if spec.workers == 0:
        return InProcessExecutor(study, evaluators)
    try:
        return ProcessExecutor(
            usable_cores() if spec.workers == "auto" else spec.workers,
            start=worker.start_worker,
            arguments=(study, evaluators, spec.budget.trial_memory_gb),
            seconds=lambda study, stage, candidates: spec.budget.trial_seconds * len(candidates),
            scratch=scratch,
            is_spoiled=worker.ran_out_of_memory,
        )
    except OSError as error:
        raise RunFolderError(f"{scratch.parent} cannot be written: {error.strerror or error}") from error


def usable_cores() -> int:
    """The cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def trial_seed(study_seed: int, key: str) -> int:
    """The seed of everything random in the evaluation of one architecture, the same wherever and whenever it runs."""
    digest = hashlib.sha256(f"{study_seed}:{key}".encode()).digest()
    return int.from_bytes(digest[:6], "big")
