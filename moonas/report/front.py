"""The Pareto front of a frame of trials."""

from __future__ import annotations

from collections.abc import Sequence

import moocore
import pandas as pd

from moonas.problem.objective import Objective


def pareto_front(trials: pd.DataFrame, objectives: Sequence[Objective]) -> pd.DataFrame:
    """The complete trials that no other dominates, the best of the first objective first.

    Args:
        trials: one row a trial, with `state`, `number` and a column for each objective, in natural values.
        objectives: what is optimised. Trials that are equal in all of them stay together.
    """
    columns = [objective.metric for objective in objectives]
    complete = trials[trials["state"] == "complete"].dropna(subset=columns)
    if complete.empty:
        return complete.reset_index(drop=True)
    goals = [objective.goal == "maximize" for objective in objectives]
    values = complete[columns].to_numpy(dtype=float)
    front = complete[moocore.is_nondominated(values, maximise=goals, keep_weakly=True)]
    order = front.sort_values([*columns, "number"], ascending=[*(not goal for goal in goals), True])
    return order.reset_index(drop=True)
