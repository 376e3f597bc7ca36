"""From a problem to its study, and to its front, in one call."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from moonas.spec.load import load_problem
from moonas.spec.training import Phase
from moonas.study.folder import problem_of_run
from moonas.study.study import Study


def load(
    problem: str | Path | Mapping[str, Any],
    *,
    out: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    phase: Phase = "proxy",
) -> Study:
    """Make a study of a problem.

    Args:
        problem: a path, a shipped name as `digits`, a run folder to go on with, or the content of a problem file as a
            dict, in which functions and classes may stand where a file has dotted paths.
        out: the run folder; `runs/NAME`, or the one to go on with, if not given.
        overrides: dotted path -> value, as `{"search.population": 16}`.
        phase: "validate" is one generation after the training of `phases.validate`, to see that all works; "full" a
            search that trains every candidate as `phases.full` says. Each has a run folder of its own.

    Raises:
        SpecError: if the problem is wrong, with a line for each mistake.
        UnknownNameError: if there is no such problem.
    """
    return study_of(problem, out, overrides, phase, label="overrides")


def study_of(
    problem: str | Path | Mapping[str, Any],
    out: str | Path | None,
    overrides: Mapping[str, Any] | None,
    phase: Phase = "proxy",
    **labels: Any,
) -> Study:
    """Make a study; `labels` say what messages call the overrides, as for `moonas.spec.load.load_problem`."""
    if not isinstance(problem, Mapping):
        problem, out = problem_of_run(problem, out)
    return Study(load_problem(problem, overrides=overrides, **labels).in_phase(phase), out)


def search(
    problem: str | Path | Mapping[str, Any],
    *,
    out: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    phase: Phase = "proxy",
    progress: bool = False,
) -> pd.DataFrame:
    """Load a problem, search, and return the front; see `load` and `Study.run`."""
    return load(problem, out=out, overrides=overrides, phase=phase).run(progress=progress)
