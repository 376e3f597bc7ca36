"""A front whose networks were timed side by side in the end: what is new in it, and which latencies do not differ."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np
import pandas as pd

from moonas.spec.metric import FRONT_COLUMNS

MEASURED, UNCERTAINTY, TIED = FRONT_COLUMNS


def with_timings(front: pd.DataFrame, timed: Mapping[str, Mapping[str, float]]) -> pd.DataFrame:
    """A front with what was timed of it, beside the latencies by which it was searched.

    Two networks are tied if their measured latencies differ by less than the larger of their uncertainties: nobody can
    say which of them is faster.

    Args:
        front: one row a network, with `key` and `latency_ms`.
        timed: by key, what was timed together; of a network that could not be timed nothing.

    Returns:
        The same with `measured_latency_ms`, `measured_latency_uncertainty` (as a share of it) and `latency_tied_with`,
        the keys of the networks with which it is tied, with spaces between them, None for none.
    """
    columns = {
        MEASURED: [timed[key].get("latency_ms", np.nan) for key in front["key"]],
        UNCERTAINTY: [timed[key].get("latency_uncertainty", np.nan) for key in front["key"]],
    }
    together = front.assign(**columns)
    ties: dict[str, list[str]] = {key: [] for key in front["key"]}
    for one, other in tied(together):
        ties[one].append(other)
        ties[other].append(one)
    together[TIED] = pd.Series([" ".join(ties[key]) or None for key in front["key"]], dtype=object)
    new, before = list(FRONT_COLUMNS), list(front)
    place = before.index("latency_ms") + 1
    return together[[*before[:place], *new, *before[place:]]]


def tied(front: pd.DataFrame) -> list[tuple[str, str]]:
    """The keys of all two networks whose measured latencies differ by less than their uncertainty."""
    rows = list(front[["key", MEASURED, UNCERTAINTY]].dropna().itertuples(index=False, name=None))
    return [
        (key, other)
        for (key, latency, uncertainty), (other, others, its) in combinations(rows, 2)
        if abs(latency - others) < max(uncertainty, its) * min(latency, others)
    ]


def tie_remark(front: pd.DataFrame) -> str:
    """What to think of a front's latencies that hardly differ, in one sentence; empty if there are none."""
    if MEASURED not in front:
        return ""
    pairs = tied(front)
    if not pairs:
        return ""
    networks = len({key for pair in pairs for key in pair})
    return (
        f"{networks} of {len(front)} networks are as fast as another one, as far as timing can tell: their measured "
        f"latencies differ by less than their uncertainty ({TIED} in pareto.csv)."
    )
