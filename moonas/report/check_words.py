"""What a check says of a problem, in sentences: what holds, what looks wrong, and why a search would be in vain."""

from __future__ import annotations

import decimal
from collections.abc import Iterator, Mapping, Sequence

import pandas as pd

from moonas.problem.objective import Constraint, plain
from moonas.report.check import failure_table, nearest
from moonas.report.table import number

_FEW = 0.05
"""Of the networks drawn, those that keep all limits: with fewer, a search trains few."""


def summary(
    networks: pd.DataFrame, *, space: str, repeats: int, is_all: bool, unmeasured: Mapping[str, str]
) -> list[str]:
    """What was looked at, and what came of it.

    Args:
        networks: see `moonas.report.check`.
        space: its name and its size.
        repeats: of as many random genotypes, how many gave a network that another had given.
        is_all: whether the space holds no other.
        unmeasured: metrics that were left out, with what they need.
    """
    drawn = networks[networks["drawn"]]
    able, kept = (drawn["state"] != "failed").sum(), (drawn["state"] == "complete").sum()
    which = f"all {len(drawn)} networks of it" if is_all else f"{len(drawn)} different networks, at random"
    lines = [f"{space}: {which}; of as many random genotypes {_percent(repeats, len(drawn))} repeat a network."]
    lines.append(f"{able} of {len(drawn)} can be evaluated, {kept} keep all limits that were looked at.")
    needs: dict[str, list[str]] = {}
    for metric, need in unmeasured.items():
        needs.setdefault(need, []).append(metric)
    if needs:
        left_out = "; ".join(f"{', '.join(names)} ({need})" for need, names in needs.items())
        lines.append(f"Not looked at: {left_out}.")
    return lines


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %"


def remarks(networks: pd.DataFrame, limits: Sequence[Constraint]) -> list[str]:
    """What looks wrong, though a search can begin; nothing where it cannot.

    Args:
        networks: see `moonas.report.check`.
        limits: those on what was measured.
    """
    return [] if mistake(networks, limits) else [*_idle(networks, limits), *_rare(networks, limits)]


def _idle(networks: pd.DataFrame, limits: Sequence[Constraint]) -> Iterator[str]:
    """On limits that every network keeps."""
    able = networks[networks["drawn"] & (networks["state"] != "failed")]
    for limit in limits:
        values = able[limit.metric]
        if len(able) > 1 and not values.map(limit.violation).any():
            ends = f"{number(values.min())} to {number(values.max())}"
            yield f"{limit} does nothing: all {len(able)} networks keep it, with {ends}."


def _rare(networks: pd.DataFrame, limits: Sequence[Constraint]) -> Iterator[str]:
    """On limits that hardly a network keeps."""
    kept, drawn = networks[networks["state"] == "complete"], int(networks["drawn"].sum())
    by_chance = int(kept["drawn"].sum())
    if limits and not by_chance:
        one = kept.iloc[0]
        yield (
            f"{_worded(limits)} is rare: 0 of {drawn} networks keep it by chance, {one['key']} was found by looking "
            f"for it ({_values(one, limits)}); a search may be long in finding any."
        )
    elif limits and by_chance < _FEW * drawn:
        what = f"Only {by_chance} of {drawn} networks keep all limits"
        yield f"{what}; those that do not are not trained, but count as trials: widen the limits, or narrow the space."


def mistake(networks: pd.DataFrame, limits: Sequence[Constraint]) -> str:
    """Why a search would be in vain, in one sentence; empty if it would not.

    Args:
        networks: see `moonas.report.check`.
        limits: those on what was measured.
    """
    if (networks["state"] == "failed").all():
        worst = failure_table(networks, []).iloc[0]
        why = f"{worst['networks']} of them: {worst['reason']}"
        return f"all {len(networks)} networks fail, so the problem is at fault, not they; {why}"
    if (networks["state"] == "complete").any():
        return ""
    first, drawn = nearest(networks, limits), int(networks["drawn"].sum())
    broken = [limit for limit in limits if limit.violation(first[limit.metric])]
    looked_for = f" and {len(networks) - drawn} that were looked for" if len(networks) > drawn else ""
    remedy = " and ".join(_relaxed(limit, first[limit.metric]) for limit in broken)
    return (
        f"no network keeps {_worded(limits)}: of {drawn} drawn{looked_for}, {first['key']} comes nearest, with "
        f"{_values(first, broken)}; relax the limit to {remedy}, or give genes other choices"
    )


def _worded(limits: Sequence[Constraint]) -> str:
    return f"{' and '.join(map(str, limits))}{' together' if len(limits) > 1 else ''}"


def _values(network: pd.Series, limits: Sequence[Constraint]) -> str:
    """What a network has of what is limited, and how many times the limit that it breaks this is."""
    parts = []
    for limit in limits:
        value = float(network[limit.metric])
        bound = limit.at_most if _is_over(limit, value) else limit.at_least
        is_factor = limit.violation(value) > 0 and bound is not None and value * bound > 0
        times = f", {value / bound:.3g} times the limit" if is_factor and bound else ""
        parts.append(f"{limit.metric} {number(value)}{times}")
    return " and ".join(parts)


def _is_over(limit: Constraint, value: float) -> bool:
    return limit.at_most is not None and value > limit.at_most


def _relaxed(limit: Constraint, value: float) -> str:
    """The limit as it would have to be for a value to keep it, to three digits."""
    over = _is_over(limit, value)
    rounding = decimal.ROUND_CEILING if over else decimal.ROUND_FLOOR
    kept = float(decimal.Context(prec=3, rounding=rounding).create_decimal(repr(float(value))))
    return f"{limit.metric} {'<=' if over else '>='} {plain(kept)}"
