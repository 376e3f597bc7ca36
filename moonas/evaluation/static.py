"""Metrics that a module shows without being run on data: parameters, multiply-adds, size."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from moonas.evaluation.flops import flops_of
from moonas.evaluation.looking import BuiltNetwork, LookingEvaluator


class StaticEvaluator(LookingEvaluator):
    """Counts parameters, multiply-adds and bytes: those of `params`, `flops` and `size_mb` that are wanted.

    With what traces, multiply-adds are read off the trace, which is quicker.
    """

    def look(self, network: BuiltNetwork) -> Mapping[str, float]:
        """Count."""
        module = network.module
        counts: dict[str, Callable[[], float]] = {
            "params": lambda: sum(parameter.numel() for parameter in module.parameters()),
            "size_mb": lambda: stored_bytes(module) / 1e6,
            "flops": lambda: _flops(network),
        }
        return {name: counts[name]() for name in self.metrics}


def _flops(network: BuiltNetwork) -> int:
    counted = None
    if network.is_traceable:
        with suppress(Exception):  # a forward pass that asks for values has none to be traced with
            counted = flops_of(network.operations())
    return count_flops(network.module, network.task.input_shape) if counted is None else counted


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
