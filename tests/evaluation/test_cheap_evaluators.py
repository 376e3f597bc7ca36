"""The evaluators that need no training: counts by hand, functions and what they see, latencies that fail."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import torch
from torch import nn

from moonas.evaluation.evaluator import Candidate, Failure
from moonas.evaluation.function import EvaluationContext, FunctionCaller, FunctionEvaluator
from moonas.evaluation.latency import LatencyEvaluator, Loader
from moonas.evaluation.static import StaticEvaluator
from moonas.hardware.trace import trace
from moonas.network.architecture import Architecture, Task
from moonas.network.staged_cnn import StagedCNN, Stem

TASK = Task((3, 8, 8), 10)
LATENCIES = ("latency_ms", "latency_median_ms", "latency_p90_ms", "latency_uncertainty")


@dataclass(frozen=True)
class Custom(Architecture):
    """An architecture that builds what `make` makes."""

    make: Callable[[], nn.Module]
    family: ClassVar[str] = "custom"

    def build(self, task: Task) -> nn.Module:
        return self.make()


def by_hand() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1, bias=False),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Conv2d(4, 4, 3, stride=2, padding=1, groups=4),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 10),
    )


def impossible() -> nn.Module:
    raise ValueError("no such network")


def static(make: Callable[[], nn.Module], *metrics: str) -> Any:
    return StaticEvaluator(metrics, TASK).evaluate([Candidate(Custom(make), seed=0)])[0]


# --- counts


def test_parameters_by_hand() -> None:
    assert static(by_hand, "params") == {"params": 3 * 4 * 9 + 2 * 4 + (4 * 9 + 4) + (4 * 10 + 10)}


def test_size_by_hand() -> None:
    # Batch normalisation stores a mean and a variance for each channel, and a count of batches in 8 bytes.
    floats = 3 * 4 * 9 + 2 * 4 + (4 * 9 + 4) + (4 * 10 + 10) + 2 * 4
    assert static(by_hand, "size_mb") == {"size_mb": pytest.approx((4 * floats + 8) / 1e6, rel=1e-12)}


def test_flops_by_hand() -> None:
    """By the rules of fvcore: two for each normalised value, one for each pooled one, none for activations."""
    convolutions = 8 * 8 * 4 * 3 * 9 + 4 * 4 * 4 * 9
    assert static(by_hand, "flops") == {"flops": convolutions + 2 * 8 * 8 * 4 + 4 * 4 * 4 + 4 * 10}


def test_a_network_that_cannot_be_built_fails_alone_and_the_order_stays() -> None:
    candidates = [Candidate(Custom(make), seed=0) for make in (by_hand, impossible, lambda: nn.Conv2d(3, 2, 1))]
    good, bad, other = StaticEvaluator(["params"], TASK).evaluate(candidates)
    assert good == {"params": 206}
    assert bad == Failure("ValueError: no such network")
    assert other == {"params": 8}


def test_a_network_of_half_precision_is_half_as_large() -> None:
    full, half = (
        static(make, "size_mb")["size_mb"] for make in (lambda: nn.Linear(8, 8), lambda: nn.Linear(8, 8).half())
    )
    assert half == pytest.approx(full / 2)


# --- functions


class CountingTracer:
    """Traces, and counts how often."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, module: Any, input_shape: Any) -> tuple[Any, ...]:
        self.calls += 1
        return trace(module, input_shape)


def functions(tracer: Any = trace, **named: Any) -> FunctionEvaluator:
    return FunctionEvaluator(FunctionCaller(named, TASK, "device", tracer), gated=False)


NET = Candidate(StagedCNN(Stem(4), ()), seed=3)


def test_a_function_evaluator_is_called_what_its_functions_are_called() -> None:
    made = functions(first=lambda module, context: 1, second=lambda module, context: 2)
    assert made.metrics == ("first", "second")
    assert not made.gated
    assert made.evaluate([NET]) == [{"first": 1, "second": 2}]


def test_operations_are_traced_when_first_needed_and_once() -> None:
    def unused(module: nn.Module, context: EvaluationContext) -> float:
        return 1.0

    def used(module: nn.Module, context: EvaluationContext) -> float:
        return sum(operation.multiply_adds for operation in context.operations) + 0 * len(context.operations)

    tracer = CountingTracer()
    functions(tracer, unused=unused).evaluate([NET])
    assert tracer.calls == 0
    (outcome,) = functions(tracer, used=used, again=used).evaluate([NET])
    assert tracer.calls == 1
    assert outcome == {"used": 8 * 8 * 4 * 3 * 9 + 4 * 10, "again": 8 * 8 * 4 * 3 * 9 + 4 * 10}


def test_one_candidate_that_breaks_a_function_fails_alone() -> None:
    def width(module: Any, context: EvaluationContext) -> float:
        if context.seed == 1:
            raise KeyError("width")
        return context.architecture.stem.width  # type: ignore[attr-defined]

    candidates = [Candidate(StagedCNN(Stem(4 + seed), ()), seed) for seed in range(3)]
    outcomes = functions(width=width).evaluate(candidates)
    assert outcomes == [{"width": 4}, Failure("KeyError: 'width'"), {"width": 6}]


def test_a_function_that_gives_no_number_fails_by_its_name() -> None:
    (outcome,) = functions(energy_mj=lambda module, context: float("nan")).evaluate([NET])
    assert outcome == Failure("energy_mj is NaN")


# --- latency


def latency(widths: Sequence[int], prepare: Any, measure: Any) -> list[Any]:
    candidates = [Candidate(StagedCNN(Stem(width), ()), seed=0) for width in widths]
    return LatencyEvaluator(LATENCIES, Loader(TASK, prepare), measure).evaluate(candidates)


def prepare_if(good: Callable[[int], bool]) -> Any:
    """Make an inference that gives the width of the network, or breaks."""

    def prepare(module: nn.Module, input_shape: Sequence[int]) -> Any:
        assert tuple(input_shape) == TASK.input_shape
        width = next(module.parameters()).shape[0]

        def infer() -> int:
            if not good(width):
                raise RuntimeError(f"no kernel for {width}")
            return width

        return infer

    return prepare


class Measure:
    """Takes the width for the latency, and remembers what it timed."""

    def __init__(self, *, best: Callable[[int], float] = float) -> None:
        self.timed: list[list[int]] = []
        self.best = best

    def __call__(self, inferences: Sequence[Any]) -> list[Any]:
        widths = [inference() for inference in inferences]
        self.timed.append(widths)
        return [
            SimpleNamespace(best=self.best(w), median=w + 1.0, p90=w + 2.0, uncertainty=0.0, wall=None) for w in widths
        ]


def test_those_that_run_are_timed_in_one_batch_and_in_order() -> None:
    measure = Measure()
    outcomes = latency([5, 4, 7, 6, 9], prepare_if(lambda width: width not in (4, 6)), measure)
    assert measure.timed == [[5, 7, 9]]
    assert [getattr(outcome, "reason", None) or outcome["latency_ms"] for outcome in outcomes] == [
        5.0,
        "RuntimeError: no kernel for 4",
        7.0,
        "RuntimeError: no kernel for 6",
        9.0,
    ]
    assert set(outcomes[0]) == set(LATENCIES)


def test_where_none_runs_all_fail() -> None:
    outcomes = latency([4, 5], prepare_if(lambda width: False), Measure())
    assert all(isinstance(outcome, Failure) for outcome in outcomes)


def test_a_latency_that_is_no_number_fails_its_candidate() -> None:
    good, bad = latency([4, 5], prepare_if(lambda width: True), Measure(best=lambda w: float("nan") if w == 5 else w))
    assert good["latency_ms"] == 4.0
    assert bad == Failure("latency_ms is NaN")


def test_a_network_that_cannot_be_built_is_not_timed() -> None:
    measure = Measure()
    evaluator = LatencyEvaluator(LATENCIES, Loader(TASK, prepare_if(lambda width: True)), measure)
    assert evaluator.together
    assert evaluator.gated
    bad, good = evaluator.evaluate([Candidate(Custom(impossible), seed=0), NET])
    assert bad == Failure("ValueError: no such network")
    assert good["latency_ms"] == 4.0  # type: ignore[index]
    assert measure.timed == [[4]]


@pytest.mark.parametrize("kind", ["static", "latency"])
def test_building_a_network_leaves_the_global_generator_alone(kind: str) -> None:
    # As training and functions do: whoever draws from it beside a search gets the same numbers.
    before = torch.get_rng_state()
    if kind == "static":
        static(by_hand, "params")
    else:
        latency([4], prepare_if(lambda width: True), Measure())
    assert torch.equal(torch.get_rng_state(), before)
