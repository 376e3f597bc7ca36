"""Halvings replayed on networks that were trained at all rungs: the seconds that they take, and whom they lose."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from moonas.problem.objective import Objective, minimised
from moonas.report.agreement import LEVEL, Estimate, Values, expanded, interval
from moonas.report.table import print_frame

JUDGED: Mapping[str, tuple[Objective, ...]] = {
    "accuracy": (Objective("accuracy", "maximize"),),
    "accuracy, flops": (Objective("accuracy", "maximize"), Objective("flops", "minimize")),
}
"""By what networks are compared: as a search that looks at accuracy alone, and as one that looks at size, too."""
Results = Mapping[tuple[int, int], Mapping[str, float]]
"""(member, rung) -> what was measured."""
Members = np.ndarray[Any, np.dtype[np.int64]]
"""Numbers of networks, (members,)."""
_BRACKETS = 8
"""Drawn from each half of the networks."""


@dataclass(frozen=True)
class Measured:
    """One generation, trained by one seed.

    Attributes:
        results: at all rungs, failed ones left out.
        seconds: of all trainings, (members, rungs).
        truth: the members' accuracy and size at the top rung, the accuracy as the mean over the other seeds.
    """

    results: Results
    seconds: Values
    truth: Sequence[Mapping[str, float]]


@dataclass(frozen=True)
class Trainings:
    """Networks that were trained at all rungs.

    Attributes:
        accuracy: (seeds, networks, rungs); NaN where a training failed.
        seconds: (seeds, networks, rungs).
        flops: (networks,).
    """

    accuracy: Values
    seconds: Values
    flops: Values

    @classmethod
    def of(cls, table: pd.DataFrame, *, rungs: int, seeds: int) -> Trainings:
        """Read a table with a row a training: by each seed, of each network (numbered from 0), at each rung, once."""
        shape = (seeds, int(table["number"].max()) + 1, rungs)
        ordered = table[table["seed"] < seeds].sort_values(["seed", "number", "rung"])
        accuracy, seconds, flops = (
            ordered[name].to_numpy(float).reshape(shape) for name in ("accuracy", "seconds", "flops")
        )
        return cls(accuracy, seconds, flops[0, :, 0])

    def measured(self, members: Members, seed: int) -> Measured:
        """A generation of some networks. Those that failed at the top rung are the worst."""
        flops = self.flops[members]
        results = {
            (i, rung + 1): {"accuracy": float(value), "flops": float(flops[i])}
            for (i, rung), value in np.ndenumerate(self.accuracy[seed, members])
            if not math.isnan(value)
        }
        others = np.delete(self.accuracy[:, members, -1], seed, axis=0)
        means = np.nan_to_num(others).mean(axis=0)
        truth = [{"accuracy": float(each), "flops": float(size)} for each, size in zip(means, flops, strict=True)]
        return Measured(results, self.seconds[seed, members], truth)


def trained_by_halving(
    results: Results,
    members: int,
    *,
    rungs: int,
    keep: float,
    objectives: Sequence[Objective],
    chance: Mapping[str, float],
) -> set[tuple[int, int]]:
    """The members and rungs at which a halving would train, known what would come of it."""
    from moonas.strategy.halving import Bracket  # pymoo

    bracket = Bracket(members, rungs=rungs, keep=keep, objectives=objectives, chance=chance)
    waiting, trained = deque((member, 1) for member in range(members)), set[tuple[int, int]]()
    while waiting:
        member, rung = waiting.popleft()
        trained.add((member, rung))
        waiting.extend(bracket.answer(member, rung, results.get((member, rung))).promoted)
    return trained


def ranked(members: Sequence[int], found: Sequence[Mapping[str, float]], objectives: Sequence[Objective]) -> list[int]:
    """Members by what was found of them, the best first."""
    from moonas.strategy.halving import best_first

    return [members[i] for i in best_first(minimised(objectives, found))]


def outcome(
    measured: Measured, objectives: Sequence[Objective], *, keep: float, chance: Mapping[str, float]
) -> dict[str, float]:
    """Seconds and recall of the true top third, of a halving and of training all at the top rung."""
    members, rungs = measured.seconds.shape
    options = {"rungs": rungs, "keep": keep, "objectives": objectives, "chance": chance}
    trained = trained_by_halving(measured.results, members, **options)
    third = max(1, round(members / 3))
    truth = ranked(range(members), measured.truth, objectives)[:third]

    def recall(rung_of: Mapping[int, int]) -> float:
        """Of an order by the rung that members reached, and there by what was measured."""
        order: list[int] = []
        for rung in range(rungs, 0, -1):
            there = [each for each, last in rung_of.items() if last == rung and (each, rung) in measured.results]
            order += ranked(there, [measured.results[each, rung] for each in there], objectives)
        return float(len({*order[:third]} & {*truth}) / third)

    return {
        "all seconds": float(np.nansum(measured.seconds[:, -1])),
        "halving seconds": float(np.nansum([measured.seconds[member, rung - 1] for member, rung in trained])),
        "all recall": recall(dict.fromkeys(range(members), rungs)),
        "halving recall": recall(dict(sorted(trained))),  # of each member the last rung, which comes last
    }


def print_halving(
    trainings: Trainings, *, population: int, keep: float, chance: Mapping[str, float], resamples: int = 200
) -> None:
    """Print how many times fewer seconds a halving takes, and both recalls, of generations drawn from the networks."""
    seeds, networks, _ = trainings.accuracy.shape
    level = expanded(LEVEL, networks)
    lines = []
    for name, objectives in JUDGED.items():
        judge = partial(outcome, objectives=objectives, keep=keep, chance=chance)
        judged = judged_by_halves(trainings, judge, population=population, resamples=resamples)
        whole, part, theirs, ours = np.moveaxis(judged, -1, 0)
        lines.append(
            {
                "compared by": name,
                "times fewer seconds": str(estimate_by_halves(whole / part, level)),
                "recall, all": f"{theirs.mean():.2f}",
                "recall, halving": f"{ours.mean():.2f}",
                "difference": format(estimate_by_halves(ours - theirs, level), "+.2f"),
            }
        )
    of = f"generations of {population} of {networks} networks, mean over {seeds} seeds"
    print_frame(pd.DataFrame(lines), f"Halving against training all at the top rung: {of}, {LEVEL:.0%} intervals")


def judged_by_halves(
    trainings: Trainings,
    judge: Callable[[Measured], Mapping[str, float]],
    *,
    population: int,
    resamples: int,
    seed: int = 0,
) -> Values:
    """What is said of generations drawn from random halves of the networks, the mean over the seeds of training.

    Args:
        trainings: of twice as many networks as a generation has, or more.
        judge: as `outcome`.
        population: of a generation.
        resamples: how many halves.
        seed: of the draws.

    Returns:
        (halves, generations of each, what `judge` says).
    """
    seeds, networks, _ = trainings.accuracy.shape
    random = np.random.default_rng(seed)

    def judged(bracket: Members) -> Values:
        said = [list(judge(trainings.measured(bracket, one)).values()) for one in range(seeds)]
        mean: Values = np.mean(said, axis=0)
        return mean

    halves = (random.permutation(networks)[: networks // 2] for _ in range(resamples))
    return np.array([[judged(random.permutation(half)[:population]) for _ in range(_BRACKETS)] for half in halves])


def estimate_by_halves(values: Values, level: float) -> Estimate:
    """The mean, with an interval: the mean of a half varies between halves as that of all would between samples.

    That is the jackknife that leaves out half (Shao & Wu, 1989, Annals of Statistics 17, 1176-1197). It says too much
    rather than too little where half of the networks are little more than a generation. What varies between the halves'
    means since each is of a few generations alone is taken out.

    Args:
        values: of generations, (halves, generations of each).
        level: the confidence.
    """
    means, value = values.mean(axis=1), float(values.mean())
    luck, spread = float(values.var(axis=1, ddof=1).mean()) / values.shape[1], float(means.var(ddof=1))
    share = math.sqrt(max(0.0, 1 - luck / spread)) if spread > 0 else 0.0
    return Estimate(value, *interval(value + share * (means - value), level))
