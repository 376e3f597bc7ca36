"""A front whose networks were timed side by side in the end: what is new in it, and what to think of that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations

import numpy as np
import pandas as pd

from moonas.evaluation.latency import TOGETHER
from moonas.hardware.latency import Quality, quality_of
from moonas.spec.metric import FRONT_COLUMNS

MEASURED, UNCERTAINTY, QUALITY, TIED, TIMED_TOGETHER = FRONT_COLUMNS


def with_timings(
    front: pd.DataFrame, timed: Mapping[str, Mapping[str, float]], *, errors: Mapping[str, str]
) -> pd.DataFrame:
    """A front with what was timed of it, beside the latencies by which it was searched.

    Two networks are tied if their measured latencies differ by less than the larger of their uncertainties: nobody can
    say which of them is faster.

    Args:
        front: one row a network, with `key`, `latency_ms` and `error`.
        timed: by key, the figures of `moonas.evaluation.latency.FrontLatencyEvaluator`; none of a network that could
            not be timed.
        errors: by key, why a network could not be timed.

    Returns:
        The same with `measured_latency_ms`, `measured_latency_uncertainty` (as a share of it), `latency_quality` (see
        `moonas.hardware.latency.quality_of`), `latency_tied_with`, the keys of the networks with which it is tied, with
        spaces between them, None for none, and `latency_timed_together`, how many were timed side by side with it, and
        it. All of them are empty for a network that could not be timed, whose `error` is why.
    """
    figures = [timed[key] for key in front["key"]]
    together = front.assign(
        **{
            MEASURED: [each.get("latency_ms", np.nan) for each in figures],
            UNCERTAINTY: [each.get("latency_uncertainty", np.nan) for each in figures],
            QUALITY: pd.Series([_quality(each) for each in figures], dtype=object),
            TIMED_TOGETHER: pd.Series([each.get(TOGETHER) for each in figures], dtype="Int64"),
            "error": pd.Series([errors[key] or None for key in front["key"]], dtype=object),
        }
    )
    ties: dict[str, list[str]] = {key: [] for key in front["key"]}
    for one, other in tied(together):
        ties[one].append(other)
        ties[other].append(one)
    together[TIED] = pd.Series([" ".join(ties[key]) or None for key in front["key"]], dtype=object)
    new, before = list(FRONT_COLUMNS), list(front)
    place = before.index("latency_ms") + 1
    return together[[*before[:place], *new, *before[place:]]]


def _quality(figures: Mapping[str, float]) -> Quality | None:
    return quality_of(figures["repeatability"], cpu_over_wall=figures["cpu_over_wall"]) if figures else None


def tied(front: pd.DataFrame) -> list[tuple[str, str]]:
    """The keys of all two networks whose measured latencies differ by less than their uncertainty."""
    rows = list(front[["key", MEASURED, UNCERTAINTY]].dropna().itertuples(index=False, name=None))
    return [
        (key, other)
        for (key, latency, uncertainty), (other, others, its) in combinations(rows, 2)
        if abs(latency - others) < max(uncertainty, its) * min(latency, others)
    ]


def timing_remarks(front: pd.DataFrame) -> list[str]:
    """Sentences on what to think of a front's measured latencies; none if nothing is wrong, or none was measured."""
    return [*_untimed(front), *_in_parts(front), *_doubtful(front), *_ties(front)] if MEASURED in front else []


def _untimed(front: pd.DataFrame) -> Iterator[str]:
    """On networks that could not be timed."""
    reasons = front.loc[front[MEASURED].isna(), "error"]
    if len(reasons):
        counts = reasons.value_counts()
        share = "" if len(counts) == 1 else f"{counts.iloc[0]} of them: "
        yield (
            f"{len(reasons)} of {len(front)} networks of the front could not be timed ({share}{counts.index[0]}): they "
            "have no measured latency in pareto.csv, whose errors say why; --retry-failed times the front again."
        )


def _in_parts(front: pd.DataFrame) -> Iterator[str]:
    """On a front that was too much for the machine to be timed whole."""
    together, timed = front[TIMED_TOGETHER].dropna(), int(front[MEASURED].notna().sum())
    if (together < timed).any():
        yield (
            f"The front was timed in parts of at most {together.max()} of its {timed} networks, for all together "
            f"broke the timing ({TIMED_TOGETHER} in pareto.csv): latencies of different parts compare less well."
        )


def _doubtful(front: pd.DataFrame) -> Iterator[str]:
    """On measured latencies that another measurement may not find again."""
    counts = front[QUALITY].value_counts()
    doubtful = {quality: counts[quality] for quality in ("noisy", "bad") if quality in counts}
    if doubtful:
        found = " and ".join(f"{count} {'is' if count == 1 else 'are'} {each}" for each, count in doubtful.items())
        yield (
            f"Warning: of {counts.sum()} measured latencies of the front {found} ({QUALITY} in pareto.csv): another "
            "measurement may find others, as happens on a busy machine."
        )


def _ties(front: pd.DataFrame) -> Iterator[str]:
    """On measured latencies that hardly differ."""
    pairs = tied(front)
    if pairs:
        networks = len({key for pair in pairs for key in pair})
        yield (
            f"{networks} of {len(front)} networks are as fast as another one, as far as timing can tell: their "
            f"measured latencies differ by less than their uncertainty ({TIED} in pareto.csv)."
        )
