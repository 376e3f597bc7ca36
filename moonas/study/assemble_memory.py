"""The composition root of peak memory: what computes it for the runtime of the device."""

from __future__ import annotations

from functools import partial

from moonas.evaluation.evaluator import Evaluator
from moonas.evaluation.memory import MemoryEvaluator
from moonas.network.architecture import Task
from moonas.spec.metric import MEMORY_COLUMNS
from moonas.spec.problem import ProblemSpec
from moonas.study.columns import metric_columns


def assemble_memory(spec: ProblemSpec, task: Task) -> list[Evaluator]:
    """Make what computes peaks of memory; none for a problem without.

    A device that is timed live names no fusion: it is known what the runtimes here join.
    """
    wanted = [column for column in metric_columns(spec) if column in MEMORY_COLUMNS and column not in spec.tabled]
    if not wanted:
        return []
    from moonas.hardware.memory import peak_activation_bytes  # torch
    from moonas.hardware.predict import FUSION
    from moonas.hardware.trace import trace

    device = spec.device
    fusion = device.fusion or FUSION.get(device.runtime, ())
    compute = partial(peak_activation_bytes, runtime=device.runtime, fusion=fusion, batch=device.batch)
    return [MemoryEvaluator(wanted, task, compute, trace)]
