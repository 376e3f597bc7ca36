"""How well signals order networks as full training does, with intervals, over all sizes and at equal size.

Each figure is the mean over all pairs of a training that gave the signal and a full training, and full trainings are
compared with each other in the same way. So what they reach among themselves is what a signal would reach that is as
good as one more full training.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import combinations, product
from statistics import fmean

import numpy as np
import pandas as pd

from moonas.report.agreement import (
    LEVEL,
    STATISTICS,
    Estimate,
    Statistic,
    Values,
    at_equal_size,
    estimate,
    kendall,
    spearman,
)

CEILING = "another full training"
SIZES = ("params", "flops")
FEWEST_AT_EQUAL_SIZE = 8
"""Networks; a regression on two sizes leaves nothing of a few."""
KENDALL_AT_EQUAL_SIZE = "kendall_at_equal_size"
_BESIDE_SIZE: Mapping[str, Statistic] = {"spearman_at_equal_size": spearman, KENDALL_AT_EQUAL_SIZE: kendall}
MEASURES: Mapping[str, Statistic] = {**STATISTICS, **_BESIDE_SIZE}
_UNKNOWN = Estimate(np.nan, np.nan, np.nan)


@dataclass(frozen=True)
class Evidence:
    """What is known of networks.

    Attributes:
        signals: by name, `SIZES` among them, larger for what should be better, (networks, trainings) each.
        full: scores after full training, (networks, seeds).
        fitted: parameters fitted to the networks, which count for the width of intervals.
    """

    signals: Mapping[str, Values]
    full: Values
    fitted: int = 1

    def __len__(self) -> int:
        return len(self.full)

    @cached_property
    def at_equal_size(self) -> Evidence:
        """What of it the sizes of the networks do not tell."""
        sizes = np.column_stack([self.signals[size] for size in SIZES])
        rest = {name: _rest(signal, sizes) for name, signal in self.signals.items() if name not in SIZES}
        return Evidence(rest, _rest(self.full, sizes), 1 + len(SIZES))

    def agreement(self, name: str, measure: str) -> Estimate:
        """How well a signal agrees with full trainings, or, for `CEILING`, these with each other; NaN if unknown."""
        known, statistic = self._seen_by(measure), MEASURES[measure]
        if known is None or (name == CEILING and self.full.shape[1] < 2):
            return _UNKNOWN
        if name == CEILING:
            return estimate(partial(among_full, statistic), known.full, parameters=known.fitted)
        if name not in known.signals:
            return _UNKNOWN
        return estimate(partial(with_full, statistic), known.signals[name], known.full, parameters=known.fitted)

    def gain(self, name: str, other: str, measure: str, *, level: float = LEVEL) -> Estimate:
        """How much better one signal agrees with full training than another, or than `CEILING`: a paired difference."""
        known, statistic = self._seen_by(measure), MEASURES[measure]
        if known is None:
            return _UNKNOWN

        def difference(full: Values, one: Values, two: Values | None = None) -> float:
            theirs = among_full(statistic, full) if two is None else with_full(statistic, two, full)
            return with_full(statistic, one, full) - theirs

        signals = [known.signals[each] for each in (name, other) if each != CEILING]
        found = estimate(difference, known.full, *signals, level=level, parameters=known.fitted)
        # Two signals that order alike do so in all resamples, and this is no lack of doubt: they do not differ.
        return Estimate(0.0, 0.0, 0.0) if np.isnan(found.low) and found.value == 0 else found

    def _seen_by(self, measure: str) -> Evidence | None:
        """What a measure looks at; None if there are too few networks for it."""
        if measure not in _BESIDE_SIZE:
            return self
        return self.at_equal_size if len(self) >= FEWEST_AT_EQUAL_SIZE else None


def _rest(values: Values, sizes: Values) -> Values:
    return np.column_stack([at_equal_size(each, sizes) for each in values.T])


def with_full(statistic: Statistic, signal: Values, full: Values) -> float:
    """How well a signal agrees with full trainings, the mean over all pairs of trainings."""
    return fmean(statistic(one, other) for one, other in product(signal.T, full.T))


def among_full(statistic: Statistic, full: Values) -> float:
    """How well full trainings of different seeds agree, the mean over their pairs; NaN if there is but one."""
    return fmean([statistic(*pair) for pair in combinations(full.T, 2)] or [np.nan])


def agreement_table(known: Evidence) -> pd.DataFrame:
    """How well each signal orders networks as full training does.

    Returns:
        A row a signal, the last for full trainings of different seeds among themselves: `signal`, and Spearman's and
        Kendall's rank correlations, the overlap of the top thirds, and the correlations at equal size, with their
        intervals, as `kendall, kendall_low, kendall_high`. Those at equal size are empty for sizes themselves, and for
        fewer networks than `FEWEST_AT_EQUAL_SIZE`.
    """
    return pd.DataFrame([_row(known, name) for name in (*known.signals, CEILING)])


def _row(known: Evidence, signal: str) -> dict[str, str | float]:
    row: dict[str, str | float] = {"signal": signal}
    for measure in MEASURES:
        found = known.agreement(signal, measure)
        row |= {measure: found.value, f"{measure}_low": found.low, f"{measure}_high": found.high}
    return row


def found_in(table: pd.DataFrame, signal: str, measure: str) -> Estimate:
    """A figure of the table."""
    row = table.set_index("signal").loc[signal]
    return Estimate(*(float(row[f"{measure}{end}"]) for end in ("", "_low", "_high")))


def readable(table: pd.DataFrame) -> pd.DataFrame:
    """The table as a reader wants it: a figure with its interval in one column, and no empty columns."""
    shown = {"signal": table["signal"]}
    for measure in table.columns.intersection(list(MEASURES)):
        if table[measure].notna().any():
            shown[measure.replace("_at_", ", ").replace("_", " ")] = [
                str(found_in(table, signal, measure)) for signal in table["signal"]
            ]
    return pd.DataFrame(shown)
