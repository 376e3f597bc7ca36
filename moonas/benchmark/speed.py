"""Figures from the rows of turns: candidates an hour, and how many times faster one contender is than another."""

from __future__ import annotations

import numpy as np
import pandas as pd

from moonas.report.agreement import Estimate, Values, estimate


def timed_blocks(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of those blocks that all contenders went through, in whole and without a failure, which takes no time.

    An interruption may have cut one short.
    """
    blocks = rows.groupby(["encoding", "pass", "block"])
    everybody = blocks["contender"].transform("nunique") == rows["contender"].nunique()
    return rows[everybody & (blocks["accuracy"].transform("count") == blocks["accuracy"].transform("size"))]


def rates(rows: pd.DataFrame) -> pd.DataFrame:
    """Candidates an hour of each contender, in all and in its slowest and fastest turn.

    Returns:
        By contender, in the order of the rows: `seconds` (a candidate), `per_hour, lowest, highest`.
    """
    turns = rows.groupby(["contender", "encoding", "pass", "block"], sort=False)["turn_seconds"].agg(["first", "size"])
    hourly = (3600 * turns["size"] / turns["first"]).groupby("contender", sort=False)
    sums = turns.groupby("contender", sort=False).sum()
    return pd.DataFrame(
        {
            "seconds": sums["first"] / sums["size"],
            "per_hour": 3600 * sums["size"] / sums["first"],
            "lowest": hourly.min(),
            "highest": hourly.max(),
        }
    )


def speed_up(rows: pd.DataFrame, slow: str, fast: str) -> Estimate:
    """How many times the candidates an hour of `slow` those of `fast` are; the bootstrap draws blocks of networks."""
    turns = rows.groupby(["contender", "encoding", "pass", "block"])["turn_seconds"].first()
    blocks = turns.groupby(["contender", "encoding", "block"]).sum()
    return estimate(_ratio, blocks[slow].to_numpy(), blocks[fast].to_numpy())


def _ratio(slow: Values, fast: Values) -> float:
    return float(slow.sum() / fast.sum())


def accuracies(rows: pd.DataFrame) -> pd.DataFrame:
    """The accuracy of each network, mean of the passes, by contender; networks that one of them failed are left out."""
    mean = rows.groupby(["encoding", "key", "contender"], sort=False)["accuracy"].agg(lambda a: a.mean(skipna=False))
    return mean.unstack("contender").dropna()


def accuracy_gain(table: pd.DataFrame, before: str, after: str) -> Estimate:
    """By how much `after` is the more accurate on the same networks, from a table of `accuracies`."""
    return estimate(lambda gain: float(np.mean(gain)), (table[after] - table[before]).to_numpy())
