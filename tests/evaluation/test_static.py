from collections.abc import Iterator

import numpy as np
import pytest
import torch
from fvcore.nn import FlopCountAnalysis

import moonas
from moonas.evaluation.evaluator import Candidate
from moonas.evaluation.static import StaticEvaluator, count_flops

TASK = moonas.Task((3, 16, 16), 10)


@pytest.fixture
def candidates() -> Iterator[list[Candidate]]:
    encoding = moonas.load("digits").encoding
    random = np.random.default_rng(0)
    return [Candidate(encoding.decode(encoding.sample(random)), seed=0) for _ in range(5)]


def test_counts_are_those_of_the_built_module(candidates: list[Candidate]) -> None:
    outcomes = StaticEvaluator(["params", "flops", "size_mb"], TASK).evaluate(candidates)
    for candidate, outcome in zip(candidates, outcomes, strict=True):
        module = candidate.architecture.build(TASK).eval()
        analysis = FlopCountAnalysis(module, torch.zeros(1, *TASK.input_shape))
        analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        state = module.state_dict().values()
        assert outcome == {
            "params": sum(p.numel() for p in module.parameters()),
            "flops": analysis.total(),
            "size_mb": pytest.approx(sum(t.numel() * t.element_size() for t in state) / 1e6),
        }


def test_counting_leaves_the_statistics_of_batch_normalisation_alone(candidates: list[Candidate]) -> None:
    module = candidates[0].architecture.build(TASK).eval()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    count_flops(module, TASK.input_shape)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_only_what_is_wanted_is_counted(candidates: list[Candidate]) -> None:
    (outcome,) = StaticEvaluator(["params"], TASK).evaluate(candidates[:1])
    assert isinstance(outcome, dict)
    assert set(outcome) == {"params"}
