"""What the training benchmark prints, from its rows."""

from __future__ import annotations

import pandas as pd

from moonas.benchmark.speed import accuracies, accuracy_gain, rates, speed_up, timed_blocks
from moonas.report.agreement import LEVEL
from moonas.report.table import print_frame
from moonas.terminal import say

OURS = "moonas"
_BUT = "one_cycle has its recipe but for the batch, the border of shifts, what decays, and recalibration"


def print_training(rows: pd.DataFrame) -> None:
    """Print speed and accuracy of each contender on each encoding, and how moonas compares with the others."""
    failed = rows.loc[rows["error"] != "", "error"]
    if len(failed):
        say(f"{len(failed)} trainings failed; what is below leaves them out. The first: {failed.iloc[0]}")
    if timed_blocks(rows).empty:
        say("No block was finished by all.")
        return
    for name, some in rows.groupby("encoding", sort=False):
        timed = timed_blocks(some)
        table = rates(timed).round(3).assign(accuracy=accuracies(some).mean())
        what = f"{some['key'].nunique()} networks; blocks timed: {timed['block'].nunique()}"
        print_frame(table.reset_index(), f"{name}: {what}")
    if OURS in set(rows["contender"]):
        what = f"{LEVEL:.0%} intervals by bootstrap over blocks and networks"
        print_frame(_comparison(rows), f"Moonas against each reference; {_BUT}; {what}")


def _comparison(rows: pd.DataFrame) -> pd.DataFrame:
    lines = []
    for name, some in rows.groupby("encoding", sort=False):
        table, timed = accuracies(some), timed_blocks(some)
        for reference in (each for each in some["contender"].unique() if each != OURS):
            gain = format(accuracy_gain(table, reference, OURS), "+.4f") if len(table) else "-"
            times = str(speed_up(timed, reference, OURS)) if len(timed) else "-"
            lines.append((name, reference, times, gain))
    return pd.DataFrame(lines, columns=["encoding", "reference", "times as fast", "accuracy gained"])
