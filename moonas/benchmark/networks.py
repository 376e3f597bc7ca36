"""Random networks for contenders to train."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from moonas.encoding.encoding import Encoding
from moonas.errors import MoonasError
from moonas.evaluation.evaluator import Candidate, Failure, apart
from moonas.evaluation.static import StaticEvaluator
from moonas.hardware.trace import trace
from moonas.network.architecture import Architecture, Task
from moonas.problem.objective import Constraint

_COUNTED = ("params", "flops", "size_mb")
_PATIENCE = 200
"""Genotypes drawn in a row that give no further network, before a space counts as too small."""


@dataclass(frozen=True)
class Network:
    """A network and its size."""

    architecture: Architecture
    params: int
    flops: int

    @property
    def key(self) -> str:
        """The architecture's key."""
        return self.architecture.key


def random_networks(
    space: Encoding, tasks: Sequence[Task], count: int, *, seed: int, constraints: Sequence[Constraint] = ()
) -> list[Network]:
    """Draw different networks that can be built for all tasks.

    Args:
        space: where they are drawn from.
        tasks: what they must serve; they are counted for the first.
        count: how many.
        seed: of the draws.
        constraints: those on counted metrics are kept.

    Raises:
        MoonasError: if there seem not to be so many.
    """
    random = np.random.default_rng(seed)
    networks: list[Network] = []
    seen: set[str] = set()
    missed = 0
    while len(networks) < count and missed < _PATIENCE:
        architecture = space.decode(space.sample(random))
        network = None if architecture.key in seen else _counted(architecture, tasks, constraints)
        seen.add(architecture.key)
        if network is not None:
            networks.append(network)
        missed = missed + 1 if network is None else 0
    if len(networks) < count:
        shapes = " and ".join("x".join(map(str, task.input_shape)) for task in tasks)
        what = f"only {len(networks)} networks were found that take inputs of {shapes} and keep the limits"
        raise MoonasError(f"--networks {count}: {what}; give fewer")
    return networks


def _counted(architecture: Architecture, tasks: Sequence[Task], constraints: Sequence[Constraint]) -> Network | None:
    """The network with its size; None if it cannot be built or breaks a limit."""
    candidate = [Candidate(architecture, 0)]
    (counts,), *others = (apart(partial(StaticEvaluator(_COUNTED, task, trace).evaluate, candidate)) for task in tasks)
    if isinstance(counts, Failure) or any(isinstance(outcome, Failure) for (outcome,) in others):
        return None
    if any(c.violation(counts[c.metric]) > 0 for c in constraints if c.metric in counts):
        return None
    return Network(architecture, int(counts["params"]), int(counts["flops"]))
