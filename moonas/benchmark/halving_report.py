"""Halvings replayed on networks that were trained at all rungs: the seconds that they take, and whom they lose."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from moonas.problem.objective import Objective, minimised
from moonas.report.agreement import LEVEL, estimate
from moonas.report.table import print_frame

JUDGED: Mapping[str, tuple[Objective, ...]] = {
    "accuracy": (Objective("accuracy", "maximize"),),
    "accuracy, flops": (Objective("accuracy", "maximize"), Objective("flops", "minimize")),
}
"""By what networks are compared: as a search that looks at accuracy alone, and as one that looks at size, too."""
Results = Mapping[tuple[int, int], Mapping[str, float]]
"""(member, rung) -> what was measured."""


@dataclass(frozen=True)
class Measured:
    """One generation, trained by one seed.

    Attributes:
        results: at all rungs, failed ones left out.
        seconds: of all trainings, (members, rungs).
        truth: the members' accuracy and size at the top rung, the accuracy as the mean over the other seeds.
    """

    results: Results
    seconds: np.ndarray[Any, np.dtype[np.float64]]
    truth: Sequence[Mapping[str, float]]


def brackets_of(table: pd.DataFrame, *, population: int, rungs: int, seeds: int) -> list[list[Measured]]:
    """The generations of a table, each as trained by all seeds. Networks that failed at the top rung are the worst."""
    indexed = table.set_index(["seed", "number", "rung"]).sort_index()
    found = []
    for start in range(0, int(table["number"].max()) + 1, population):
        members = range(start, start + population)
        found.append([_measured(indexed, members, rungs, seed, seeds) for seed in range(seeds)])
    return found


def _measured(indexed: pd.DataFrame, members: range, rungs: int, seed: int, seeds: int) -> Measured:
    def result(one: int, member: int, rung: int) -> dict[str, float]:
        values = indexed.loc[(one, member, rung)]
        return {name: float(values[name]) for name in ("accuracy", "flops", "seconds")}

    every = {(i, rung): result(seed, m, rung) for i, m in enumerate(members) for rung in range(1, rungs + 1)}
    others = [one for one in range(seeds) if one != seed]
    truth = []
    for member in members:
        top = [result(one, member, rungs) for one in others]
        truth.append({**top[0], "accuracy": float(np.mean([np.nan_to_num(each["accuracy"]) for each in top]))})
    seconds = [[every[i, rung]["seconds"] for rung in range(1, rungs + 1)] for i in range(len(members))]
    whole = {at: each for at, each in every.items() if not math.isnan(each["accuracy"])}
    return Measured(whole, np.array(seconds), truth)


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


def print_halving(brackets: Sequence[Sequence[Measured]], *, keep: float, chance: Mapping[str, float]) -> None:
    """Print how many times fewer seconds a halving takes, and both recalls; intervals draw generations again."""
    lines = []
    for name, objectives in JUDGED.items():
        found = [
            [outcome(each, objectives, keep=keep, chance=chance) for each in generation] for generation in brackets
        ]
        columns = {key: np.array([[each[key] for each in one] for one in found]).mean(axis=1) for key in found[0][0]}
        whole, part, theirs, ours = columns.values()
        lines.append(
            {
                "compared by": name,
                "times fewer seconds": str(estimate(lambda a, b: float(a.sum() / b.sum()), whole, part)),
                "recall, all": f"{theirs.mean():.2f}",
                "recall, halving": f"{ours.mean():.2f}",
                "difference": format(estimate(lambda a: float(a.mean()), ours - theirs), "+.2f"),
            }
        )
    of = f"{len(brackets)} generations of {len(brackets[0][0].seconds)}, mean over {len(brackets[0])} seeds"
    print_frame(pd.DataFrame(lines), f"Halving against training all at the top rung: {of}, {LEVEL:.0%} intervals")
