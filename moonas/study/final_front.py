"""The front of a run: found among its trials, and timed side by side when the search ends.

A search times its candidates in batches, hours apart, or only predicts their latencies. What somebody chooses from is
timed together.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from moonas.problem.objective import Objective
from moonas.report.front import pareto_front
from moonas.report.timed_front import with_timings
from moonas.spec.problem import ProblemSpec
from moonas.study.archive import Archive
from moonas.study.assemble_latency import wants_latency, why_not_timed
from moonas.study.session import Session

TIMED = "timed_front"
"""The fact what was timed of a front, by key."""


def front_of(archive: Archive, metrics: Sequence[str], objectives: Sequence[Objective]) -> pd.DataFrame:
    """The front of all trials, with what was timed of this very front."""
    front = pareto_front(archive.to_frame(metrics), objectives)
    timed = archive.fact(TIMED)
    return with_timings(front, timed) if timed and set(timed) == set(front["key"]) else front


def time_front(spec: ProblemSpec, session: Session, metrics: Sequence[str], objectives: Sequence[Objective]) -> None:
    """Time the front, if its device is this machine, and it was not timed already."""
    archive = session.archive
    keys = list(pareto_front(archive.to_frame(metrics), objectives)["key"])
    known = archive.fact(TIMED) or {}
    if not keys or set(known) == set(keys) or not wants_latency(spec) or why_not_timed(spec):
        return
    found = (archive.get(key) for key in keys)
    archive.note(TIMED, session.time([trial for trial in found if trial is not None]))
