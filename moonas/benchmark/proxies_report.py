"""What the benchmark of proxies prints, from its rows."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from moonas.benchmark.ranking import PROXY, REFERENCES, TRUTH
from moonas.benchmark.rows import first_error
from moonas.benchmark.speed import rates, speed_up, timed_blocks
from moonas.report.agreement import LEVEL
from moonas.report.evidence import KENDALL_AT_EQUAL_SIZE, SIZES, Evidence, agreement_table, readable
from moonas.report.table import print_frame
from moonas.terminal import say

THEIRS = {f"{name} accuracy": (name, "accuracy") for name in REFERENCES}
OURS = {f"{PROXY} {column}": (PROXY, column) for column in ("accuracy", "training_loss")}
GAINED = ("kendall", KENDALL_AT_EQUAL_SIZE)
"""The measures by which signals are compared with each other."""


def judgements_of(rows: pd.DataFrame, keys: Sequence[str], *, seeds: int, long_seeds: int) -> Evidence:
    """Lay out the rows of networks; those that lack a judgement are left out."""
    rows = rows[rows["key"].isin(keys) & (rows["seed"] < rows["contender"].map({TRUTH: long_seeds}).fillna(seeds))]
    signs = {"accuracy": 1.0, "training_loss": -1.0}
    tables = {
        name: signs[column] * rows[rows["contender"] == contender].pivot_table(column, "key", "seed", dropna=False)
        for name, (contender, column) in {**THEIRS, **OURS, TRUTH: (TRUTH, "accuracy")}.items()
    }
    whole = [
        key for key in keys if all(key in table.index and table.loc[key].notna().all() for table in tables.values())
    ]
    sizes = rows.drop_duplicates("key").set_index("key").loc[whole]
    values = {name: table.loc[whole].to_numpy(dtype=float) for name, table in tables.items()}
    full = values.pop(TRUTH)
    return Evidence({**values, **{size: sizes[[size]].to_numpy(dtype=float) for size in SIZES}}, full)


def print_ranks(rows: pd.DataFrame, keys: Sequence[str], *, seeds: int, long_seeds: int) -> None:
    """Print how well each contender's ranks agree with the truth, and how moonas's compare with the references'."""
    found = judgements_of(rows, keys, seeds=seeds, long_seeds=long_seeds)
    count = len(found)
    if count < 3:
        say(f"{count} networks were judged by all: too few for ranks. {first_error(rows)}")
        return
    what = f"{count} of {len(keys)} networks, mean over seeds (of {seeds}), {LEVEL:.0%} intervals by bootstrap"
    print_frame(readable(agreement_table(found)), f"Agreement with long training: {what}")
    gains = [
        (f"{ours} less {theirs}", *(format(found.gain(ours, theirs, measure), "+.2f") for measure in GAINED))
        for ours in OURS
        for theirs in THEIRS
    ]
    print_frame(pd.DataFrame(gains, columns=["on the same networks", *GAINED]), "Moonas against the references")
    if count < len(keys):
        say(first_error(rows))


def print_times(rows: pd.DataFrame) -> None:
    """Print what a candidate takes, and how many times faster moonas is than each reference."""
    rows = timed_blocks(rows)
    if rows.empty:
        return
    table = rates(rows).round(4).reset_index()
    for reference in REFERENCES:
        table[f"times {reference}"] = [
            "" if name in REFERENCES else str(speed_up(rows, reference, name)) for name in table["contender"]
        ]
    print_frame(table, f"Speed on {rows['key'].nunique()} networks")
