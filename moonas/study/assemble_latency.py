"""The composition root of latencies: timed on this machine, or predicted of others."""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path

from moonas.errors import MoonasError, SpecError
from moonas.evaluation.evaluator import Evaluator
from moonas.evaluation.latency import DryRunEvaluator, LatencyEvaluator, Loader, PredictedLatencyEvaluator
from moonas.network.architecture import Task
from moonas.spec.device import DeviceSpec
from moonas.spec.metric import metric_of
from moonas.spec.problem import ProblemSpec
from moonas.study.assemble import assemble_device, assemble_latency_model
from moonas.study.columns import metric_columns, predicted_devices, timed_columns
from moonas.study.this_machine import refuse_other_machine, wants_latency


def assemble_latency(spec: ProblemSpec, task: Task) -> list[Evaluator]:
    """Make what gives latencies, of as many devices as the problem names; none for one without.

    Raises:
        MoonasError: if a table cannot be read, or was not measured here and should have been; if a GPU is to be timed
            and there is none.
    """
    made: list[Evaluator] = []
    predicted = predicted_devices(spec)
    if predicted:
        made.append(_predicting(spec, task, predicted))
    if spec.device.is_live and wants_latency(spec):
        if spec.device.processor == "cuda" and not _has_gpu():
            raise SpecError("device.processor is cuda, and PyTorch finds no GPU here; set it to cpu")
        made += assemble_timing(spec, task)
    return made


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def _predicting(spec: ProblemSpec, task: Task, predicted: dict[str, DeviceSpec]) -> Evaluator:
    from moonas.hardware.trace import trace  # torch

    for device in predicted.values():
        refuse_other_machine(device)
    models = {column.removeprefix("latency_ms"): assemble_latency_model(each) for column, each in predicted.items()}
    coverages = [column for column in metric_columns(spec) if _is_of_prediction(column) and column not in spec.tabled]
    return PredictedLatencyEvaluator([*predicted, *coverages], task, models, trace)


def _is_of_prediction(column: str) -> bool:
    metric = metric_of(column)
    return metric is not None and metric.source == "prediction"


def assemble_timing(
    spec: ProblemSpec, task: Task, *, evaluator: type[LatencyEvaluator] = LatencyEvaluator
) -> tuple[Evaluator, ...]:
    """Make what times networks on the device of the problem, after a dry run of each.

    Args:
        spec: the problem.
        task: of the networks.
        evaluator: says what is told of each timing.
    """
    from moonas.hardware.latency import measure  # torch
    from moonas.hardware.runtime import prepare

    device = assemble_device(spec)
    load = Loader(task, partial(prepare, device=device))
    timing = partial(measure, device=device, patience=device.rounds, seed=spec.seed)
    timed = evaluator(timed_columns(spec.device), load, timing)
    return DryRunEvaluator(load), timed


def kernels_fingerprint(spec: ProblemSpec) -> dict[str, str]:
    """What tells one table of kernels from another, for each column that is predicted from one.

    Raises:
        MoonasError: if one cannot be read.
    """
    tables = {column: Path(each.table) for column, each in predicted_devices(spec).items() if each.table is not None}
    try:
        return {column: hashlib.sha256(path.read_bytes()).hexdigest() for column, path in tables.items()}
    except OSError as error:
        raise MoonasError(f"{error.filename} cannot be read: {error.strerror}") from error
