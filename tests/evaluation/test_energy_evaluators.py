from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from torch import nn

import moonas
from moonas.evaluation.asking import Asking
from moonas.evaluation.energy import MeteredEnergyEvaluator, ModelledEnergyEvaluator
from moonas.evaluation.evaluator import Candidate, Evaluator, Failure
from moonas.evaluation.latency import Loader
from moonas.evaluation.pending import Pending
from moonas.network.staged_cnn import StagedCNN, Stem
from moonas.study.executor import InProcessExecutor

TASK = moonas.Task((1, 8, 8), 10)
METRICS = ("energy_mj", "energy_above_idle_mj", "power_w", "energy_uncertainty")


def candidate(width: int, **known: float) -> Candidate:
    return Candidate(StagedCNN(Stem(width), ()), seed=0, known=known)


def width_of(module: nn.Module) -> int:
    return next(module.parameters()).shape[0]


def test_of_a_metered_batch_each_network_gets_its_own_and_only_the_broken_one_fails() -> None:
    def prepare(module: nn.Module, input_shape: Sequence[int]) -> Any:
        width = width_of(module)
        if width == 8:
            raise RuntimeError("cannot be exported")
        return lambda: width

    def measure(inferences: Sequence[Any]) -> list[Any]:
        return [
            SimpleNamespace(energy_mj=f() * 2.0, above_idle_mj=f() * 1.0, power_w=5.0, uncertainty=0.02)
            for f in inferences
        ]

    evaluator = MeteredEnergyEvaluator(METRICS, Loader(TASK, prepare), measure)
    outcomes = evaluator.evaluate([candidate(4), candidate(8), candidate(12)])
    assert outcomes[0] == {
        "energy_mj": 8.0,
        "energy_above_idle_mj": 4.0,
        "power_w": 5.0,
        "energy_uncertainty": 0.02,
    }
    assert outcomes[1] == Failure("RuntimeError: cannot be exported")
    assert isinstance(outcomes[2], Mapping)
    assert outcomes[2]["energy_mj"] == 24.0
    assert evaluator.together


def test_a_batch_of_which_nothing_runs_is_not_metered() -> None:
    def prepare(module: nn.Module, input_shape: Sequence[int]) -> Any:
        raise RuntimeError("cannot be exported")

    def measure(inferences: Sequence[Any]) -> list[Any]:
        raise AssertionError("seconds at rest for nothing")

    (outcome,) = MeteredEnergyEvaluator(METRICS, Loader(TASK, prepare), measure).evaluate([candidate(4)])
    assert outcome == Failure("RuntimeError: cannot be exported")


def modelled() -> ModelledEnergyEvaluator:
    def trace(module: nn.Module, input_shape: Sequence[int], *, batch: int) -> Any:
        assert not module.training
        assert (tuple(input_shape), batch) == (TASK.input_shape, 3)
        return [width_of(module)]

    def estimate(operations: Sequence[Any], latency_ms: float) -> Any:
        energy_mj = operations[0] * latency_ms
        return SimpleNamespace(energy_mj=energy_mj, above_idle_mj=1.0, power_w=energy_mj / latency_ms, uncertainty=None)

    return ModelledEnergyEvaluator(METRICS, TASK, trace, estimate, batch=3, gated=True)


def test_modelled_energy_takes_the_latency_that_is_known_of_the_network() -> None:
    outcomes = modelled().evaluate([candidate(4, latency_ms=0.5), candidate(8, latency_ms=2.0)])
    assert outcomes == [
        {"energy_mj": 2.0, "energy_above_idle_mj": 1.0, "power_w": 4.0},
        {"energy_mj": 16.0, "energy_above_idle_mj": 1.0, "power_w": 8.0},
    ]


def test_without_a_latency_there_is_no_modelled_energy() -> None:
    (outcome,) = modelled().evaluate([candidate(4, flops=100)])
    assert outcome == Failure("energy is modelled from latency_ms, which is not known of this network")


class Known(Evaluator):
    """Tells what it is told."""

    metrics = ("heard",)

    def evaluate(self, candidates: Sequence[Candidate]) -> list[Any]:
        return [{"heard": each.known.get("latency_ms", -1.0)} for each in candidates]


@pytest.mark.parametrize("together", [False, True])
def test_evaluators_are_told_what_was_measured_before(together: bool) -> None:
    batch = [Pending(i, (0,), candidate(4 * i + 4), {"latency_ms": float(i)}) for i in range(3)]
    asking = Asking(InProcessExecutor("known", [Known()]), "known")
    answered = list(asking.ask(0, batch, together=together))
    assert {pending.number: pending.metrics["heard"] for pending in answered} == {0: 0.0, 1: 1.0, 2: 2.0}


def test_a_candidate_is_the_same_whatever_is_known_of_it() -> None:
    one = candidate(4)
    assert one == replace(one, known={"latency_ms": 1.0})
    assert hash(one) == hash(replace(one, known={"latency_ms": 1.0}))
