"""What the benchmark of proxies prints, from its rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations

import numpy as np
import pandas as pd

from moonas.benchmark.ranking import PROXY, REFERENCES, TRUTH
from moonas.benchmark.speed import rates, speed_up, timed_blocks
from moonas.report.agreement import (
    LEVEL,
    STATISTICS,
    Estimate,
    Statistic,
    Values,
    at_equal_size,
    estimate,
    kendall,
)
from moonas.report.table import print_frame
from moonas.terminal import say

THEIRS = {f"{name} accuracy": (name, "accuracy") for name in REFERENCES}
OURS = {f"{PROXY} {column}": (PROXY, column) for column in ("accuracy", "training_loss")}
SizedStatistic = Callable[[Values, Values, Values], float]


def _sizeless(statistic: Statistic) -> SizedStatistic:
    return lambda first, second, sizes: statistic(first, second)


def kendall_at_equal_size(first: Values, second: Values, sizes: Values) -> float:
    """Kendall's tau of what size does not tell."""
    return kendall(at_equal_size(first, sizes), at_equal_size(second, sizes))


MEASURES: Mapping[str, SizedStatistic] = {
    **{name: _sizeless(statistic) for name, statistic in STATISTICS.items()},
    "kendall at equal size": kendall_at_equal_size,
}
GAINED = ("kendall", "kendall at equal size")
"""The measures by which signals are compared with each other."""


@dataclass(frozen=True)
class Judgements:
    """What each signal says of each network; larger is better.

    Attributes:
        signals: by name, (networks, seeds).
        truth: (networks, seeds).
        sizes: multiply-adds and parameters, (networks, 2).
    """

    signals: Mapping[str, Values]
    truth: Values
    sizes: Values

    def agreement(self, name: str, measure: SizedStatistic) -> Estimate:
        """How well a signal agrees with the mean truth: the mean over its seeds, networks being drawn again."""
        return estimate(partial(_mean_agreement, measure), self.signals[name], self.truth.mean(axis=1), self.sizes)

    def gain(self, name: str, reference: str, measure: SizedStatistic) -> Estimate:
        """By how much a signal agrees better than another, on the same networks."""

        def difference(ours: Values, theirs: Values, truth: Values, sizes: Values) -> float:
            return _mean_agreement(measure, ours, truth, sizes) - _mean_agreement(measure, theirs, truth, sizes)

        signals = self.signals[name], self.signals[reference]
        return estimate(difference, *signals, self.truth.mean(axis=1), self.sizes)

    def ceiling(self, measure: SizedStatistic) -> Estimate:
        """How well two long trainings of the same networks agree."""

        def between_seeds(truth: Values, sizes: Values) -> float:
            pairs = combinations(range(truth.shape[1]), 2)
            return float(np.mean([measure(truth[:, i], truth[:, j], sizes) for i, j in pairs]))

        return estimate(between_seeds, self.truth, self.sizes)


def _mean_agreement(measure: SizedStatistic, signal: Values, truth: Values, sizes: Values) -> float:
    return float(np.mean([measure(signal[:, seed], truth, sizes) for seed in range(signal.shape[1])]))


def judgements_of(rows: pd.DataFrame, keys: Sequence[str], *, seeds: int, long_seeds: int) -> Judgements:
    """Lay out the rows of networks; those that lack a judgement are left out."""
    rows = rows[rows["key"].isin(keys) & (rows["seed"] < rows["contender"].map({TRUTH: long_seeds}).fillna(seeds))]
    signs = {"accuracy": 1.0, "training_loss": -1.0}
    tables = {
        name: signs[column] * rows[rows["contender"] == contender].pivot_table(column, "key", "seed", dropna=False)
        for name, (contender, column) in {**THEIRS, **OURS, TRUTH: (TRUTH, "accuracy")}.items()
    }
    whole = [
        key for key in keys if all(key in table.index and table.loc[key].notna().all() for table in tables.values())
    ]
    sizes = rows.drop_duplicates("key").set_index("key").loc[whole, ["flops", "params"]]
    values = {name: table.loc[whole].to_numpy(dtype=float) for name, table in tables.items()}
    return Judgements(values, values.pop(TRUTH), sizes.to_numpy(dtype=float))


def print_ranks(rows: pd.DataFrame, keys: Sequence[str], *, seeds: int, long_seeds: int) -> None:
    """Print how well each contender's ranks agree with the truth, and how moonas's compare with the references'."""
    found = judgements_of(rows, keys, seeds=seeds, long_seeds=long_seeds)
    count = len(found.truth)
    if count < 3:
        say(f"{count} networks were judged by all: too few for ranks. {_first_error(rows)}")
        return
    lines = [(name, *(str(found.agreement(name, each)) for each in MEASURES.values())) for name in found.signals]
    if long_seeds > 1:
        lines.append(("truth, seed to seed", *(str(found.ceiling(each)) for each in MEASURES.values())))
    what = f"{count} of {len(keys)} networks, mean over seeds (of {seeds}), {LEVEL:.0%} intervals by bootstrap"
    print_frame(pd.DataFrame(lines, columns=["signal", *MEASURES]), f"Agreement with long training: {what}")
    gains = [
        (f"{ours} less {theirs}", *(format(found.gain(ours, theirs, MEASURES[name]), "+.2f") for name in GAINED))
        for ours in OURS
        for theirs in THEIRS
    ]
    print_frame(pd.DataFrame(gains, columns=["on the same networks", *GAINED]), "Moonas against the references")
    if count < len(keys):
        say(_first_error(rows))


def _first_error(rows: pd.DataFrame) -> str:
    errors = rows.loc[rows["error"] != "", "error"]
    return f"{len(errors)} trainings failed, the first: {errors.iloc[0]}" if len(errors) else ""


def print_times(rows: pd.DataFrame) -> None:
    """Print what a candidate takes, and how many times faster moonas is than each reference."""
    rows = timed_blocks(rows)
    if rows.empty:
        return
    table = rates(rows).round(4).reset_index()
    for reference in REFERENCES:
        table[f"times {reference}"] = [
            "" if name in REFERENCES else str(speed_up(rows, reference, name)) for name in table["contender"]
        ]
    print_frame(table, f"Speed on {rows['key'].nunique()} networks")
