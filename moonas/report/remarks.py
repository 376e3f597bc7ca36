"""What the trials of a search say of the search itself, in sentences for those who read its results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pandas as pd

from moonas.problem.objective import Objective
from moonas.problem.trial import LEARNT_NOTHING
from moonas.report.table import number
from moonas.spec.metric import METRICS

_SPREAD, _DISTURBED = "latency_uncertainty", 0.15
_FEWEST = 4
"""Complete networks; of fewer, some may be alike by chance."""


def remarks(
    trials: pd.DataFrame,
    score: str,
    *,
    objectives: Sequence[Objective] = (),
    notes: Mapping[str, str] | None = None,
    why_modelled: str = "",
) -> list[str]:
    """Sentences on what looks wrong with a search, or is easily taken for more than it is; none if nothing does.

    Args:
        trials: one row a trial.
        score: the metric by which networks are judged on validation data.
        objectives: what was searched for.
        notes: metric -> how it came about.
        why_modelled: what keeps a meter that is there from measuring energies.
    """
    modelled = _modelled(objectives, notes or {}, why_modelled)
    return [*_untold(trials), *_alike(trials, score), *_disturbed(trials), *modelled]


def _disturbed(trials: pd.DataFrame) -> Iterator[str]:
    """On latencies that were timed while others computed."""
    if _SPREAD not in trials:
        return
    spreads = trials[_SPREAD].dropna()
    disturbed = int((spreads > _DISTURBED).sum())
    if len(spreads) >= _FEWEST and 2 * disturbed >= len(spreads):
        yield (
            f"Warning: {disturbed} of {len(spreads)} latencies of the search were timed on a busy machine ({_SPREAD} "
            f"above {_DISTURBED:g}): their order is doubtful where they differ by less; search again when it is idle."
        )


def _modelled(objectives: Sequence[Objective], notes: Mapping[str, str], why: str) -> Iterator[str]:
    """On objectives that nobody has measured."""
    names = [each.metric for each in objectives if notes.get(each.metric, "").startswith("modelled")]
    if names:
        yield (
            f"Warning: {' and '.join(names)} {'is' if len(names) == 1 else 'are'} modelled, not measured: good for a "
            f"ranking at best, not for joules or watts; {why or 'measure with a meter on the device (device.meter)'}."
        )


def _untold(trials: pd.DataFrame) -> Iterator[str]:
    """On a halving whose first rung tells most networks from nothing, but not from each other."""
    stopped = trials.loc[trials["state"] == "stopped", "error"]
    hopeless = sum(reason.endswith(LEARNT_NOTHING) for reason in stopped)
    if hopeless and 2 * hopeless >= len(stopped):
        yield (
            f"{hopeless} of {len(stopped)} stopped networks were {LEARNT_NOTHING}: the first rung is too short to tell "
            "networks apart; give search.halving.rungs.0 more epochs or samples."
        )


def _alike(trials: pd.DataFrame, score: str) -> Iterator[str]:
    """On networks most of which have one score, and not the best that there is."""
    if score not in trials:
        return
    scores = trials.loc[trials["state"] == "complete", score].dropna()
    if len(scores) < _FEWEST:
        return
    counts = scores.value_counts()
    value, count = float(counts.index[0]), int(counts.iloc[0])
    if 4 * count >= 3 * len(scores) and value != METRICS[score].ideal:
        yield (
            f"{count} of {len(scores)} complete networks have the same {score}, {number(value)}: they may have learnt "
            "nothing; look at the labels, or train longer."
        )
