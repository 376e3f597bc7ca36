"""Metrics computed by functions of the user's own."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from moonas.evaluation.evaluator import Candidate, Evaluator, Outcome, attempt, build, seeded
from moonas.network.architecture import Architecture, Task

MetricFunction = Callable[[Any, "EvaluationContext"], float]
Tracer = Callable[..., tuple[Any, ...]]


@dataclass(frozen=True)
class EvaluationContext:
    """What a metric function may want to know beside the module.

    Attributes:
        architecture: the description of the network.
        task: `input_shape` (channels, height, width) and `classes`.
        device: the device profile of the search.
        seed: of everything random in this evaluation.
        validation: for dear functions of a search with data: (images, labels) as tensors of (n, channels, height,
            width), normalised, and (n,).
    """

    architecture: Architecture
    task: Task
    device: Any
    seed: int
    trace: Callable[[], tuple[Any, ...]]
    validation: tuple[Any, Any] | None = None

    @property
    def operations(self) -> tuple[Any, ...]:
        """The operations of one inference of one input; see `moonas.hardware.trace.Operation`. Traced on first use."""
        return self.trace()


@dataclass(frozen=True)
class FunctionCaller:
    """Calls the metric functions on a module, with their context."""

    functions: Mapping[str, MetricFunction]
    task: Task
    device: Any
    tracer: Tracer

    def __call__(
        self, module: Any, candidate: Candidate, validation: tuple[Any, Any] | None = None
    ) -> dict[str, float]:
        """Return the value of each function by its name; each gets the module as it came, whatever others did to it."""
        module.eval()
        trace = cache(lambda: self.tracer(module, self.task.input_shape))
        context = EvaluationContext(candidate.architecture, self.task, self.device, candidate.seed, trace, validation)
        alone = len(self.functions) == 1
        return {
            name: function(module if alone else copy.deepcopy(module), context)
            for name, function in self.functions.items()
        }


class FunctionEvaluator(Evaluator):
    """Calls metric functions on freshly built modules."""

    def __init__(self, call: FunctionCaller, *, gated: bool):
        """Take the functions; `gated` ones are called only for networks that keep the limits on all other metrics."""
        self.metrics = tuple(call.functions)
        self.gated = gated
        self._call = call

    def evaluate(self, candidates: Sequence[Candidate]) -> list[Outcome]:
        """Build each candidate and call the functions on it."""
        return [attempt(partial(self._measure, candidate)) for candidate in candidates]

    def _measure(self, candidate: Candidate) -> Mapping[str, float]:
        return seeded(candidate.seed, lambda: self._call(build(candidate, self._call.task), candidate))
