"""Who trains networks: the reference loop in this process, and moonas in its workers."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, as_completed
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from moonas.benchmark.networks import Network
from moonas.errors import MoonasError, one_line
from moonas.evaluation.evaluator import Candidate, Evaluator, Failure, Outcome, attempt, seeded
from moonas.spec.objective import ObjectiveSpec
from moonas.spec.problem import ProblemSpec
from moonas.spec.training import FidelitySpec
from moonas.study.assemble_evaluation import assemble_evaluators, settled, trial_seed
from moonas.study.workers import Workers, answer_about_one
from moonas.terminal import say

if TYPE_CHECKING:
    from moonas.benchmark.reference import Recipe, ReferenceLoop
    from moonas.training.split import SearchData


Asked = TypeVar("Asked")


@dataclass(frozen=True)
class Judged:
    """What a contender says of a network; NaN where it says nothing.

    Attributes:
        seconds: that the network took, where it was trained.
        error: why there is no accuracy.
    """

    accuracy: float = math.nan
    training_loss: float = math.nan
    seconds: float = math.nan
    error: str = ""


class Contender(Protocol):
    """Trains networks and judges them.

    Attributes:
        name: in tables.
        at_once: how many networks it trains side by side.
    """

    name: str
    at_once: int

    def judge(self, networks: Sequence[Network], *, seed: int) -> list[Judged]:
        """Train and judge networks."""


class Reference:
    """The reference loop, one network after the other, with this process's threads."""

    at_once = 1

    def __init__(self, loop: ReferenceLoop):
        """Take the loop."""
        self.name: str = loop.recipe
        self._loop = loop

    def judge(self, networks: Sequence[Network], *, seed: int) -> list[Judged]:
        """Train and judge networks."""
        return [self._judge(network, seed_of(self.name, seed, network)) for network in networks]

    def _judge(self, network: Network, seed: int) -> Judged:
        start = time.perf_counter()
        try:
            accuracy, seconds = seeded(seed, partial(self._loop, network.architecture, seed=seed))
        except Exception as error:  # a network that cannot be trained must not end the benchmark
            return Judged(seconds=time.perf_counter() - start, error=one_line(error))
        return Judged(accuracy, seconds=seconds)


class ReferenceEvaluator(Evaluator):
    """The reference loop as an evaluator, for workers: where its accuracy is wanted, and not its speed."""

    metrics = ("accuracy",)

    def __init__(self, loop: ReferenceLoop):
        """Take the loop, which must load images by itself: workers have one core each."""
        self._loop = loop

    def evaluate(self, candidates: Sequence[Candidate]) -> list[Outcome]:
        """Train and judge each candidate."""
        return [attempt(partial(self._measure, candidate)) for candidate in candidates]

    def _measure(self, candidate: Candidate) -> dict[str, float]:
        return {"accuracy": self._loop(candidate.architecture, seed=candidate.seed)[0]}


def reference_loop(
    spec: ProblemSpec, data: SearchData, fidelity: FidelitySpec, recipe: Recipe, **options: Any
) -> ReferenceLoop:
    """The reference loop on the images of a problem.

    Raises:
        MoonasError: if that is too little training for its schedules.
    """
    from moonas.benchmark.reference import BATCH, LEAST_STEPS, ReferenceLoop  # torch

    steps = fidelity.epochs * math.ceil((fidelity.samples or len(data.train)) / BATCH)
    if steps < LEAST_STEPS:
        what = f"{fidelity}: {steps} step{'s' * (steps != 1)} in batches of {BATCH}"
        raise MoonasError(f"{what}, and the reference loops need {LEAST_STEPS}; give more epochs or images")
    subset_seed = spec.data.seed if spec.data else 0
    return ReferenceLoop(data, fidelity, spec.training, recipe, subset_seed=subset_seed, **options)


def training_evaluator(spec: ProblemSpec, data: SearchData, fidelity: FidelitySpec) -> Evaluator:
    """Moonas's own training evaluator for a problem at a fidelity, and nothing beside it."""
    accuracy = (ObjectiveSpec(metric="accuracy"),)
    alone = {"objectives": accuracy, "constraints": (), "record": (), "table": None, "fidelity": fidelity}
    changed = spec.model_copy(update={**alone, "search": spec.search.model_copy(update={"halving": None})})
    (evaluator,) = assemble_evaluators(settled(changed, data), data)
    return evaluator


class Moonas:
    """Moonas's way: networks side by side in warm workers, the largest first, as in a search."""

    def __init__(self, workers: Workers, evaluator: int = 0, *, name: str = "moonas", at_once: int | None = None):
        """Take the workers, which of their evaluators it is, and how many networks at once if not one a worker."""
        self.name = name
        self.at_once = at_once or workers.count
        self._workers, self._evaluator = workers, evaluator

    def judge(self, networks: Sequence[Network], *, seed: int) -> list[Judged]:
        """Train and judge networks."""
        order = sorted(range(len(networks)), key=lambda i: -networks[i].flops)
        judgements: dict[int, Judged] = {}
        size = self.at_once if self.at_once < self._workers.count else len(order)
        for start in range(0, len(order), size):
            futures = {i: self._submit(networks[i], seed) for i in order[start : start + size]}
            judgements |= {i: judged(future) for i, future in futures.items()}
        return [judgements[i] for i in range(len(networks))]

    def _submit(self, network: Network, seed: int) -> Future[Any]:
        return self._workers.submit(self._evaluator, [candidate(self.name, seed, network)])


def candidate(contender: str, seed: int, network: Network) -> Candidate:
    """A network with a seed for one of its trainings by a contender."""
    return Candidate(network.architecture, seed_of(contender, seed, network))


def seed_of(contender: str, seed: int, network: Network) -> int:
    """The seed of one training: no two contenders share initial weights, which would make them agree."""
    return trial_seed(seed, f"{contender}:{network.key}")


def completed(calls: Mapping[Future[Any], Asked]) -> Iterator[tuple[Asked, Judged]]:
    """What each call was for, and what workers have answered, as answers come; says at each tenth how far it is."""
    for count, call in enumerate(as_completed(calls), 1):
        yield calls[call], judged(call)
        if count * 10 // len(calls) > (count - 1) * 10 // len(calls):
            say(f"{count} of {len(calls)} trainings", err=True)


def judged(answered: Future[Any]) -> Judged:
    """What a worker has answered about one candidate."""
    outcome, seconds = answer_about_one(answered)
    if isinstance(outcome, Failure):
        return Judged(seconds=seconds, error=outcome.reason)
    return Judged(outcome["accuracy"], outcome.get("training_loss", math.nan), seconds)
