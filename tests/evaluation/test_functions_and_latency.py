from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

import moonas
from moonas.evaluation.evaluator import Candidate, Failure
from moonas.evaluation.function import EvaluationContext, FunctionCaller, FunctionEvaluator
from moonas.evaluation.latency import FrontLatencyEvaluator, LatencyEvaluator, Loader
from moonas.evaluation.training import TrainingEvaluator
from moonas.hardware.trace import trace
from moonas.network.staged_cnn import StagedCNN, Stem

TASK = moonas.Task((1, 8, 8), 10)
CANDIDATE = Candidate(StagedCNN(Stem(4), ()), seed=11)


def caller(**functions: Any) -> FunctionCaller:
    return FunctionCaller(functions, TASK, device="the device", tracer=trace)


def test_a_function_gets_the_module_and_its_context() -> None:
    seen: dict[str, Any] = {}

    def metric(module: nn.Module, context: EvaluationContext) -> float:
        seen.update(module=module, context=context, training=module.training)
        return len(context.operations)

    (outcome,) = FunctionEvaluator(caller(metric=metric), gated=False).evaluate([CANDIDATE])
    context = seen["context"]
    assert (context.architecture, context.task, context.device, context.seed) == (
        CANDIDATE.architecture,
        TASK,
        "the device",
        11,
    )
    assert context.validation is None
    assert not seen["training"]
    assert outcome == {"metric": len(context.operations)}
    assert "convolution" in {operation.kind for operation in context.operations}


def test_the_weights_a_function_sees_depend_on_the_seed_alone() -> None:
    def weight(module: nn.Module, context: EvaluationContext) -> float:
        return float(next(module.parameters()).detach().sum() + torch.rand(1))

    evaluator = FunctionEvaluator(caller(weight=weight), gated=False)
    state = torch.get_rng_state()
    first, again = evaluator.evaluate([CANDIDATE, CANDIDATE])
    (other,) = evaluator.evaluate([Candidate(CANDIDATE.architecture, seed=12)])
    assert first == again != other
    assert torch.equal(torch.get_rng_state(), state)


def test_a_function_that_raises_fails_its_candidate() -> None:
    def broken(module: nn.Module, context: EvaluationContext) -> float:
        return 1 / 0

    (outcome,) = FunctionEvaluator(caller(broken=broken), gated=False).evaluate([CANDIDATE])
    assert outcome == Failure("ZeroDivisionError: division by zero")


class FakeTrainer:
    """Trains nothing; accuracy and module depend on the seed."""

    metric = "accuracy"
    seeds = 2
    task = TASK
    validation = (torch.zeros(3, 1, 8, 8), torch.zeros(3, dtype=torch.long))

    def fit(self, architecture: Any, *, seed: int, losses: list[float]) -> nn.Module:
        losses += [float(seed), 1.0]
        module: nn.Module = architecture.build(self.task)
        module.seed = seed  # type: ignore[assignment]
        return module

    def score(self, module: Any) -> float:
        return 0.5 if module.seed == 11 else 0.7


def test_accuracy_and_dear_functions_are_means_over_the_seeds() -> None:
    def shown(module: Any, context: EvaluationContext) -> float:
        assert context.validation is not None
        assert torch.equal(context.validation[0], FakeTrainer.validation[0])
        return float(module.seed)

    (outcome,) = TrainingEvaluator(FakeTrainer(), caller(shown=shown)).evaluate([CANDIDATE])
    assert outcome == {"accuracy": pytest.approx(0.6), "training_loss": 6.25, "shown": 11.5}


def test_of_a_timed_batch_only_the_broken_network_fails_and_the_order_stays() -> None:
    widths = [4, 8, 12, 16]

    def prepare(module: nn.Module, input_shape: Sequence[int]) -> Any:
        width = next(module.parameters()).shape[0]
        if width == 8:
            raise RuntimeError("cannot be exported")

        def infer() -> int:
            if width == 12:
                raise RuntimeError("cannot be run")
            return width

        return infer

    def measure(inferences: Sequence[Any]) -> list[Any]:
        return [SimpleNamespace(best=float(f()), median=2.0, p90=3.0, uncertainty=0.1, wall=None) for f in inferences]

    candidates = [Candidate(StagedCNN(Stem(width), ()), seed=0) for width in widths]
    outcomes = LatencyEvaluator(("latency_ms",), Loader(TASK, prepare), measure).evaluate(candidates)
    assert outcomes[0] == {
        "latency_ms": 4.0,
        "latency_median_ms": 2.0,
        "latency_p90_ms": 3.0,
        "latency_uncertainty": 0.1,
    }
    assert outcomes[1] == Failure("RuntimeError: cannot be exported")
    assert outcomes[2] == Failure("RuntimeError: cannot be run")
    assert outcomes[3]["latency_ms"] == 16.0  # type: ignore[index]


def test_timings_of_a_front_tell_how_well_they_went_and_in_what_company() -> None:
    def prepare(module: nn.Module, input_shape: Sequence[int]) -> Any:
        if next(module.parameters()).shape[0] == 8:
            raise RuntimeError("cannot be exported")
        return lambda: None

    def measure(inferences: Sequence[Any]) -> list[Any]:
        timed = {"best": 1.0, "median": 2.0, "p90": 3.0, "uncertainty": 0.1}
        return [SimpleNamespace(**timed, repeatability=0.02, cpu_over_wall=0.99, wall=None) for _ in inferences]

    candidates = [Candidate(StagedCNN(Stem(width), ()), seed=0) for width in (4, 8, 12)]
    outcomes = FrontLatencyEvaluator(("latency_ms",), Loader(TASK, prepare), measure).evaluate(candidates)
    how = {"repeatability": 0.02, "cpu_over_wall": 0.99, "timed_together": 2}
    times = {"latency_ms": 1.0, "latency_median_ms": 2.0, "latency_p90_ms": 3.0, "latency_uncertainty": 0.1}
    assert outcomes == [times | how, Failure("RuntimeError: cannot be exported"), times | how]


def test_of_a_gpu_it_is_told_when_a_result_is_there() -> None:
    timed = SimpleNamespace(best=1.0, median=2.0, p90=3.0, uncertainty=0.1, wall=2.5)
    evaluator = LatencyEvaluator(("latency_ms",), Loader(TASK, lambda *_: None), lambda _: [timed])
    assert evaluator.values(timed)["latency_wall_ms"] == 2.5
