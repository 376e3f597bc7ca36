"""The composition root of peak memory: what computes it for the runtime of the device."""

from __future__ import annotations

from functools import partial

from moonas.evaluation.evaluator import Evaluator
from moonas.evaluation.memory import MemoryEvaluator
from moonas.network.architecture import Task
from moonas.spec.metric import MEMORY_COLUMNS
from moonas.spec.problem import ProblemSpec
from moonas.study.assemble import assemble_device
from moonas.study.columns import metric_columns


def assemble_memory(spec: ProblemSpec, task: Task) -> list[Evaluator]:
    """Make what computes peaks of memory; none for a problem without."""
    wanted = [column for column in metric_columns(spec) if column in MEMORY_COLUMNS and column not in spec.tabled]
    if not wanted:
        return []
    from moonas.hardware.memory import peak_activation_bytes  # torch
    from moonas.hardware.trace import trace

    device = assemble_device(spec)
    compute = partial(peak_activation_bytes, runtime=device.runtime, fusion=device.fusion, batch=device.batch)
    return [MemoryEvaluator(wanted, task, compute, trace)]
