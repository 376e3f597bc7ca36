"""Many networks judged by short trainings, the reference's and moonas's, and by a long one, which is the truth."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pandas as pd

from moonas.benchmark.contenders import (
    Contender,
    Moonas,
    Reference,
    ReferenceEvaluator,
    candidate,
    completed,
    reference_loop,
    training_evaluator,
)
from moonas.benchmark.networks import Network, random_networks
from moonas.benchmark.turns import row, take_turns
from moonas.evaluation.evaluator import Evaluator
from moonas.spec.problem import ProblemSpec
from moonas.spec.training import FidelitySpec
from moonas.study.assemble import assemble_constraints, assemble_encoding
from moonas.study.workers import Workers

if TYPE_CHECKING:
    from moonas.benchmark.reference import Recipe
    from moonas.training.split import SearchData

REFERENCES: tuple[Recipe, ...] = ("epoch_cosine", "one_cycle")
PROXY, ONE_WORKER, TRUTH = "proxy", "proxy, one worker", "truth"


@dataclass(frozen=True)
class Ranking:
    """What contenders and truth are made of.

    Attributes:
        spec: the problem, processor and precision settled, so that its settings tell how trainings are computed.
        reference: the training that the reference loops give.
        long: the training that is the truth.
    """

    spec: ProblemSpec
    data: SearchData
    reference: FidelitySpec
    long: FidelitySpec

    @property
    def settings(self) -> dict[str, Any]:
        """All on which a judgement depends."""
        parts = self.spec.model_dump(mode="json", include={"encoding", "constraints", "fidelity", "training"})
        fidelities = {"reference": self.reference.model_dump(), "long": self.long.model_dump()}
        return {**parts, **fidelities, "data": self.data.fingerprint}

    def draw(self, count: int, *, seed: int) -> list[Network]:
        """Draw networks within the limits of the problem that can be built for its images, small ones, too."""
        from moonas.training.prepared import task_at  # torch

        tasks = list(dict.fromkeys([self.data.task, task_at(self.data.task, self.spec.fidelity)]))
        limits = assemble_constraints(self.spec)
        return random_networks(assemble_encoding(self.spec), tasks, count, seed=seed, constraints=limits)

    def judgements(
        self, networks: Sequence[Network], known: pd.DataFrame, *, seeds: int, long_seeds: int
    ) -> Iterator[dict[str, Any]]:
        """Have contenders and truth judge networks, in all workers at once.

        Args:
            networks: to be judged.
            known: rows of former judgements, which are not repeated.
            seeds: short trainings by each contender.
            long_seeds: long ones.

        Yields:
            A row for each judgement, `RANK_COLUMNS` by name.
        """
        done = set(zip(known["contender"], known["seed"], known["key"], strict=True))
        wanted = [
            (name, seed, network)
            for seed, network, name in itertools.product(range(max(seeds, long_seeds)), networks, self.evaluators)
            if seed < (long_seeds if name == TRUTH else seeds) and (name, seed, network.key) not in done
        ]
        if not wanted:
            return
        with Workers(self.spec, list(self.evaluators.values())) as workers:
            stages = {name: stage for stage, name in enumerate(self.evaluators)}
            calls = {workers.submit(stages[each[0]], [candidate(*each)]): each for each in wanted}
            for (name, seed, network), judgement in completed(calls):
                yield {"contender": name, "seed": seed, **row(network, judgement)}

    @cached_property
    def evaluators(self) -> dict[str, Evaluator]:
        """Who judges, by name; with one core each, reference loops load their images themselves."""
        references = {
            name: ReferenceEvaluator(reference_loop(self.spec, self.data, self.reference, name, loaders=0))
            for name in REFERENCES
        }
        ours = {TRUTH: self.long, PROXY: self.spec.fidelity}
        return references | {name: training_evaluator(self.spec, self.data, each) for name, each in ours.items()}


def times_of(ranking: Ranking, networks: Sequence[Network]) -> list[dict[str, Any]]:
    """Have the contenders judge networks by turns, the proxy in all workers and, once more, in one alone.

    Returns:
        The rows of all turns, `TURN_COLUMNS` by name.
    """
    spec, data = ranking.spec, ranking.data
    contenders: list[Contender] = [
        Reference(reference_loop(spec, data, ranking.reference, name)) for name in REFERENCES
    ]
    with Workers(spec, [training_evaluator(spec, data, spec.fidelity)]) as workers:
        contenders += [Moonas(workers, name=PROXY), Moonas(workers, name=ONE_WORKER, at_once=1)]
        turns = take_turns(contenders, networks, block=2 * workers.count, space=spec.encoding.name)
        return [each for turn in turns for each in turn]
