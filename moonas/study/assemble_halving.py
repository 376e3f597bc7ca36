"""The composition root of what spares work: a halving of trainings, a screening before them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

from moonas.errors import SpecError
from moonas.evaluation.evaluator import Evaluator, checked
from moonas.evaluation.rungs import Memory, Rungs
from moonas.evaluation.static import StaticEvaluator
from moonas.problem.objective import Objective
from moonas.spec.document import dotted
from moonas.spec.halving import HalvingSpec, ScreenSpec
from moonas.spec.metric import METRICS, metric_of
from moonas.spec.problem import ProblemSpec
from moonas.spec.training import FidelitySpec
from moonas.study.assemble import assemble_objectives
from moonas.study.assemble_evaluation import assemble_zero_cost, tracer

if TYPE_CHECKING:
    from moonas.training.split import SearchData


def assemble_rungs(spec: ProblemSpec, data: SearchData | None, memory: Memory) -> Rungs | None:
    """Make what decides who is trained further; None for a search without halving.

    Raises:
        SpecError: as `check_fidelities`.
    """
    from moonas.strategy.halving import Bracket  # pymoo

    halving = spec.search.halving
    if data is None:
        return None
    check_fidelities(spec, data)
    if halving is None:
        return None
    count, objectives, chance = len(spec.rungs), assemble_objectives(spec), chance_of(data)
    start = partial(Bracket, rungs=count, keep=halving.keep, objectives=objectives, chance=chance)
    return Rungs(count, start, memory)


def check_fidelities(spec: ProblemSpec, data: SearchData) -> None:
    """Refuse trainings that do not fit the data.

    Raises:
        SpecError: if the data show that a training would enlarge images, or a rung takes no less work than the next.
    """
    check_resolutions(spec, data)
    if spec.search.halving is not None:
        _check_order(spec.search.halving, spec.rungs, data)


def check_resolutions(spec: ProblemSpec, data: SearchData) -> None:
    """Refuse to enlarge images, in any phase: that shows nothing new, and may take more memory than there is.

    Raises:
        SpecError: naming each key that asks for it.
    """
    sides = data.task.input_shape[1:]
    complaints = [
        f"{dotted(location)}.resolution: is {fidelity.resolution}, and the images have {sides[0]}x{sides[1]} pixels; "
        f"training may shrink images, never enlarge them: give at most {min(sides)}"
        for location, fidelity in spec.fidelities.items()
        if fidelity.resolution is not None and fidelity.resolution > min(sides)
    ]
    if complaints:
        raise SpecError("\n".join(complaints))


def _check_order(halving: HalvingSpec, rungs: Sequence[FidelitySpec], data: SearchData) -> None:
    images, side = len(data.train), min(data.task.input_shape[1:])
    for i, (work, following) in enumerate(pairwise(rung.work(images, side) for rung in rungs)):
        if work >= following:
            raise SpecError(f"search.halving.rungs.{i}: {halving.complaint(i)}")


def chance_of(data: SearchData) -> dict[str, float]:
    """The score of answering every validation input alike, as naming the commonest class: that takes no learning."""
    import torch

    from moonas.training.target import TARGETS

    target = TARGETS[data.target]
    score = target.chance(torch.from_numpy(data.val.labels))
    return {target.metric: checked(target.metric, score)}  # in as many digits as theirs


def assemble_scorers(spec: ProblemSpec, data: SearchData | None) -> tuple[Evaluator, ...]:
    """Make the evaluators of a screening: what is counted, then the score. None for a search without."""
    screen = spec.search.screen
    if screen is None or data is None:
        return ()
    score = assemble_zero_cost(spec, data, [screen.metric])
    named = [
        *(each.metric for each in screening_objectives(spec, screen)),
        *(use.column for _, use in spec.metric_uses),
    ]
    counted = list(dict.fromkeys(filter(_is_counted, named)))
    return StaticEvaluator(counted, data.task, tracer()), score


def screening_objectives(spec: ProblemSpec, screen: ScreenSpec) -> tuple[Objective, ...]:
    """By what candidates of a screening are compared: the score, and the objectives that are counted, else `flops`."""
    counted = [objective for objective in assemble_objectives(spec) if _is_counted(objective.metric)]
    return Objective(screen.metric, METRICS[screen.metric].goal), *(counted or [Objective("flops", "minimize")])


def _is_counted(column: str) -> bool:
    metric = metric_of(column)
    return metric is not None and metric.source == "static"
