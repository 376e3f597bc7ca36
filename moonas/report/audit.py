"""What an audit knows of networks, as the statistics of `report/evidence.py` want it.

Frames of networks have a row each: `key, params, flops`, the signals (`proxy_accuracy`, `proxy_training_loss`,
zero-cost proxies), and `full_accuracy_0`, `full_accuracy_1` ... after full trainings of different seeds. For other
targets than classes another score stands in place of accuracy.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from scipy import stats

from moonas.report.evidence import SIZES, Evidence
from moonas.spec.data import SCORES
from moonas.spec.metric import METRICS

FEWEST = 4
"""Networks that an audit compares."""
_FULL = tuple(f"full_{score}_" for score in SCORES.values())
_ZERO_COST = tuple(name for name, metric in METRICS.items() if metric.source == "zero_cost")
_COLUMNS: Mapping[str, tuple[str, float]] = {
    **{score: (f"proxy_{score}", 1.0) for score in SCORES.values()},
    "training_loss": ("proxy_training_loss", -1.0),
    **{name: (name, 1.0) for name in (*_ZERO_COST, *SIZES)},
}
"""Signal -> its column, and the sign that makes larger better."""


def evidence(networks: pd.DataFrame) -> Evidence:
    """Read a frame of networks; signals are those known of all."""
    known = {name: each for name, each in _COLUMNS.items() if each[0] in networks and networks[each[0]].notna().all()}
    signals = {name: sign * networks[[column]].to_numpy(dtype=float) for name, (column, sign) in known.items()}
    return Evidence(signals, networks[full_columns(networks)].to_numpy(dtype=float))


def full_columns(networks: pd.DataFrame) -> list[str]:
    """The columns of full trainings, one a seed, as `full_accuracy_0`."""
    return [name for name in networks if name.startswith(_FULL)]


def chance_of_no_difference(known: Evidence) -> float:
    """The chance of full scores that differ as much, if networks differed by their seeds alone (Fisher's F test).

    With one seed nobody knows what seeds do, and the answer is 1 only if all scores are the same.
    """
    full = known.full
    count, seeds = full.shape
    between = seeds * float(full.mean(axis=1).var(ddof=1))
    if seeds == 1 or between == 0:
        return float(between == 0)
    within = float(full.var(axis=1, ddof=1).mean())
    return float(stats.f.sf(between / within, count - 1, count * (seeds - 1))) if within > 0 else 0.0
