"""How well what a search sees of networks orders them as full training does: the statistics of an audit.

Frames of networks have a row each: `key, params, flops`, the signals (`proxy_accuracy`, `proxy_training_loss`,
zero-cost proxies), and `full_accuracy_0`, `full_accuracy_1` ... after full trainings of different seeds. For other
targets than classes another score stands in place of accuracy.

Each figure is the mean over the full trainings, and full trainings are compared with each other in the same way. So
what they reach among themselves is what a signal would reach that is as good as one more full training.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from statistics import fmean

import numpy as np
import pandas as pd
from scipy import stats

from moonas.report.agreement import (
    LEVEL,
    STATISTICS,
    Estimate,
    Statistic,
    Values,
    at_equal_size,
    estimate,
    expanded,
    kendall,
    spearman,
)
from moonas.spec.data import SCORES
from moonas.spec.metric import METRICS

_FULL = tuple(f"full_{score}_" for score in SCORES.values())
CEILING = "another full training"
SIZES = ("params", "flops")
FEWEST, FEWEST_AT_EQUAL_SIZE = 4, 8
"""Networks; a regression on two sizes leaves nothing of a few."""
KENDALL_AT_EQUAL_SIZE = "kendall_at_equal_size"

_BESIDE_SIZE: Mapping[str, Statistic] = {"spearman_at_equal_size": spearman, KENDALL_AT_EQUAL_SIZE: kendall}
_MEASURES: Mapping[str, Statistic] = {**STATISTICS, **_BESIDE_SIZE}
_SCORES = tuple(name for name, metric in METRICS.items() if metric.source == "zero_cost")
_COLUMNS: Mapping[str, tuple[str, float]] = {
    **{score: (f"proxy_{score}", 1.0) for score in SCORES.values()},
    "training_loss": ("proxy_training_loss", -1.0),
    **{name: (name, 1.0) for name in (*_SCORES, *SIZES)},
}
"""Signal -> its column, and the sign that makes larger better."""
_UNKNOWN = Estimate(np.nan, np.nan, np.nan)


@dataclass(frozen=True)
class Evidence:
    """What is known of networks.

    Attributes:
        signals: those known of all networks, larger for what should be better, (networks,) each.
        full: scores after full training, (networks, seeds).
        fitted: parameters fitted to the networks, which count for the width of intervals.
    """

    signals: Mapping[str, Values]
    full: Values
    fitted: int = 1

    def level(self, level: float) -> float:
        """The level at which intervals of so few networks hold what they promise."""
        return expanded(level, len(self.full), parameters=self.fitted)

    def at_equal_size(self) -> Evidence:
        """What of it the sizes of the networks do not tell."""
        sizes = np.column_stack([self.signals[size] for size in SIZES])
        rest = {name: at_equal_size(signal, sizes) for name, signal in self.signals.items() if name not in SIZES}
        return Evidence(rest, np.column_stack([at_equal_size(each, sizes) for each in self.full.T]), 1 + len(SIZES))


def evidence(networks: pd.DataFrame) -> Evidence:
    """Read a frame of networks."""
    known = {name: each for name, each in _COLUMNS.items() if each[0] in networks and networks[each[0]].notna().all()}
    signals = {name: sign * networks[column].to_numpy(dtype=float) for name, (column, sign) in known.items()}
    return Evidence(signals, networks[full_columns(networks)].to_numpy(dtype=float))


def full_columns(networks: pd.DataFrame) -> list[str]:
    """The columns of full trainings, one a seed, as `full_accuracy_0`."""
    return [name for name in networks if name.startswith(_FULL)]


def with_full(statistic: Statistic, signal: Values, full: Values) -> float:
    """How well a signal agrees with full trainings, their mean."""
    return fmean(statistic(signal, each) for each in full.T)


def among_full(statistic: Statistic, full: Values) -> float:
    """How well full trainings of different seeds agree, the mean over their pairs; NaN if there is but one."""
    return fmean([statistic(*pair) for pair in combinations(full.T, 2)] or [np.nan])


def agreement_table(networks: pd.DataFrame) -> pd.DataFrame:
    """How well each signal orders networks as full training does.

    Returns:
        A row a signal, the last for full trainings of different seeds among themselves: `signal`, and Spearman's and
        Kendall's rank correlations, the overlap of the top thirds, and the correlations at equal size, with their
        intervals, as `kendall, kendall_low, kendall_high`. Those at equal size are empty for sizes themselves, and for
        fewer networks than `FEWEST_AT_EQUAL_SIZE`.
    """
    known = evidence(networks)
    return pd.DataFrame([_row(name, _estimates(networks, name)) for name in (*known.signals, CEILING)])


def _estimates(networks: pd.DataFrame, name: str) -> dict[str, Estimate]:
    return {measure: _estimate(_evidence_for(networks, measure), name, _MEASURES[measure]) for measure in _MEASURES}


def _evidence_for(networks: pd.DataFrame, measure: str) -> Evidence:
    """What a measure looks at; nothing if there are too few networks for it."""
    known = evidence(networks)
    if measure not in _BESIDE_SIZE:
        return known
    return known.at_equal_size() if len(networks) >= FEWEST_AT_EQUAL_SIZE else Evidence({}, known.full[:, :0])


def _estimate(known: Evidence, name: str, statistic: Statistic) -> Estimate:
    if name == CEILING:
        seeds = known.full.shape[1]
        return estimate(partial(among_full, statistic), known.full, level=known.level(LEVEL)) if seeds > 1 else _UNKNOWN
    if name not in known.signals:
        return _UNKNOWN
    return estimate(partial(with_full, statistic), known.signals[name], known.full, level=known.level(LEVEL))


def _row(signal: str, found: Mapping[str, Estimate]) -> dict[str, str | float]:
    row: dict[str, str | float] = {"signal": signal}
    for name, each in found.items():
        row |= {name: each.value, f"{name}_low": each.low, f"{name}_high": each.high}
    return row


def found_in(table: pd.DataFrame, signal: str, measure: str) -> Estimate:
    """A figure of the table."""
    row = table.set_index("signal").loc[signal]
    return Estimate(*(float(row[f"{measure}{end}"]) for end in ("", "_low", "_high")))


def readable(table: pd.DataFrame) -> pd.DataFrame:
    """The table as a reader wants it: a figure with its interval in one column, and no empty columns."""
    shown = {"signal": table["signal"]}
    for measure in table.columns.intersection(list(_MEASURES)):
        if table[measure].notna().any():
            shown[measure.replace("_at_", ", ").replace("_", " ")] = [
                _short(found_in(table, signal, measure)) for signal in table["signal"]
            ]
    return pd.DataFrame(shown)


def _short(found: Estimate) -> str:
    return "-" if np.isnan(found.value) else f"{found.value:.2f} [{found.low:.2f}, {found.high:.2f}]"


def gain(networks: pd.DataFrame, signal: str, other: str, *, measure: str, level: float = LEVEL) -> Estimate:
    """How much better one signal agrees with full training than another, or than `CEILING`: a paired difference."""
    known, statistic = _evidence_for(networks, measure), _MEASURES[measure]
    if other == CEILING:
        return estimate(
            lambda one, full: with_full(statistic, one, full) - among_full(statistic, full),
            *(known.signals[signal], known.full),
            level=known.level(level),
        )
    return estimate(
        lambda one, two, full: with_full(statistic, one, full) - with_full(statistic, two, full),
        *(known.signals[signal], known.signals[other], known.full),
        level=known.level(level),
    )


def chance_of_no_difference(networks: pd.DataFrame) -> float:
    """The chance of full scores that differ as much, if networks differed by their seeds alone (Fisher's F test).

    With one seed nobody knows what seeds do, and the answer is 1 only if all scores are the same.
    """
    full = evidence(networks).full
    count, seeds = full.shape
    between = seeds * float(full.mean(axis=1).var(ddof=1))
    if seeds == 1 or between == 0:
        return float(between == 0)
    within = float(full.var(axis=1, ddof=1).mean())
    return float(stats.f.sf(between / within, count - 1, count * (seeds - 1))) if within > 0 else 0.0
