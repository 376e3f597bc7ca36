"""Metrics that a module shows without being run on data: parameters, multiply-adds, size."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from moonas.evaluation.evaluator import Candidate, Evaluator, Outcome, attempt, build
from moonas.network.architecture import Task


class StaticEvaluator(Evaluator):
    """Counts parameters, multiply-adds and bytes."""

    def __init__(self, metrics: Sequence[str], task: Task):
        """Measure those of `params`, `flops` and `size_mb` that are in `metrics`."""
        self.metrics = tuple(metrics)
        self._task = task

    def evaluate(self, candidates: Sequence[Candidate]) -> list[Outcome]:
        """Build and count each candidate."""
        return [attempt(partial(self._count, candidate)) for candidate in candidates]

    def _count(self, candidate: Candidate) -> Mapping[str, float]:
        module = build(candidate, self._task).eval()
        counts: dict[str, Callable[[], float]] = {
            "params": lambda: sum(parameter.numel() for parameter in module.parameters()),
            "size_mb": lambda: stored_bytes(module) / 1e6,
            "flops": lambda: count_flops(module, self._task.input_shape),
        }
        return {name: counts[name]() for name in self.metrics}


def stored_bytes(module: Any) -> int:
    """The bytes of the weights and buffers that a file would hold; of those that layers share, once."""
    stored = {id(tensor): tensor for tensor in module.state_dict(keep_vars=True).values()}
    return sum(tensor.numel() * tensor.element_size() for tensor in stored.values())


def count_flops(module: object, input_shape: Sequence[int]) -> int:
    """Count the multiply-adds of one input of (channels, height, width) with fvcore, one each.

    The module must be in evaluation mode: in training mode, tracing it would change its BatchNorm statistics. Batch
    normalisation counts; additions and activations do not.
    """
    import torch

    with torch.no_grad():
        return int(analyse_flops(module, input_shape).ancestor_mode("caller").total())  # the quicker of two equal ways


def analyse_flops(module: object, input_shape: Sequence[int]) -> Any:
    """Let fvcore count; see `count_flops`.

    Returns:
        fvcore's `FlopCountAnalysis`, which has `total`, `by_module` and `by_operator`.
    """
    import torch
    from fvcore.nn import FlopCountAnalysis

    analysis: Any = FlopCountAnalysis(module, torch.zeros(1, *input_shape))
    return analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
