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
from moonas.report.agreement import LEVEL, Estimate, Values, expanded
from moonas.report.table import print_frame

JUDGED: Mapping[str, tuple[Objective, ...]] = {
    "accuracy": (Objective("accuracy", "maximize"),),
    "accuracy, flops": (Objective("accuracy", "maximize"), Objective("flops", "minimize")),
}
"""By what networks are compared: as a search that looks at accuracy alone, and as one that looks at size, too."""
Results = Mapping[tuple[int, int], Mapping[str, float]]
"""(member, rung) -> what was measured."""
Indices = Sequence[int] | np.ndarray[Any, np.dtype[np.int64]]
_READ = ("accuracy", "seconds", "flops")
_BRACKETS = 4
"""Drawn from each half: one alone would add its own luck to the interval."""


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
        """Read a table with a row a training; its networks have numbers from 0."""
        shape = (seeds, int(table["number"].max()) + 1, rungs)
        ordered = table[table["seed"] < seeds].sort_values(["seed", "number", "rung"])
        accuracy, seconds, flops = (ordered[name].to_numpy(float).reshape(shape) for name in _READ)
        return cls(accuracy, seconds, flops[0, :, 0])

    def measured(self, members: Indices, seed: int) -> Measured:
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
    """Print how many times fewer seconds a halving takes, and both recalls, of generations drawn from the networks.

    Intervals are by random halves (McCarthy, 1969, doi:10.2307/1402116): what is found of half of the networks
    varies between halves as what is found of all would between samples.
    """
    seeds, networks, _ = trainings.accuracy.shape
    level = expanded(LEVEL, networks)
    lines = []
    for name, objectives in JUDGED.items():
        judge = partial(outcome, objectives=objectives, keep=keep, chance=chance)
        halves = _judged_by_halves(trainings, judge, population=population, resamples=resamples)
        whole, part, theirs, ours = halves.mean(axis=0)

        def interval(found: Values) -> Values:
            return np.quantile(found, [(1 - level) / 2, (1 + level) / 2])

        times = Estimate(whole / part, *interval(halves[:, 0] / halves[:, 1]))
        difference = Estimate(ours - theirs, *interval(halves[:, 3] - halves[:, 2]))
        lines.append(
            {
                "compared by": name,
                "times fewer seconds": str(times),
                "recall, all": f"{theirs:.2f}",
                "recall, halving": f"{ours:.2f}",
                "difference": format(difference, "+.2f"),
            }
        )
    of = f"generations of {population} of {networks} networks, mean over {seeds} seeds"
    print_frame(pd.DataFrame(lines), f"Halving against training all at the top rung: {of}, {LEVEL:.0%} intervals")


def _judged_by_halves(
    trainings: Trainings, judge: Callable[[Measured], Mapping[str, float]], *, population: int, resamples: int
) -> Values:
    """What `outcome` gives, the mean over seeds and generations, of each random half of the networks."""
    seeds, networks, _ = trainings.accuracy.shape
    random = np.random.default_rng(0)
    found = []
    for _ in range(resamples):
        half = random.permutation(networks)[: networks // 2]
        brackets = [random.permutation(half)[:population] for _ in range(_BRACKETS)]
        judged = [judge(trainings.measured(bracket, seed)) for bracket in brackets for seed in range(seeds)]
        found.append(np.mean([list(each.values()) for each in judged], axis=0))
    return np.array(found)
