"""The one composition root: from what the user wrote to the objects that do it."""

from __future__ import annotations

import hashlib
import inspect
import os
from collections.abc import Sequence
from concurrent.futures import Executor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moonas.encoding.encoding import Encoding, Gene
from moonas.encoding.laws import check_coding
from moonas.errors import SpecError, choose_from, one_line
from moonas.evaluation import worker
from moonas.evaluation.evaluator import Evaluator
from moonas.evaluation.function import FunctionCaller, FunctionEvaluator
from moonas.evaluation.latency import DryRunEvaluator, LatencyEvaluator, Loader
from moonas.evaluation.static import StaticEvaluator
from moonas.evaluation.training import TrainingEvaluator
from moonas.hardware.device import DeviceProfile
from moonas.network.architecture import Task
from moonas.problem.objective import Constraint, Objective
from moonas.problem.trial import Budget
from moonas.registry import ENCODINGS, STRATEGIES, import_path
from moonas.spec.encoding import FactorySpec
from moonas.spec.metric import COLUMNS, LATENCY_COLUMNS, METRICS
from moonas.spec.objective import MetricUse, ObjectiveSpec
from moonas.spec.problem import ProblemSpec
from moonas.strategy.strategy import Strategy
from moonas.study.executor import InProcessExecutor, ProcessExecutor

if TYPE_CHECKING:
    from moonas.training.split import SearchData
    from moonas.training.trainer import Trainer


def assemble_encoding(spec: ProblemSpec) -> Encoding:
    """Make the encoding.

    Raises:
        SpecError: if a factory of the user's own does not give one.
    """
    if not isinstance(spec.encoding, FactorySpec):
        encoding: Encoding = ENCODINGS.load(spec.encoding.family)(spec.encoding.tree())
        return encoding
    made, what = import_path(spec.encoding.name), f"encoding {spec.encoding.name}"
    if not isinstance(made, Encoding):
        made = call_with_options(made, spec.encoding.options, what)
    if not isinstance(made, Encoding):
        raise SpecError(f"{what}: must give an Encoding, gives {type(made).__name__}")
    if not isinstance(made.genes, tuple | list) or not all(isinstance(gene, Gene) for gene in made.genes):
        raise SpecError(f"{what}: its genes must be a tuple of moonas.Gene, are {made.genes!r}")
    return made


def check_laws(spec: ProblemSpec, encoding: Encoding) -> None:
    """Refuse an encoding of the user's own with which no search can work.

    Raises:
        SpecError: naming the law that it breaks.
    """
    if isinstance(spec.encoding, FactorySpec):
        try:
            check_coding(encoding)
        except Exception as error:  # whatever an encoding of the user's own raises
            what = f"encoding {spec.encoding.name} breaks a law: {error}"
            raise SpecError(f"{what}; moonas.testing.check_encoding checks them all") from error


def check_columns(encoding: Encoding, metrics: Sequence[str]) -> None:
    """Refuse genes that would share a column of the CSVs with something else.

    Raises:
        SpecError: naming the gene.
    """
    taken = {*COLUMNS, *metrics}
    for gene in encoding.genes:
        if gene.name in taken:
            raise SpecError(f"encoding: a gene cannot be called {gene.name}: that is another column; rename it")


def assemble_objectives(spec: ProblemSpec) -> tuple[Objective, ...]:
    """Make the objectives."""
    return tuple(Objective(use.column, use.direction, use.reference, _ideal(use)) for use in spec.objectives)


def _ideal(use: ObjectiveSpec) -> float | None:
    """The best value that a metric can have, if it is one of moonas's and wanted in the usual direction."""
    metric = METRICS.get(use.column)
    return metric.ideal if metric is not None and metric.goal == use.direction else None


def assemble_constraints(spec: ProblemSpec) -> tuple[Constraint, ...]:
    """Make the constraints, those given with objectives first."""
    return tuple(
        Constraint(use.column, use.at_most, use.at_least)
        for _, use in spec.metric_uses
        if use.at_most is not None or use.at_least is not None
    )


def assemble_budget(spec: ProblemSpec) -> Budget:
    """Make the budget."""
    hours = spec.budget.hours
    return Budget(spec.budget.trials, None if hours is None else hours * 3600)


def assemble_device(spec: ProblemSpec) -> DeviceProfile:
    """Make the device profile."""
    return DeviceProfile(**spec.device.model_dump())


def assemble_strategy(
    spec: ProblemSpec,
    encoding: Encoding,
    objectives: tuple[Objective, ...],
    constraints: tuple[Constraint, ...],
) -> Strategy:
    """Make the strategy.

    Raises:
        SpecError: if it does not take the options that the problem gives it.
    """
    settings: dict[str, Any] = {
        "encoding": encoding,
        "objectives": objectives,
        "constraints": constraints,
        "population": spec.search.population,
        "seed": spec.seed,
    }
    made, what = STRATEGIES.load(spec.search.strategy), f"strategy {spec.search.strategy}"
    if not callable(made):
        raise SpecError(f"{what}: must be a subclass of moonas.Strategy, is a {type(made).__name__}")
    try:
        inspect.signature(made).bind_partial(**settings)
    except (TypeError, ValueError) as error:
        raise SpecError(f"{what}: must take the keywords {', '.join(settings)}, as moonas.Strategy: {error}") from error
    strategy = call_with_options(partial(made, **settings), spec.search.options, what)
    if not isinstance(strategy, Strategy):
        raise SpecError(f"{what}: must give a moonas.Strategy, gives {type(strategy).__name__}")
    return strategy


def call_with_options(function: Any, options: dict[str, Any], what: str) -> Any:
    """Call with options from a file.

    Raises:
        SpecError: if there is no such option, or the call refuses its value.
    """
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError) as error:
        raise SpecError(f"{what}: {type(function).__name__} cannot be called with options: {error}") from error
    known = [p.name for p in signature.parameters.values() if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)]
    given = function.keywords if isinstance(function, partial) else {}
    known = [name for name in known if name not in given]
    for option in options:
        if option not in known:
            raise SpecError(f"{what} has no option '{option}'; {choose_from(option, known)}")
    try:
        return function(**options)
    except (Exception, SystemExit) as error:  # whatever a class of the user's own raises
        raise SpecError(
            f"{what}: {one_line(error) if not isinstance(error, TypeError | ValueError) else error}"
        ) from error


def metric_columns(spec: ProblemSpec) -> tuple[str, ...]:
    """All metrics that this problem measures: objectives, constraints, the recorded, and what comes with them."""
    wanted = [*(use.column for _, use in spec.metric_uses), *spec.record]
    if any(column in LATENCY_COLUMNS for column in wanted):
        wanted += LATENCY_COLUMNS
    return tuple(dict.fromkeys(wanted))


def load_data(spec: ProblemSpec) -> SearchData | None:
    """Load what the search may see of the data; None for a search without.

    Raises:
        DataError: if they cannot be loaded.
    """
    from moonas.training.split import load_search_data  # scikit-learn

    return None if spec.data is None else load_search_data(spec.data)


def assemble_evaluators(spec: ProblemSpec, data: SearchData | None) -> tuple[Evaluator, ...]:
    """Make the evaluators for what is to be measured.

    Raises:
        MoonasError: if a function of the user's own cannot be imported.
    """
    columns = metric_columns(spec)
    trainer = None if data is None else _trainer(spec, data)
    task = _task(spec, data)
    evaluators: list[Evaluator] = []
    static = [name for name in columns if name in METRICS and METRICS[name].source == "static"]
    if static:
        evaluators.append(StaticEvaluator(static, task))
    cheap = _functions(spec, task, "cheap")
    if cheap.functions:
        evaluators.append(FunctionEvaluator(cheap, gated=False))
    if any(name in LATENCY_COLUMNS for name in columns):
        evaluators += _latency(spec, task)
    dear = _functions(spec, trainer.task if trainer else task, "dear")
    if trainer and ("accuracy" in columns or dear.functions):
        evaluators.append(TrainingEvaluator(trainer, dear))
    elif dear.functions:
        evaluators.append(FunctionEvaluator(dear, gated=True))
    return tuple(evaluators)


def _trainer(spec: ProblemSpec, data: SearchData) -> Trainer:
    from moonas.training.trainer import Trainer  # torch

    return Trainer(data, spec.fidelity, spec.training, seed=spec.data.seed if spec.data else 0)


def load_task(spec: ProblemSpec) -> Task:
    """What the networks take and give.

    Raises:
        DataError: if the data that decide it cannot be loaded.
    """
    return _task(spec, load_data(spec))


def _task(spec: ProblemSpec, data: SearchData | None) -> Task:
    if data is not None:
        return data.task
    assert spec.task is not None, "a problem has data or a task"
    return Task(spec.task.input_shape, spec.task.classes)


def _latency(spec: ProblemSpec, task: Task) -> tuple[DryRunEvaluator, LatencyEvaluator]:
    from moonas.hardware.latency import measure
    from moonas.hardware.runtime import prepare

    device = assemble_device(spec)
    load = Loader(task, partial(prepare, device=device))
    timed = LatencyEvaluator(LATENCY_COLUMNS, load, partial(measure, device=device, seed=spec.seed))
    return DryRunEvaluator(load), timed


def _functions(spec: ProblemSpec, task: Task, cost: str) -> FunctionCaller:
    from moonas.hardware.trace import trace

    uses = (use for _, use in spec.metric_uses if use.is_function and (use.cost or "cheap") == cost)
    return FunctionCaller({use.column: _import_function(use) for use in uses}, task, assemble_device(spec), trace)


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
    """
    if spec.workers == 0:
        return InProcessExecutor(study, evaluators)
    return ProcessExecutor(
        usable_cores() if spec.workers == "auto" else spec.workers,
        start=worker.start_worker,
        arguments=(study, evaluators, spec.budget.trial_memory_gb),
        seconds=lambda study, stage, candidates: spec.budget.trial_seconds * len(candidates),
        scratch=scratch,
        is_spoiled=worker.ran_out_of_memory,
    )


def usable_cores() -> int:
    """The cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def trial_seed(study_seed: int, key: str) -> int:
    """The seed of everything random in the evaluation of one architecture, the same wherever and whenever it runs."""
    digest = hashlib.sha256(f"{study_seed}:{key}".encode()).digest()
    return int.from_bytes(digest[:6], "big")
