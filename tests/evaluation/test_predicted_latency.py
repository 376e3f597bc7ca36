"""Latencies predicted of several devices at once."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import pytest
from torch import nn

import moonas
from moonas.evaluation.evaluator import Candidate, Failure
from moonas.evaluation.latency import PredictedLatencyEvaluator
from moonas.hardware.kernel_times import CALL, KernelTime
from moonas.hardware.predict import LatencyModel
from moonas.hardware.roofline import Roofline, Work
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
    models = {"": model(PI), "@mine": model(table(call=5, others=100))}
    evaluator = PredictedLatencyEvaluator(["latency_ms", "latency_ms@mine", "coverage@mine"], TASK, models, trace)
    (outcome,) = evaluator.evaluate(candidates[:1])
    assert 0 < outcome["coverage@mine"] == pytest.approx(0.005 / outcome["latency_ms@mine"])
    assert "coverage" not in outcome


def table(*, call: float, others: float, count: int = 6) -> KernelTable:
    """Of a call, and of kernels that no network has."""
    made_up = [KernelTime(f"kernel {i}", others + i, 0, Work(calls=0, kernels=1, dense=1000 * i)) for i in range(count)]
    return KernelTable([KernelTime(CALL, call, 0, Work(calls=1)), *made_up])


@pytest.mark.parametrize(
    ("costs", "reason"),
    [
        (table(call=5, others=100, count=4), "is not in the table, and its 5 times are too few to predict others"),
        (table(call=-1e6, others=100), r"kernels add up to -\S+ microseconds, so noisy is their table; measure it"),
    ],
)
def test_a_table_that_does_not_tell_fails_its_networks(
    candidates: list[Candidate], costs: KernelTable, reason: str
) -> None:
    (outcome,) = PredictedLatencyEvaluator(["latency_ms"], TASK, {"": model(costs)}, trace).evaluate(candidates[:1])
    assert isinstance(outcome, Failure)
    assert re.search(reason, outcome.reason)


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
