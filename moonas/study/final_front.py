"""The front of a run: found among its trials, and timed side by side when the search ends.

A search times its candidates in batches, hours apart, or only predicts their latencies. What somebody chooses from is
timed together. A network that cannot be timed is kept with its reason, as a trial that failed, and the others are timed
without it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from moonas.evaluation.latency import TOGETHER
from moonas.problem.objective import Objective
from moonas.problem.trial import Trial
from moonas.report.front import pareto_front
from moonas.report.timed_front import with_timings
from moonas.spec.problem import ProblemSpec
from moonas.study.archive import Archive
from moonas.study.progress import Tally
from moonas.study.session import Session
from moonas.study.this_machine import is_timed_here

TIMED = "front_timings"
"""The fact what came of timing a front: by key, the `metrics` that were timed, and the `error` if there are none."""


def front_of(archive: Archive, metrics: Sequence[str], objectives: Sequence[Objective]) -> pd.DataFrame:
    """The front of all trials, with what was timed of this very front."""
    front = pareto_front(archive.to_frame(metrics), objectives)
    known = _known(archive)
    if not known or set(known) != set(front["key"]):
        return front
    figures = {key: each["metrics"] for key, each in known.items()}
    return with_timings(front, figures, errors={key: each["error"] for key, each in known.items()})


def time_front(
    spec: ProblemSpec,
    session: Session,
    metrics: Sequence[str],
    objectives: Sequence[Objective],
    *,
    retry_failed: bool = False,
    line: Callable[[Tally], None] | None = None,
) -> None:
    """Time the front, if its device is this machine, and it was not timed already.

    Interrupted, it leaves what was known before.

    Args:
        spec: the problem.
        session: what times, and keeps the results.
        metrics: the columns of metrics.
        objectives: by which the front is found.
        retry_failed: whether networks that could not be timed are tried again, and the others with them.
        line: called with how far it is.
    """
    if not is_timed_here(spec):
        return
    archive = session.archive
    keys = list(pareto_front(archive.to_frame(metrics), objectives)["key"])
    known = {key: each for key, each in _known(archive).items() if not (retry_failed and each["error"])}
    if not keys or set(known) == set(keys):
        return
    failed = {key: known[key] for key in keys if key in known and known[key]["error"]}
    found = (archive.get(key) for key in keys if key not in failed)
    timed = _side_by_side(session, [trial for trial in found if trial is not None], line)
    archive.note(TIMED, failed | {each.key: {"metrics": each.metrics, "error": each.error} for each in timed})


def _known(archive: Archive) -> Mapping[str, Any]:
    return archive.fact(TIMED) or {}


def _side_by_side(session: Session, trials: Sequence[Trial], line: Callable[[Tally], None] | None) -> list[Trial]:
    """Time trials, once more without those that cannot be timed, if one of these broke the company of the others."""
    timed = _timed(session, trials, line)
    well = [trial for trial in timed if trial.state != "failed"]
    if len(well) == len(timed) or all(trial.metrics[TOGETHER] == len(well) for trial in well):
        return timed
    failed = [trial for trial in timed if trial.state == "failed"]
    return [*failed, *_timed(session, well, line)]


def _timed(session: Session, trials: Sequence[Trial], line: Callable[[Tally], None] | None) -> list[Trial]:
    """Time trials, and tell of it."""
    started, timed = time.monotonic(), list[Trial]()

    def show() -> None:
        if line is not None:
            line(Tally("timing the front", len(timed), len(trials), time.monotonic() - started, None))

    show()
    for trial in session.time(trials, pulse=show):
        timed.append(trial)
        show()
    return timed
