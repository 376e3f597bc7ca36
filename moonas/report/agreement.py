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
    return float(stats.spearmanr(first, second).statistic) if _vary(first, second) else np.nan


def kendall(first: Values, second: Values) -> float:
    """Kendall's tau-b: of all pairs, those ordered alike less those ordered otherwise; NaN if one never changes."""
    return float(stats.kendalltau(first, second).statistic) if _vary(first, second) else np.nan


def top_third(first: Values, second: Values) -> float:
    """The share of the top third by one that is also in the top third by the other; by chance it is a third."""
    count = max(1, round(len(first) / 3))
    tops = [set(np.argsort(-values, kind="stable")[:count].tolist()) for values in (first, second)]
    return len(tops[0] & tops[1]) / count


STATISTICS: Mapping[str, Statistic] = {"spearman": spearman, "kendall": kendall, "top_third": top_third}


def _vary(*columns: Values) -> bool:
    return all(np.ptp(column) > 0 for column in columns)


def at_equal_size(values: Values, sizes: Values) -> Values:
    """What of the ranks of networks their size does not tell: the residuals of a linear regression.

    A search has the size as an objective already; what it needs of another signal is the rest.

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
    """A statistic and its interval at a confidence of `LEVEL`."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return format(self, ".2f")

    def __format__(self, spec: str) -> str:
        """All three numbers, each formatted as `spec` says."""
        value, low, high = (format(number, spec or ".2f") for number in (self.value, self.low, self.high))
        return f"{value} ({low} to {high})"


def estimate(statistic: Callable[..., float], *columns: Values, seed: int = 0, resamples: int = _RESAMPLES) -> Estimate:
    """Estimate a statistic of networks, with a bootstrap interval (Efron, 1979): networks are drawn with repetition.

    Args:
        statistic: of the columns.
        columns: each (networks, ...), one row a network; a paired difference is a statistic of several columns.
        seed: of the draws.
        resamples: how many.
    """
    random = np.random.default_rng(seed)
    count = len(columns[0])
    drawn = [
        statistic(*(column[rows] for column in columns)) for rows in random.integers(count, size=(resamples, count))
    ]
    low, high = np.nanquantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]) if np.isfinite(drawn).any() else (np.nan,) * 2
    return Estimate(statistic(*columns), float(low), float(high))
