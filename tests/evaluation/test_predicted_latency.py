"""Latencies predicted of several devices at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from torch import nn

import moonas
from moonas.evaluation.evaluator import Candidate, Failure
from moonas.evaluation.latency import PredictedLatencyEvaluator
from moonas.hardware.predict import LatencyModel
from moonas.hardware.roofline import Roofline
from moonas.hardware.table import KernelTable
from moonas.hardware.trace import trace

TASK = moonas.Task((1, 8, 8), 10)
PI, GPU = Roofline(kernel_us=30, dense_ps=70), Roofline(call_us=500)


@dataclass
class Tracer:
    """Traces, and remembers the batches."""

    batches: list[int] = field(default_factory=list)

    def __call__(self, module: nn.Module, input_shape: Any, *, batch: int) -> Any:
        self.batches.append(batch)
        return trace(module, input_shape, batch=batch)


def model(costs: Roofline | KernelTable, batch: int = 1) -> LatencyModel:
    return LatencyModel(batch, (), costs)


@pytest.fixture(scope="module")
def candidates() -> list[Candidate]:
    encoding = moonas.load(
        {"encoding": "tiny_cnn", "objectives": [{"metric": "params"}], "task": vars_of(TASK)}
    ).encoding
    return [Candidate(encoding.decode(each), 0) for each in [(0,) * 7, tuple(size - 1 for size in encoding.sizes)]]


def vars_of(task: moonas.Task) -> dict[str, Any]:
    return {"input_shape": list(task.input_shape), "classes": task.classes}


def test_each_device_has_a_metric_and_gives_what_its_model_predicts(candidates: list[Candidate]) -> None:
    models = {"": model(PI), "@gpu": model(GPU)}
    evaluator = PredictedLatencyEvaluator(["latency_ms", "latency_ms@gpu"], TASK, models, trace)
    outcomes = evaluator.evaluate(candidates)
    for candidate, outcome in zip(candidates, outcomes, strict=True):
        assert not isinstance(outcome, Failure)
        expected = models[""].predict(candidate.architecture.build(TASK).eval(), TASK.input_shape)
        assert outcome["latency_ms"] == pytest.approx(expected.latency_ms)
        assert outcome["latency_ms@gpu"] == 0.5
    assert evaluator.evaluate(candidates) == outcomes


def test_a_network_is_traced_once_for_all_devices_of_one_batch(candidates: list[Candidate]) -> None:
    tracer = Tracer()
    models = {"@a": model(PI), "@b": model(GPU), "@c": model(PI, batch=4)}
    metrics = [f"latency_ms{suffix}" for suffix in models]
    (outcome,) = PredictedLatencyEvaluator(metrics, TASK, models, tracer).evaluate(candidates[:1])
    assert sorted(tracer.batches) == [1, 4]
    assert list(outcome) == metrics


def test_a_coverage_is_given_where_it_is_wanted(candidates: list[Candidate]) -> None:
    models = {"": model(PI), "@mine": model(KernelTable())}
    evaluator = PredictedLatencyEvaluator(["latency_ms", "latency_ms@mine", "coverage@mine"], TASK, models, trace)
    (outcome,) = evaluator.evaluate(candidates[:1])
    assert outcome["coverage@mine"] == 0
    assert "coverage" not in outcome


def test_every_candidate_is_asked_about_before_limits_are_looked_at() -> None:
    evaluator = PredictedLatencyEvaluator(["latency_ms"], TASK, {"": model(PI)}, trace)
    assert not evaluator.gated
    assert not evaluator.together


def test_a_network_that_cannot_be_traced_fails_alone(candidates: list[Candidate]) -> None:
    def refuse(module: nn.Module, input_shape: Any, *, batch: int) -> Any:
        if sum(each.numel() for each in module.parameters()) > 1000:
            raise ValueError("too large")
        return trace(module, input_shape, batch=batch)

    evaluator = PredictedLatencyEvaluator(["latency_ms"], TASK, {"": model(PI)}, refuse)
    small, large = evaluator.evaluate(candidates)
    assert not isinstance(small, Failure)
    assert isinstance(large, Failure)
    assert large.reason.startswith("ValueError: too large")
