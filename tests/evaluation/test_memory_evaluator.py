"""Peak memory as metrics: weights and activations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
from torch import nn

from moonas.evaluation.evaluator import Candidate, Failure
from moonas.evaluation.memory import MemoryEvaluator
from moonas.network.architecture import Architecture, Task

TASK = Task((3, 8, 8), 10)


@dataclass(frozen=True)
class Pointwise(Architecture):
    """A convolution of 1x1 of some width."""

    width: int
    family: ClassVar[str] = "pointwise"

    def build(self, task: Task) -> nn.Module:
        return nn.Conv2d(3, self.width, 1, bias=False)


def computed(module: Any, input_shape: Sequence[int], *, trace: Any) -> int:
    assert trace(module, input_shape, batch=2) == ["once", 2]
    assert not module.training
    assert tuple(input_shape) == TASK.input_shape
    if module.out_channels > 100:
        raise ValueError("too wide")
    return 1000 * int(module.out_channels)


def traced(module: Any, input_shape: Sequence[int], *, batch: int) -> Any:
    return ["once", batch]


def evaluated(*metrics: str, widths: Sequence[int] = (5,)) -> Any:
    return MemoryEvaluator(metrics, TASK, computed, traced).evaluate(
        [Candidate(Pointwise(width), 0) for width in widths]
    )


def test_the_peak_is_that_of_activations_and_all_weights() -> None:
    (outcome,) = evaluated("peak_memory_mb", "peak_activations_mb")
    assert outcome["peak_activations_mb"] == pytest.approx(0.005)
    assert outcome["peak_memory_mb"] == pytest.approx((5000 + 4 * 3 * 5) / 1e6)


@pytest.mark.parametrize("metric", ["peak_memory_mb", "peak_activations_mb"])
def test_only_what_is_wanted_is_given(metric: str) -> None:
    assert [list(outcome) for outcome in evaluated(metric)] == [[metric]]


def test_a_network_whose_peak_cannot_be_computed_fails_alone() -> None:
    good, bad = evaluated("peak_memory_mb", widths=(5, 101))
    assert not isinstance(good, Failure)
    assert bad == Failure("ValueError: too wide")


def test_every_candidate_is_asked_about_before_limits_are_looked_at() -> None:
    evaluator = MemoryEvaluator(["peak_memory_mb"], TASK, computed, traced)
    assert not evaluator.gated
    assert not evaluator.together
