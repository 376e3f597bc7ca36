"""What the figures of an audit say, in words, and no more than they say."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from moonas.report.agreement import LEVEL, Estimate
from moonas.report.audit import chance_of_no_difference
from moonas.report.evidence import CEILING, FEWEST_AT_EQUAL_SIZE, KENDALL_AT_EQUAL_SIZE, SIZES, Evidence, found_in

_HARDLY, _NEARLY = 0.1, 0.15
"""The chance above which accuracies count as the same; by how much less agreement is as good."""
_GUESS = 10
"""Up to how many times the networks at hand is worth guessing."""


def verdict(networks: Evidence, table: pd.DataFrame, judged: str, *, advice: str = "") -> tuple[str, ...]:
    """Say whether what a search sees orders networks as full training does.

    Args:
        networks: what is known of them.
        table: its `agreement_table`.
        judged: the signal that the search goes by.
        advice: what would bring the proxy nearer to full training, as "raise fidelity.samples to 512".
    """
    if judged not in networks.signals:
        return (f"The {judged} of the proxy is not known of all networks, so there is nothing to judge.",)
    chance = chance_of_no_difference(networks)
    if chance > _HARDLY:
        return (_all_alike(networks, chance),)
    if not _known(found_in(table, judged, "kendall")):
        return (f"The {judged} of the proxy is the same for all networks, so it orders none.", *_remedy(advice))
    overall = _over_all_sizes(networks, table, judged)
    if len(networks) < FEWEST_AT_EQUAL_SIZE:
        few = f"{len(networks)} networks cannot be compared at equal size; that takes {FEWEST_AT_EQUAL_SIZE} or more."
        return overall, few, *_remedy(advice if _falls_short(networks, judged, "kendall") else "")
    short = any(_falls_short(networks, judged, measure) for measure in ("kendall", KENDALL_AT_EQUAL_SIZE))
    sentences = (overall, _at_equal_size(networks, table, judged), *_remedy(advice if short else ""))
    return *sentences, *_better_signals(networks, table, judged)


def _all_alike(networks: Evidence, chance: float) -> str:
    full = networks.full
    between = float(full.mean(axis=1).std(ddof=1))
    noise = f", and by {np.sqrt(full.var(axis=1, ddof=1).mean()):.4f} between seeds" if full.shape[1] > 1 else ""
    return (
        f"Fully trained, these networks hardly differ: their scores spread by {between:.4f} between networks"
        f"{noise} (as much by chance: {chance:.2f}). As far as they show, there is no order for a proxy to find."
    )


def _over_all_sizes(networks: Evidence, table: pd.DataFrame, judged: str) -> str:
    by_size = max(SIZES, key=lambda size: np.nan_to_num(found_in(table, size, "kendall").value, nan=-1))
    others = {CEILING: "full trainings among themselves", by_size: f"{by_size} alone, known without training,"}
    parts = [
        f"Over all sizes, {judged} of the proxy orders networks with {_worded(found_in(table, judged, 'kendall'))}"
    ]
    for other, name in others.items():
        found = found_in(table, other, "kendall")
        if _known(found):
            more = networks.gain(judged, other, "kendall")
            sure = (
                "clearly less" if more.is_positive else "clearly more" if more.is_negative else "no different for sure"
            )
            parts.append(f"{name} with {found.value:.2f}, which is {sure}")
    return f"{'; '.join(parts)}."


def _at_equal_size(networks: Evidence, table: pd.DataFrame, judged: str) -> str:
    found, ceiling = (found_in(table, signal, KENDALL_AT_EQUAL_SIZE) for signal in (judged, CEILING))
    if not _known(found):
        return f"Beside size, {judged} of the proxy says nothing about these networks."
    what = f"{judged} of the proxy orders networks of equal size"
    if found.is_negative:
        return f"The {what} the wrong way round ({_worded(found)})."
    if not _known(ceiling):
        better = "better than chance" if found.is_positive else "not better than chance for sure"
        return f"The {what} {better} ({_worded(found)}); how well it could, takes two seeds of full training."
    lack = networks.gain(judged, CEILING, KENDALL_AT_EQUAL_SIZE)
    among = f"full trainings agree among themselves ({_worded(ceiling)})"
    if lack.is_negative:
        good = "better than chance, but worse than" if found.is_positive else "no better than chance, while"
        return f"The {what} {good} {among}: {_worded(found)}."
    if not found.is_positive:
        return _undecided(networks, f"{judged} of the proxy", found, ceiling)
    if lack.low > -_NEARLY:
        return f"The {what} as well as {among}: {_worded(found)}."
    return (
        f"The {what} better than chance ({_worded(found)}). Whether as well as {among}, these {len(networks)} cannot "
        f"tell: the difference is {lack}."
    )


def _undecided(networks: Evidence, what: str, found: Estimate, ceiling: Estimate) -> str:
    """What to say of an interval that holds chance, and reaches what full trainings agree among themselves."""
    count = len(networks)
    text = f"At equal size, {count} networks cannot tell whether {what} is better than chance ({_worded(found)})"
    if not ceiling.is_positive:
        text = f"{text}, nor whether full trainings of different seeds agree at all ({_worded(ceiling)})"
    if ceiling.value <= 0:
        return f"{text}: what these differ in beside size looks like the luck of training."
    width = np.nanmax([found.high - found.low, ceiling.high - ceiling.low])
    needed = math.ceil(count * max(1.1, width / ceiling.value) ** 2)  # widths shrink with the root of the count
    return f"{text}; it takes {f'about {needed}' if needed <= _GUESS * count else f'more than {_GUESS * count}'}."


def _better_signals(networks: Evidence, table: pd.DataFrame, judged: str) -> list[str]:
    """The signals that are clearly better at equal size, though several are looked at (Bonferroni)."""
    others = [name for name in networks.signals if name not in (*SIZES, judged)]
    sentences = []
    for name in others:
        if not found_in(table, name, KENDALL_AT_EQUAL_SIZE).is_positive:
            continue
        level = 1 - (1 - LEVEL) / len(others)
        more = networks.gain(name, judged, KENDALL_AT_EQUAL_SIZE, level=level)
        if more.is_positive:
            what = (
                f"{name} orders networks of equal size better than {judged} (by {more}, as one of {len(others)} tried)"
            )
            sentences.append(f"Here {what}: consider it as an objective.")
    return sentences


def _falls_short(networks: Evidence, judged: str, measure: str) -> bool:
    """Whether full trainings surely agree more among themselves than the signal does with them."""
    return networks.gain(judged, CEILING, measure).is_negative


def _remedy(advice: str) -> list[str]:
    return [f"To bring the proxy nearer to full training, {advice}, and audit again."] if advice else []


def _known(found: Estimate) -> bool:
    return not math.isnan(found.value)


def _worded(found: Estimate) -> str:
    if math.isnan(found.low):
        return f"Kendall {found.value:.2f}, and no resample of the networks says otherwise"
    return f"Kendall {found.value:.2f}, {100 * LEVEL:.0f} % interval {found.low:.2f} to {found.high:.2f}"
