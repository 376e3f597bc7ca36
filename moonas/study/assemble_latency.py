"""The composition root of latencies: timed on this machine, or predicted of others."""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path

from moonas.errors import MoonasError, SpecError
from moonas.evaluation.evaluator import Evaluator
from moonas.evaluation.latency import DryRunEvaluator, LatencyEvaluator, Loader, PredictedLatencyEvaluator
from moonas.network.architecture import Task
from moonas.spec.device import HERE, DeviceSpec
from moonas.spec.metric import LATENCY_COLUMNS, metric_of
from moonas.spec.problem import ProblemSpec
from moonas.study.assemble import assemble_device, assemble_latency_model
from moonas.study.columns import metric_columns, predicted_devices
from moonas.study.environment import differences, machine


def assemble_latency(spec: ProblemSpec, task: Task) -> list[Evaluator]:
    """Make what gives latencies, of as many devices as the problem names; none for one without.

    Raises:
        MoonasError: if a table cannot be read, or was not measured here and should have been.
    """
    made: list[Evaluator] = []
    predicted = predicted_devices(spec)
    if predicted:
        made.append(_predicting(spec, task, predicted))
    if spec.device.is_live and wants_latency(spec):
        made += assemble_timing(spec, task)
    return made


def wants_latency(spec: ProblemSpec) -> bool:
    """Whether latencies of the problem's own device are wanted, and not looked up in a table."""
    return any(column in LATENCY_COLUMNS and column not in spec.tabled for column in metric_columns(spec))


def _predicting(spec: ProblemSpec, task: Task, predicted: dict[str, DeviceSpec]) -> Evaluator:
    from moonas.hardware.trace import trace  # torch

    for device in predicted.values():
        _refuse_other_machine(device)
    models = {column.removeprefix("latency_ms"): assemble_latency_model(each) for column, each in predicted.items()}
    coverages = [column for column in metric_columns(spec) if _is_of_prediction(column) and column not in spec.tabled]
    return PredictedLatencyEvaluator([*predicted, *coverages], task, models, trace)


def _is_of_prediction(column: str) -> bool:
    metric = metric_of(column)
    return metric is not None and metric.source == "prediction"


def _refuse_other_machine(device: DeviceSpec) -> None:
    """Refuse to take a table of another machine for this one.

    Raises:
        SpecError: with what differs.
    """
    difference = elsewhere(device) if device.name == HERE and device.table is not None else ""
    if difference:
        raise SpecError(
            f"device.table: {device.table} was not measured on this machine ({difference}), which device: here is; "
            "measure one by `moonas profile NAME --encoding E`, or give its profile by name: it predicts for where it "
            "was measured"
        )


def elsewhere(device: DeviceSpec) -> str:
    """How the machine on which a table was measured differs from this one; empty if they agree."""
    if device.machine is None:
        return "its profile names no machine"
    before, now = device.machine.model_dump(), machine(device.runtime, on_gpu=device.processor == "cuda").model_dump()
    unknown = [name for name, value in now.items() if value == "unknown"]
    if unknown:
        return f"nobody knows the {unknown[0]} of this machine"
    return "; ".join(differences(before, now))


def why_not_timed(spec: ProblemSpec) -> str:
    """Why networks of the device cannot be timed here, in one sentence; empty if they can, or nobody wants to know."""
    device = spec.device
    if device.is_live or not wants_latency(spec):
        return ""
    what = "The latencies of the front were not measured"
    if device.table is None:
        return f"{what}: {device.name} has no table of kernels that was measured on this machine."
    difference = elsewhere(device)
    return f"{what}: the table of {device.name} was not measured on this machine ({difference})." if difference else ""


def assemble_timing(spec: ProblemSpec, task: Task) -> tuple[Evaluator, ...]:
    """Make what times networks on the device of the problem, after a dry run of each."""
    from moonas.hardware.latency import measure  # torch
    from moonas.hardware.runtime import prepare

    device = assemble_device(spec)
    load = Loader(task, partial(prepare, device=device))
    timed = LatencyEvaluator(
        LATENCY_COLUMNS, load, partial(measure, device=device, patience=device.rounds, seed=spec.seed)
    )
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
