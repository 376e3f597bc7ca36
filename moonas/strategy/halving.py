"""Successive halving with several objectives: who is trained further, decided as results come in."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import moocore
import numpy as np
from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting

from moonas.problem.objective import Matrix, Objective, minimised
from moonas.problem.trial import LEARNT_NOTHING

_BEYOND_WORST = 1.1
"""Where the box of a front ends, in its ranges from the best values: its ends count, but do not outweigh all others."""
_PATIENCE = Fraction(3, 4)
"""The share of a rung's places whose results must be in before anybody goes on: among fewer, ranks are luck."""


def best_first(values: Matrix) -> list[int]:
    """The order of rows (results, objectives) of values to be minimised: by front, then by share of the hypervolume.

    As SMS-EMOA reduces a population (Beume et al., 2007, doi:10.1016/j.ejor.2006.08.008): of a front, whoever adds
    least hypervolume to the others, in the ranges of that front, is taken away, again and again; who stays longest is
    first. So of two that are nearly the same one is kept. Ties stay in the order of the rows.
    """
    order: list[int] = []
    if len(values):
        for front in NonDominatedSorting().do(values):
            rows = np.sort(front)
            order += [int(rows[i]) for i in _longest_kept(values[rows])]
    return order


def _longest_kept(front: Matrix) -> list[int]:
    """The rows of a front, those first that are taken away last."""
    if front.shape[1] == 1:  # all of them are equal
        return list(range(len(front)))
    span = np.ptp(front, axis=0)
    scaled = (front - front.min(axis=0)) / np.where(span > 0, span, 1.0)
    kept, taken = list(range(len(front))), []
    while kept:
        added = np.round(moocore.hv_contributions(scaled[kept], ref=_BEYOND_WORST), 12)  # equal ones, to the bit
        least = len(kept) - 1 - int(np.argmin(added[::-1]))  # the last one of several
        taken.append(kept.pop(least))
    return taken[::-1]


@dataclass
class _Rung:
    """Results in the order in which members entered, and how many of these went on.

    Attributes:
        places: how many can enter.
        full: whether all have entered that will.
    """

    places: int
    entered: list[int] = field(default_factory=list)
    answers: dict[int, Sequence[float] | None] = field(default_factory=dict)
    failed: set[int] = field(default_factory=set)
    counted: int = 0
    promoted: list[int] = field(default_factory=list)
    full: bool = False
    closed: bool = False

    def promote(self, quota: int) -> list[int]:
        """The best of the results counted that are not promoted yet, as many as the quota allows."""
        if quota <= len(self.promoted):
            return []
        able = [member for member in self.entered[: self.counted] if self.answers[member] is not None]
        ranked = best_first(np.array([self.answers[member] for member in able], dtype=np.float64))
        waiting = [able[i] for i in ranked if able[i] not in self.promoted]
        chosen = waiting[: quota - len(self.promoted)]
        self.promoted += chosen
        return chosen


@dataclass(frozen=True)
class Moves:
    """What follows from a result.

    Attributes:
        promoted: members and the rungs, counted from 1, at which they are to be trained now.
        stopped: members, and why they do not go on.
    """

    promoted: list[tuple[int, int]] = field(default_factory=list)
    stopped: list[tuple[int, str]] = field(default_factory=list)


class Bracket:
    """The halving of one generation, asynchronous as ASHA (Li et al., 2020, arXiv:1810.05934), and deterministic.

    A rung counts results in the order in which its members entered it, whenever they come. Once as many are counted as
    three quarters of its places, after the i-th the best of these i that have not been promoted go on at once, until
    floor(i * keep) have; when no more can come, until ceil(n * keep) have. So nobody waits for the slowest of a rung,
    the cost is fixed, and who goes on depends neither on time nor on the number of workers. ASHA itself promotes from
    the first results on, and whoever is among the best of the moment, however many were before.

    With several objectives, results are ranked by dominance, as by Schmucker et al. (2021, arXiv:2106.12639), and on a
    front as `best_first` says.
    """

    def __init__(
        self,
        members: int,
        *,
        rungs: int,
        keep: float,
        objectives: Sequence[Objective],
        chance: Mapping[str, float] | None = None,
    ):
        """Begin with all members at the first rung.

        Args:
            members: how many, in the order in which their results at the first rung count; that should tell nothing of
                how good they are.
            rungs: how many there are, the top one included.
            keep: the share that goes on from each.
            objectives: what is optimised.
            chance: the score of a network that has learnt nothing, by its metric; those that are not better never go
                on.
        """
        self._keep = Fraction(str(keep))  # as it was written: 0.1 is less than its float
        self._objectives, self._chance = tuple(objectives), dict(chance or {})
        self._rungs, places = list[_Rung](), members
        for _ in range(rungs):
            self._rungs.append(_Rung(places))
            places = math.ceil(places * self._keep)
        self._rungs[0].entered, self._rungs[0].full = list(range(members)), True

    def answer(self, member: int, rung: int, metrics: Mapping[str, float] | None) -> Moves:
        """Take the result of a member at a rung, and tell what follows from all results so far.

        Args:
            member: its place in the order of members.
            rung: at which it was trained, from 1.
            metrics: what was measured of it; None if it failed.
        """
        self._rungs[rung - 1].answers[member] = None if metrics is None else self._worth(metrics)
        if metrics is None:
            self._rungs[rung - 1].failed.add(member)
        moves = Moves()
        for level in range(rung - 1, len(self._rungs) - 1):
            self._count(level, moves)
        return moves

    def _worth(self, metrics: Mapping[str, float]) -> Sequence[float] | None:
        """The objective values of a result, None for one that is no better than chance."""
        if any(metrics.get(name, math.inf) <= score for name, score in self._chance.items()):
            return None
        values: list[float] = minimised(self._objectives, [metrics])[0].tolist()
        return values

    def _count(self, level: int, moves: Moves) -> None:
        rung = self._rungs[level]
        while rung.counted < len(rung.entered) and rung.entered[rung.counted] in rung.answers:
            rung.counted += 1
            # Of its places, and not of those who have entered by now, which would depend on when results come.
            if rung.counted >= _PATIENCE * rung.places:
                self._promote(level, math.floor(rung.counted * self._keep), moves)
        if rung.full and rung.counted == len(rung.entered) and not rung.closed:
            rung.closed = True
            self._promote(level, math.ceil(rung.counted * self._keep), moves)
            self._rungs[level + 1].full = True
            moves.stopped.extend(self._left_behind(level))

    def _promote(self, level: int, quota: int, moves: Moves) -> None:
        for member in self._rungs[level].promote(quota):
            self._rungs[level + 1].entered.append(member)
            moves.promoted.append((member, level + 2))

    def _left_behind(self, level: int) -> list[tuple[int, str]]:
        """Those that ended at a rung, the failed ones apart."""
        rung = self._rungs[level]
        where = f"stopped at rung {level + 1} of {len(self._rungs)}"
        beaten = f"{where}: not among the {len(rung.promoted)} of {rung.counted} that went on"
        hopeless = f"{where}: {LEARNT_NOTHING}"
        left = (member for member in rung.entered if member not in rung.promoted and member not in rung.failed)
        return [(member, hopeless if rung.answers[member] is None else beaten) for member in left]
