"""Those who look at networks share one module and one trace."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from moonas.evaluation.evaluator import Candidate, Failure
from moonas.evaluation.latency import PredictedLatencyEvaluator
from moonas.evaluation.looking import BuiltNetwork, JointEvaluator, LookingEvaluator, RunEvaluator, joined
from moonas.evaluation.pending import Pending
from moonas.evaluation.static import StaticEvaluator, count_flops
from moonas.hardware.predict import LatencyModel
from moonas.hardware.roofline import Roofline
from moonas.hardware.trace import trace
from moonas.network.architecture import Architecture, Task

TASK = Task((1, 8, 8), 10)


@dataclass(frozen=True)
class Layer(Architecture):
    """One convolution, whose builds are counted."""

    built: list[nn.Module] = field(default_factory=list, compare=False)

    def build(self, task: Task) -> nn.Module:
        self.built.append(nn.Conv2d(task.input_shape[0], 2, 3))
        return self.built[-1]


class Traced:
    """Traces, and counts how often."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def __call__(self, module: nn.Module, input_shape: Any, *, batch: int) -> Any:
        self.batches.append(batch)
        return trace(module, input_shape, batch=batch)


class Refusing(nn.Conv2d):
    """Wants to know values."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return super().forward(images) if float(images.sum()) == 0 else images


@dataclass(frozen=True)
class AsksForValues(Architecture):
    def build(self, task: Task) -> nn.Module:
        return Refusing(task.input_shape[0], 2, 3)


class Broken(LookingEvaluator):
    def look(self, network: BuiltNetwork) -> Mapping[str, float]:
        raise ValueError("not this one")


def predicting(trace: Any) -> PredictedLatencyEvaluator:
    return PredictedLatencyEvaluator(["latency_ms"], TASK, {"": LatencyModel(1, (), Roofline(kernel_us=1000))}, trace)


def test_a_network_is_built_and_traced_once_for_all() -> None:
    traced, layer = Traced(), Layer()
    parts = [StaticEvaluator(["params", "flops"], TASK, traced), predicting(traced), RunEvaluator((), TASK)]
    (joint,) = joined(parts)
    (outcome,) = joint.evaluate([Candidate(layer, 0)])
    assert outcome == {"params": 20, "flops": 2 * 9 * 36, "latency_ms": 1.0}
    assert joint.metrics == ("params", "flops", "latency_ms")
    assert len(layer.built) == 1
    assert traced.batches == [1]


def test_together_they_find_what_each_finds_alone() -> None:
    parts = [StaticEvaluator(["params", "flops", "size_mb"], TASK, trace), predicting(trace)]
    candidates = [Candidate(Layer(), seed) for seed in range(2)]
    alone = [part.evaluate(candidates) for part in parts]
    assert JointEvaluator(parts).evaluate(candidates) == [{**a, **b} for a, b in zip(*alone, strict=True)]  # type: ignore[dict-item]


def test_others_stay_as_they_are_in_their_order() -> None:
    class Other(StaticEvaluator):
        gated = True

    first, other, second = StaticEvaluator(["params"], TASK), Other(["flops"], TASK), RunEvaluator((), TASK)
    joint, last = joined([first, other, second])
    assert isinstance(joint, JointEvaluator)
    assert last is other
    assert joined([first, other]) == [first, other]
    elsewhere = StaticEvaluator(["params"], Task((3, 8, 8), 10))
    assert joined([first, elsewhere]) == [first, elsewhere]


def test_a_network_of_which_one_finds_nothing_fails_alone_and_keeps_what_others_found() -> None:
    (joint,) = joined([StaticEvaluator(["params"], TASK), Broken(["odd"], TASK)])
    (failed,) = joint.evaluate([Candidate(Layer(), 0)])
    assert isinstance(failed, Failure)
    assert failed.reason.startswith("ValueError: not this one")
    assert failed.found == {"params": 20}
    pending = Pending(0, (0,), Candidate(Layer(), 0))
    pending.take(failed, 0.5)
    assert (pending.failure, pending.metrics) == (failed.reason, {"params": 20})


class Doubled(LookingEvaluator):
    """Builds on what another found."""

    def look(self, network: BuiltNetwork) -> Mapping[str, float]:
        return {"doubled": 2 * network.known["params"] + network.known["told"]}


def test_who_looks_later_knows_what_was_found_before() -> None:
    (joint,) = joined([StaticEvaluator(["params"], TASK), Doubled(["doubled"], TASK)])
    candidate = Candidate(Layer(), 0, known={"told": 2})
    assert joint.evaluate([candidate]) == [{"params": 20, "doubled": 42}]
    assert candidate.known == {"told": 2}


def test_a_network_that_cannot_be_traced_is_counted_by_fvcore() -> None:
    (outcome,) = StaticEvaluator(["flops"], TASK, trace).evaluate([Candidate(AsksForValues(), 0)])
    assert outcome == {"flops": count_flops(AsksForValues().build(TASK).eval(), TASK.input_shape)}


def test_a_network_that_cannot_run_fails() -> None:
    @dataclass(frozen=True)
    class Wrong(Architecture):
        def build(self, task: Task) -> nn.Module:
            return nn.Linear(3, 3)

    (outcome,) = RunEvaluator((), TASK).evaluate([Candidate(Wrong(), 0)])
    assert isinstance(outcome, Failure)
    assert "mat1 and mat2" in outcome.reason
