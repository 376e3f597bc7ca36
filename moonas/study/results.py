"""The files that a study leaves for readers: tables of its archive, and a picture."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from moonas.errors import one_line
from moonas.problem.objective import Objective
from moonas.spec.metric import ENERGY_SOURCE
from moonas.spec.problem import ProblemSpec
from moonas.study.archive import Archive
from moonas.study.final_front import front_of
from moonas.study.folder import RunFolder


def write_results(
    archive: Archive,
    folder: RunFolder,
    spec: ProblemSpec,
    *,
    metrics: Sequence[str],
    objectives: Sequence[Objective],
    draw: Callable[[Path, pd.DataFrame], None],
    energy: str | None = None,
) -> None:
    """Write trials.csv, pareto.csv, pareto.png, and of a halving rungs.csv.

    Args:
        archive: what is written.
        folder: where.
        spec: the problem.
        metrics: the columns of metrics.
        objectives: by which the front is found.
        draw: draws the picture of the trials into a file.
        energy: how energies came about, which stands beside them; None if there are none.

    Raises:
        RunFolderError: if they cannot be written.
    """
    trials = archive.to_frame(metrics)
    front = front_of(archive, metrics, objectives)
    source = {} if energy is None else {ENERGY_SOURCE: energy}
    folder.write("trials.csv", lambda path: trials.assign(**source).to_csv(path, index=False))
    folder.write("pareto.csv", lambda path: front.assign(**source).to_csv(path, index=False))
    if spec.search.halving is not None:
        rungs = archive.partial.to_frame(spec.rungs, spec.score)
        folder.write("rungs.csv", lambda path: rungs.to_csv(path, index=False))
    if len(front):
        try:
            folder.write("pareto.png", lambda path: draw(path, trials))
        except (ArithmeticError, ValueError) as error:  # of values that no axis holds
            warnings.warn(f"pareto.png could not be drawn: {one_line(error)}", stacklevel=3)
