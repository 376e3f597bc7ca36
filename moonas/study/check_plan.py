"""What a check asks about networks, what it leaves out, and what the data say of the training that is planned."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from moonas.evaluation.evaluator import Evaluator
from moonas.evaluation.latency import DryRunEvaluator, Loader
from moonas.evaluation.looking import RunEvaluator, joined
from moonas.evaluation.table import TableEvaluator
from moonas.evaluation.training import TrainingEvaluator
from moonas.network.architecture import Task
from moonas.spec.document import dotted
from moonas.spec.metric import metric_of
from moonas.spec.problem import ProblemSpec
from moonas.study.assemble import assemble_device
from moonas.study.assemble_energy import metered
from moonas.study.assemble_evaluation import assemble_evaluators, computed_by, load_task, settled

if TYPE_CHECKING:
    from moonas.training.split import SearchData

_NEEDS = {
    "training": "needs training",
    "zero_cost": "needs passes over data",
    "latency": "is timed",
    "energy": "is metered, or modelled from a latency that is timed",
}


def cheap_evaluators(spec: ProblemSpec, data: SearchData | None) -> tuple[Evaluator, ...]:
    """What a search asks about every candidate, and in the place of timing and training a run of each network.

    It runs once in PyTorch, on an input of each shape that is timed or trained on; not where all is looked up in a
    table. Where multiply-adds are counted, which may run it, all are run that are counted, so that they fail there.

    Raises:
        MoonasError: as `assemble_evaluators`.
    """
    # Nothing is trained: which precision would be faster need not be found out.
    wanted = metered(settled(computed_by(spec, spec.training.processor, "float32"), data))
    every = assemble_evaluators(wanted, data)
    cheap = tuple(evaluator for evaluator in every if not evaluator.gated)
    if all(isinstance(evaluator, TableEvaluator) for evaluator in every):
        return cheap
    whole = data.task if data is not None else load_task(spec)
    tasks = [whole]
    if data is not None and any(isinstance(evaluator, TrainingEvaluator) for evaluator in every):
        from moonas.training.prepared import task_at  # torch

        tasks += [task_at(whole, rung) for rung in spec.rungs]
    if any("flops" in evaluator.metrics for evaluator in cheap):
        cheap, tasks = tuple(joined([*cheap, RunEvaluator((), whole)])), [task for task in tasks if task != whole]
    return *cheap, *(_dry_run(spec, task) for task in dict.fromkeys(tasks))


def _dry_run(spec: ProblemSpec, task: Task) -> DryRunEvaluator:
    from moonas.hardware.runtime import prepare  # torch

    device = replace(assemble_device(spec), runtime="torch", processor="cpu", batch=1)
    return DryRunEvaluator(Loader(task, partial(prepare, device=device)))


def unmeasured(spec: ProblemSpec, evaluators: tuple[Evaluator, ...]) -> dict[str, str]:
    """The metrics that a problem names and these evaluators do not measure, with what they need."""
    named = dict.fromkeys([*(use.column for _, use in spec.metric_uses), *spec.record])
    measured = {metric for evaluator in evaluators for metric in evaluator.metrics}
    missing = {name: metric_of(name) for name in named if name not in measured}
    return {name: _NEEDS[metric.source] if metric else "is dear" for name, metric in missing.items()}


def remarks_on_data(spec: ProblemSpec, data: SearchData | None) -> Iterator[str]:
    """On trainings that see more, or fewer, images than their problem says, or not all classes."""
    if data is None:
        return
    there, classes = len(data.train), len(data.classes) if data.target == "class" else 0
    for location, fidelity in spec.fidelities.items():
        where, samples = f"{dotted(location)}.samples", fidelity.samples
        if samples is None or location == ("phases", "validate"):  # which has a default that need not fit
            continue
        if samples > there:
            yield f"{where} is {samples:,}, and the training part has {there:,} {data.train.kind}: it uses these."
        if samples < classes:
            yield f"{where} is {samples:,}, fewer than the {classes:,} classes: some are not learnt at all."
