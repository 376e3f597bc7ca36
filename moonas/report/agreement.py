"""How well two ways of judging networks agree: rank correlations, also among networks of one size, with intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

Values = np.ndarray[Any, np.dtype[np.float64]]
Statistic = Callable[[Values, Values], float]
LEVEL = 0.9
"""The confidence of intervals."""
_RESAMPLES = 1000


def spearman(first: Values, second: Values) -> float:
    """Spearman's rank correlation; NaN if one of them never changes."""
    return _correlation(*(_orders(values).sum(axis=1) for values in (first, second)))  # twice the ranks, centred


def kendall(first: Values, second: Values) -> float:
    """Kendall's tau-b: of all pairs, those ordered alike less those ordered otherwise; NaN if one never changes."""
    return _correlation(_orders(first), _orders(second))


def top_third(first: Values, second: Values) -> float:
    """The share of the top third by one that is also in the top third by the other; by chance it is about a third.

    Networks that are tied for the last places count in part, as if ties were broken by lot; NaN if one never changes.
    """
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return np.nan
    count = max(1, round(len(first) / 3))
    return float(np.sum(_places(first, count) * _places(second, count))) / count


def _places(values: Values, count: int) -> Values:
    """The chance of each network to be among so many of the largest, ties broken by lot."""
    last = np.sort(values)[-count]
    sure, tied = values > last, values == last
    return np.where(sure, 1.0, np.where(tied, (count - sure.sum()) / tied.sum(), 0.0))


STATISTICS: Mapping[str, Statistic] = {"spearman": spearman, "kendall": kendall, "top_third": top_third}


def _orders(values: Values) -> Values:
    """For each pair of networks 1 if the first has more, -1 if it has less, 0 if they are tied."""
    return np.asarray(np.sign(values[:, None] - values))


def _correlation(first: Values, second: Values) -> float:
    """Of centred values. SciPy tests for significance, too, for which a thousand resamples have no time."""
    spread = np.sqrt(np.sum(first * first) * np.sum(second * second))
    return float(np.sum(first * second) / spread) if spread > 0 else np.nan


def at_equal_size(values: Values, sizes: Values) -> Values:
    """What of the ranks of networks their size does not tell: the residuals of a linear regression.

    A search has the size as an objective already; what it needs of another signal is the rest. In it stays how size
    matters otherwise than in a straight line of ranks, which signals may share: a little agreement may still be size.

    Args:
        values: of a signal, (networks,).
        sizes: such as flops and parameters, (networks, kinds); their ranks are what is regressed on.
    """
    ranks = stats.rankdata(sizes, axis=0)
    design = np.column_stack([np.ones(len(values)), ranks])
    target = stats.rankdata(values)
    fitted = design @ np.linalg.lstsq(design, target, rcond=None)[0]
    return np.asarray(np.round(target - fitted, 9))  # what differs by rounding alone is tied


@dataclass(frozen=True)
class Estimate:
    """A statistic and its interval, NaN where there is none: of a single network, or where all resamples say the same.

    These would leave no room for doubt, as for four networks in perfect order, which one random order in 24 is.
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return format(self, ".2f")

    def __format__(self, spec: str) -> str:
        """All three numbers, each formatted as `spec` says; those that are none are left out."""
        if np.isnan(self.value):
            return "-"
        value, low, high = (format(number, spec or ".2f") for number in (self.value, self.low, self.high))
        return value if np.isnan(self.low) else f"{value} ({low} to {high})"

    @property
    def is_positive(self) -> bool:
        """Whether it is more than 0 for sure: by its interval, or as all resamples say."""
        return self.low > 0 or bool(np.isnan(self.low) and self.value > 0)

    @property
    def is_negative(self) -> bool:
        """Whether it is less than 0 for sure."""
        return self.high < 0 or bool(np.isnan(self.high) and self.value < 0)


def estimate(
    statistic: Callable[..., float],
    *columns: Values,
    seed: int = 0,
    resamples: int = _RESAMPLES,
    level: float = LEVEL,
    parameters: int = 1,
) -> Estimate:
    """Estimate a statistic of networks, with a bootstrap interval (Efron, 1979): networks are drawn with repetition.

    Of a few networks intervals are expanded, see `expanded`. Of fewer than five even that holds the truth less often
    than 90 %: intervals end at the most extreme network, and all n lie on one side of a median in 1 of 2^(n-1) cases.

    Args:
        statistic: of the columns.
        columns: each (networks, ...), one row a network; a paired difference is a statistic of several columns.
        seed: of the draws.
        resamples: how many.
        level: the confidence of the interval.
        parameters: fitted to the networks, one for the mean alone.
    """
    count, value = len(columns[0]), statistic(*columns)
    if count <= parameters:
        return Estimate(value, np.nan, np.nan)
    random = np.random.default_rng(seed)
    drawn = [
        statistic(*(column[rows] for column in columns)) for rows in random.integers(count, size=(resamples, count))
    ]
    return Estimate(value, *interval(np.array(drawn), expanded(level, count, parameters=parameters)))


def interval(drawn: Values, level: float) -> tuple[float, float]:
    """The middle of resamples; NaN where there is none, as `Estimate` has it."""
    if not np.isfinite(drawn).any():
        return np.nan, np.nan
    low, high = np.nanquantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    if np.isclose(low, high, rtol=1e-9, atol=1e-12):  # their means may differ by rounding
        return np.nan, np.nan
    return float(low), float(high)


def expanded(level: float, count: int, *, parameters: int = 1) -> float:
    """The level at which a bootstrap interval of a few networks holds the truth as often as `level` says.

    Their own spread is too small by the parameters that were fitted to them, and normal quantiles are too near: these
    are the expanded percentiles of Hesterberg, 2015, arXiv:1411.5279.

    Args:
        level: the confidence wanted.
        count: of networks.
        parameters: fitted to the networks, one for the mean alone.
    """
    free = count - parameters
    away = float(stats.t.ppf((1 + level) / 2, free)) * np.sqrt(count / free)
    return float(2 * stats.norm.cdf(away) - 1)
