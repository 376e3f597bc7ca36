"""Accuracy as a metric, with the real trainer on a few digits."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from moonas.evaluation.evaluator import Candidate, Failure
from moonas.evaluation.function import EvaluationContext, FunctionCaller
from moonas.evaluation.training import TrainingEvaluator
from moonas.hardware.trace import trace
from moonas.network.staged_cnn import Stage, StagedCNN, Stem
from moonas.spec.problem import DataSpec, FidelitySpec, TrainingSpec
from moonas.training.split import SearchData, load_search_data
from moonas.training.trainer import Trainer

NET = StagedCNN(Stem(8), (Stage("plain", 1, 16, 3, 2),))
CANDIDATE = Candidate(NET, seed=5)


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def digits() -> SearchData:
    return load_search_data(DataSpec(name="digits"))


def evaluator(digits: SearchData, *, seeds: int = 1, **functions: Any) -> TrainingEvaluator:
    trainer = Trainer(digits, FidelitySpec(epochs=2, samples=300, seeds=seeds), TrainingSpec(batch=50))
    return TrainingEvaluator(trainer, FunctionCaller(functions, digits.task, "device", trace))


def accuracy(digits: SearchData, *, seeds: int = 1, seed: int = 5, **functions: Any) -> float:
    (outcome,) = evaluator(digits, seeds=seeds, **functions).evaluate([Candidate(NET, seed)])
    assert not isinstance(outcome, Failure), outcome.reason
    return outcome["accuracy"]


def test_it_is_gated_and_names_its_metrics(digits: SearchData) -> None:
    made = evaluator(digits, robustness=lambda module, context: 1.0)
    assert made.gated
    assert not made.together
    assert made.metrics == ("accuracy", "training_loss", "robustness")


def test_accuracy_depends_on_the_seed_alone(digits: SearchData) -> None:
    once = accuracy(digits)
    torch.manual_seed(99)
    assert accuracy(digits) == once
    assert 0.1 < once < 1


def test_accuracy_over_seeds_is_the_mean_of_single_trainings(digits: SearchData) -> None:
    singles = [accuracy(digits, seed=seed) for seed in (5, 6, 7)]
    assert len(set(singles)) > 1
    assert accuracy(digits, seeds=3) == pytest.approx(sum(singles) / 3)


def test_a_dear_function_gets_the_trained_module_and_the_validation_part(digits: SearchData) -> None:
    def own_accuracy(module: nn.Module, context: EvaluationContext) -> float:
        assert not module.training
        assert context.seed == 5
        assert context.architecture == NET
        assert context.task == digits.task
        images, labels = context.validation
        assert images.shape == (len(digits.val), 1, 8, 8)
        with torch.no_grad():
            return float((module(images).argmax(dim=1) == labels).float().mean())

    (outcome,) = evaluator(digits, own_accuracy=own_accuracy).evaluate([CANDIDATE])
    assert not isinstance(outcome, Failure), outcome.reason
    assert outcome["own_accuracy"] == pytest.approx(outcome["accuracy"])


def prune_all(module: nn.Module, context: EvaluationContext) -> float:
    """A function that works on the module it gets, as one that quantises or prunes would."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
    return 1.0


def test_what_a_function_does_to_the_module_does_not_change_its_accuracy(digits: SearchData) -> None:
    assert accuracy(digits, prune_all=prune_all) == accuracy(digits)


def spoil(module: nn.Module, context: EvaluationContext) -> float:
    images, _ = context.validation
    images.mul_(0)
    return 1.0


def test_what_a_function_does_to_the_images_does_not_reach_the_next_candidate(digits: SearchData) -> None:
    made = evaluator(digits, spoil=spoil)
    made.evaluate([CANDIDATE])
    (outcome,) = made.evaluate([CANDIDATE])
    assert not isinstance(outcome, Failure), outcome.reason
    assert outcome["accuracy"] == accuracy(digits)


def noisy(module: nn.Module, context: EvaluationContext) -> float:
    return float(torch.rand(()))


def test_chance_in_a_dear_function_comes_from_the_seed(digits: SearchData) -> None:
    made = evaluator(digits, noisy=noisy)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    (first,) = made.evaluate([CANDIDATE])
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    (second,) = made.evaluate([CANDIDATE])
    assert first == second


@pytest.mark.parametrize("value", [True, math.nan, math.inf, None, "0.5", torch.zeros(2)])
def test_a_dear_function_that_gives_no_number_fails_by_its_name(digits: SearchData, value: Any) -> None:
    (outcome,) = evaluator(digits, odd=lambda module, context: value).evaluate([CANDIDATE])
    assert isinstance(outcome, Failure)
    assert "odd" in outcome.reason


def test_a_candidate_that_breaks_does_not_take_others_along(digits: SearchData) -> None:
    too_deep = StagedCNN(Stem(4, stride=2), tuple(Stage("plain", 1, 4, 3, 4) for _ in range(4)))
    outcomes = evaluator(digits).evaluate([CANDIDATE, Candidate(too_deep, seed=1), CANDIDATE])
    assert isinstance(outcomes[1], Failure)
    assert "too small" in outcomes[1].reason
    assert outcomes[0] == outcomes[2]
    assert not isinstance(outcomes[0], Failure)
