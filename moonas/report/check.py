"""What networks drawn from a space, and measured without training, say of a problem: tables.

They are functions of a frame `networks` with a row for each network: `key`, `drawn` (at random; else it was looked for,
because none of these keeps the limits), `state` (`complete`: keeps all limits that were looked at), the metrics,
`error`, then a column for each gene, empty where the gene does not matter.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from moonas.problem.objective import Constraint, total_violation

ALL_LIMITS = "all of them"
_NEAR_SHARE, _FEWEST_NEAR = 0.1, 5
"""Of the networks drawn, those that are called near, and how many they are at least."""
_CLEARLY = 0.25
"""By how much more of the near networks make a choice than of all, to be told."""
_MOST_GENES = 8
_SHARES = ("share", "near", "all")


def metric_table(networks: pd.DataFrame, metrics: Sequence[str], goals: Mapping[str, str]) -> pd.DataFrame:
    """What each metric was.

    Args:
        networks: see the module.
        metrics: those that were measured.
        goals: which way is better, of those of which this is known.

    Returns:
        A row a metric: `metric, smallest, median, largest` of the networks drawn, and the `best` of those that keep all
        limits; NaN where there is none, or no better.
    """
    drawn, kept = networks[networks["drawn"]], networks[networks["state"] == "complete"]
    rows = []
    for metric in metrics:
        values = drawn[metric]
        goal, inside = goals.get(metric), kept[metric]
        best = inside.max() if goal == "maximize" else inside.min() if goal == "minimize" else np.nan
        rows.append((metric, values.min(), values.median(), values.max(), best))
    return pd.DataFrame(rows, columns=["metric", "smallest", "median", "largest", "best"])


def limit_table(networks: pd.DataFrame, limits: Sequence[Constraint]) -> pd.DataFrame:
    """How many networks keep each limit, of those drawn that did not fail.

    Returns:
        A row a limit, the last for all together: `limit`, `networks` that keep it and their `share`, empty for a limit
        on what was not measured.
    """
    able = _able(networks[networks["drawn"]])
    kept = {str(limit): _keeping(able, limit) if limit.metric in able else None for limit in limits}
    if limits:
        kept[ALL_LIMITS] = able["state"] == "complete"
    counts = pd.array([None if keep is None else int(keep.sum()) for keep in kept.values()], dtype="Int64")
    share = [np.nan if keep is None or able.empty else float(keep.mean()) for keep in kept.values()]
    return pd.DataFrame({"limit": list(kept), "networks": counts, "share": share})


def _able(networks: pd.DataFrame) -> pd.DataFrame:
    return networks[networks["state"] != "failed"]


def _keeping(networks: pd.DataFrame, limit: Constraint) -> pd.Series:
    return networks[limit.metric].map(limit.violation) == 0


def failure_table(networks: pd.DataFrame, genes: Sequence[str]) -> pd.DataFrame:
    """Why networks failed, reasons that differ in figures alone counted as one.

    Returns:
        A row a reason, the commonest first: `networks`, the `reason` as one of them has it, the key of this `example`,
        and the `choices` that all that failed so make and no network that works, where there are some.
    """
    failed = networks[networks["state"] == "failed"]
    rows = []
    for _, alike in failed.groupby(failed["error"].map(_without_figures), sort=False):
        first = alike.iloc[0]
        choices = _apart(alike, _able(networks), genes)
        rows.append((len(alike), first["error"], first["key"], choices))
    table = pd.DataFrame(rows, columns=["networks", "reason", "example", "choices"])
    return table.sort_values("networks", ascending=False, kind="stable", ignore_index=True)


def _without_figures(reason: str) -> str:
    """A reason without the words that hold figures; but the line of the user's code where it came up is part of it."""
    return re.sub(r"\S*\d\S*", lambda word: word[0] if ".py:" in word[0] else "#", reason)


def _apart(failed: pd.DataFrame, able: pd.DataFrame, genes: Sequence[str]) -> str:
    """The choices of genes that tell networks that failed from those that work; a single one might by chance."""
    told = []
    for gene in genes if len(failed) > 1 and len(able) else ():
        chosen, others = failed[gene].unique(), set(able[gene].dropna())
        if not pd.isna(chosen).any() and others and not others & set(chosen):
            told.append(f"{gene} {' or '.join(map(str, chosen))}")
    return ", ".join(told)


def nearest(networks: pd.DataFrame, limits: Sequence[Constraint]) -> pd.Series:
    """The network that is the least beyond the limits, by the sum of the shares by which it breaks them."""
    able = _able(networks)
    found: pd.Series = able.loc[_violations(able, limits).idxmin()]
    return found


def _violations(networks: pd.DataFrame, limits: Sequence[Constraint]) -> pd.Series:
    limited = dict.fromkeys(limit.metric for limit in limits if limit.metric in networks)
    metrics = networks[list(limited)]
    return pd.Series([total_violation(limits, row) for row in metrics.to_dict("records")], metrics.index, dtype=float)


def near_choices(
    networks: pd.DataFrame, limits: Sequence[Constraint], genes: Mapping[str, Sequence[object]]
) -> pd.DataFrame:
    """What networks that come near to the limits choose, and others do not.

    Args:
        networks: see the module.
        limits: what they should keep.
        genes: with their choices.

    Returns:
        A row a gene, at most 8, the clearest first: `gene`, the choice of the `nearest` network, how many of the drawn
        networks make it of the `near` tenth and of `all`, both shares, and the `choices` that there are.
    """
    drawn = _able(networks[networks["drawn"]])
    first = nearest(networks, limits) if len(drawn) else pd.Series(dtype=object)
    count = max(_FEWEST_NEAR, round(_NEAR_SHARE * len(drawn)))
    near = drawn.loc[_violations(drawn, limits).nsmallest(count).index]
    rows = []
    for gene, choices in genes.items():
        if len(choices) > 1 and not pd.isna(first.get(gene)):
            share = [float((frame[gene] == first[gene]).mean()) for frame in (near, drawn)]
            rows.append((gene, first[gene], *share, ", ".join(map(str, choices))))
    table = pd.DataFrame(rows, columns=["gene", "nearest", "near", "all", "choices"])
    clear = (table["near"] - table["all"]).astype(float)
    order = clear[clear >= _CLEARLY].sort_values(ascending=False, kind="stable").index
    return table.loc[order[:_MOST_GENES]].reset_index(drop=True)


def readable(table: pd.DataFrame) -> pd.DataFrame:
    """A table of this module as a reader wants it: shares in percent, and no empty columns."""
    shown = {
        name: [f"{100 * share:.0f} %" if pd.notna(share) else "-" for share in column] if name in _SHARES else column
        for name, column in table.items()
        if not (column.isna() | (column == "")).all()
    }
    return pd.DataFrame(shown)
