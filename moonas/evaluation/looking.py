"""Networks looked at before their limits, without training or timing them, by several who share module and trace."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from typing import Any

from moonas.evaluation.evaluator import Candidate, Evaluator, Failure, Outcome, attempt, build
from moonas.network.architecture import Task

Tracer = Callable[..., Sequence[Any]]
"""Lists the operations of a module, given the shape of one input and the batch; see `moonas.hardware.trace.trace`."""


class BuiltNetwork:
    """The network of a candidate, built when it is first needed, and traced once for each batch.

    Attributes:
        task: what it takes and gives.
        known: what was found of it before, by metric.
    """

    def __init__(self, candidate: Candidate, task: Task, trace: Tracer | None):
        """Take what is to be built, and what traces it, if anybody needs that."""
        self.task = task
        self.known = dict(candidate.known)
        self._candidate, self._trace = candidate, trace
        self._traced: dict[int, Sequence[Any]] = {}

    @cached_property
    def module(self) -> Any:
        """In evaluation mode; who looks at it leaves it as it is."""
        return build(self._candidate, self.task).eval()

    @property
    def is_traceable(self) -> bool:
        """Whether there is what traces it."""
        return self._trace is not None

    def operations(self, batch: int = 1) -> Sequence[Any]:
        """Of one inference; see `moonas.hardware.trace.Operation`."""
        if batch not in self._traced:
            assert self._trace is not None, "who needs a trace brings what traces"
            self._traced[batch] = self._trace(self.module, self.task.input_shape, batch=batch)
        return self._traced[batch]


class LookingEvaluator(Evaluator):
    """Finds out what a built network shows."""

    def __init__(self, metrics: Sequence[str], task: Task, trace: Tracer | None = None):
        """Take what is wanted, of which networks, and what traces them, if that is needed."""
        self.metrics = tuple(metrics)
        self.task, self.trace = task, trace

    def evaluate(self, candidates: Sequence[Candidate]) -> list[Outcome]:
        """Build and look at each candidate."""
        return [self.outcome(BuiltNetwork(candidate, self.task, self.trace)) for candidate in candidates]

    def outcome(self, network: BuiltNetwork) -> Outcome:
        """What one network shows, or why it does not."""
        return attempt(partial(self.look, network))

    @abstractmethod
    def look(self, network: BuiltNetwork) -> Mapping[str, float]:
        """The metrics of one network."""


class RunEvaluator(LookingEvaluator):
    """Runs each network once, on one input of nothing: those that cannot be run fail."""

    def look(self, network: BuiltNetwork) -> Mapping[str, float]:
        """Run it in PyTorch."""
        import torch

        with torch.inference_mode():
            network.module(torch.zeros(1, *network.task.input_shape))
        return {}


class JointEvaluator(Evaluator):
    """Several that look at the same networks, each of which is built and traced once for all."""

    def __init__(self, parts: Sequence[LookingEvaluator]):
        """Take who looks, in order, at networks of one task."""
        self.metrics = tuple(metric for part in parts for metric in part.metrics)
        self._parts, self._task = tuple(parts), parts[0].task
        self._trace = next((part.trace for part in parts if part.trace is not None), None)

    def evaluate(self, candidates: Sequence[Candidate]) -> list[Outcome]:
        """Have all look at each candidate."""
        return [self._outcome(BuiltNetwork(candidate, self._task, self._trace)) for candidate in candidates]

    def _outcome(self, network: BuiltNetwork) -> Outcome:
        """What all see, each knowing what those before it saw; where one fails, what these saw stays."""
        found: dict[str, float] = {}
        for part in self._parts:
            outcome = part.outcome(network)
            if isinstance(outcome, Failure):
                return Failure(outcome.reason, found)
            found.update(outcome)
            network.known.update(outcome)
        return found


def joined(evaluators: Sequence[Evaluator]) -> list[Evaluator]:
    """The same evaluators, those that look at built networks of one task as one, in the place of the first."""
    looking = [each for each in evaluators if isinstance(each, LookingEvaluator) and not each.gated]
    if len(looking) < 2 or len({each.task for each in looking}) > 1:
        return list(evaluators)
    joint = JointEvaluator(looking)
    return [joint if each is looking[0] else each for each in evaluators if each not in looking[1:]]
