"""Networks to look at closely: drawn from a space, or taken from a run, and spread over size."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from moonas.encoding.encoding import Encoding, Genotype
from moonas.evaluation.evaluator import Candidate, Failure, apart, build
from moonas.evaluation.static import StaticEvaluator
from moonas.network.architecture import Task
from moonas.problem.objective import Constraint
from moonas.problem.trial import Trial
from moonas.spec.problem import ProblemSpec
from moonas.strategy.random_search import RandomSearch
from moonas.study import assemble
from moonas.study.assemble_evaluation import tracer, trial_seed

if TYPE_CHECKING:
    from torch import nn

_COUNTED = ("params", "flops", "size_mb")
_KEPT, _DRAWN = 10, 100
"""For each network wanted: how many that keep the limits are drawn to choose from, and after how many it must do."""


@dataclass(frozen=True)
class Sized:
    """A network, and what was counted of it."""

    genotype: Genotype
    key: str
    params: float
    flops: float


@dataclass(frozen=True)
class Draw:
    """Different networks of a space, at random.

    Attributes:
        genotypes: canonical, one for each network.
        repeats: of as many random genotypes, how many stand for a network that one before had given.
        is_all: whether the space has no other network.
    """

    genotypes: Sequence[Genotype]
    repeats: int
    is_all: bool


def draw_different(encoding: Encoding, count: int, *, seed: int) -> Draw:
    """Draw different networks, fewer if the space holds no more; a search at random with this seed begins with them."""
    strategy, random = RandomSearch(encoding=encoding, objectives=(), seed=seed), np.random.default_rng(seed)
    genotypes = list(islice(iter(strategy.propose_random, None), count))
    first = {encoding.canonical(encoding.sample(random)) for _ in genotypes}
    return Draw(genotypes, len(genotypes) - len(first), len(genotypes) < count)


def draw_networks(spec: ProblemSpec, encoding: Encoding, task: Task, count: int) -> list[Sized]:
    """Draw networks that keep the limits on parameters, multiply-adds and size; the same for the same problem.

    Args:
        spec: the problem.
        encoding: its space.
        task: what the networks take and give.
        count: how many are wanted in the end; more are drawn to choose from, fewer if the space holds no more.
    """
    limits = [limit for limit in assemble.assemble_constraints(spec) if limit.metric in {*_COUNTED} - {*spec.tabled}]
    strategy = RandomSearch(encoding=encoding, objectives=(), seed=spec.seed)
    genotypes = islice(iter(strategy.propose_random, None), _DRAWN * count)
    return list(islice(count_networks(spec, encoding, task, genotypes, limits), _KEPT * count))


def built(encoding: Encoding, task: Task, genotypes: Iterable[Genotype], *, seed: int) -> Iterator[nn.Module]:
    """Build networks of a search space, ready for inference.

    Args:
        encoding: the search space.
        task: what they are for.
        genotypes: one for each network.
        seed: of their weights.
    """
    return (build(Candidate(encoding.decode(genotype), seed), task).eval() for genotype in genotypes)


def count_networks(
    spec: ProblemSpec,
    encoding: Encoding,
    task: Task,
    genotypes: Iterable[Genotype],
    limits: Sequence[Constraint] = (),
) -> Iterator[Sized]:
    """Count parameters and multiply-adds, and leave out what cannot be built or breaks a limit."""
    evaluator = StaticEvaluator(_COUNTED, task, tracer())
    for genotype in genotypes:
        architecture = encoding.decode(genotype)
        candidate = Candidate(architecture, trial_seed(spec.seed, architecture.key))
        (counts,) = apart(partial(evaluator.evaluate, [candidate]))
        if not isinstance(counts, Failure) and not any(limit.violation(counts[limit.metric]) for limit in limits):
            yield Sized(genotype, architecture.key, counts["params"], counts["flops"])


def extremes(trials: Sequence[Trial], spec: ProblemSpec) -> set[str]:
    """The keys of the trials that are the best in one objective, and so end the front."""
    keys = set()
    for objective in assemble.assemble_objectives(spec):
        measured = [trial for trial in trials if objective.metric in trial.metrics]
        best = min(measured, key=lambda trial: _losses(trial, spec, objective.metric), default=None)
        keys |= {best.key} if best is not None else set()
    return keys


def _losses(trial: Trial, spec: ProblemSpec, first: str) -> list[float]:
    """What a trial is worth, smaller is better, the metric that matters first; so that the best one is on the front."""
    objectives = sorted(assemble.assemble_objectives(spec), key=lambda objective: objective.metric != first)
    return [objective.sign * trial.metrics.get(objective.metric, math.inf) for objective in objectives]


def spread(networks: Sequence[Sized], count: int, always: Iterable[str] = ()) -> list[Sized]:
    """Choose networks at even steps of their order by multiply-adds, the least and the largest among them.

    Args:
        networks: to choose from.
        count: how many.
        always: keys that are to be among them.
    """
    ordered = sorted(networks, key=lambda network: (network.flops, network.params, network.key))
    wanted = {*always}
    forced = [network for network in ordered if network.key in wanted][:count]
    rest = [network for network in ordered if network not in forced]
    steps: Any = np.linspace(0, len(rest) - 1, min(count - len(forced), len(rest))).round().astype(int)
    return sorted([*forced, *(rest[i] for i in steps)], key=ordered.index)
