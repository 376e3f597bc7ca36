"""A problem looked at before any training: does its space build, what do cheap metrics say, can its limits be kept?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from moonas.errors import MoonasError
from moonas.report import check as tables
from moonas.report import check_words as words
from moonas.report.prediction import prediction_remarks
from moonas.report.table import unmeasured_notes
from moonas.spec.encoding import file_of
from moonas.spec.metric import metric_of
from moonas.study.assemble_evaluation import load_data, task_of
from moonas.study.assemble_halving import check_fidelities
from moonas.study.check_plan import cheap_evaluators, remarks_on_data, unmeasured
from moonas.study.columns import predicted_devices
from moonas.study.look import Evaluation, encodings_border, look_at
from moonas.study.progress import ProgressLine
from moonas.study.spread import Draw, draw_different
from moonas.study.start import study_of
from moonas.study.study import Study
from moonas.study.workers import Workers


@dataclass(frozen=True)
class Check:
    """What a check found.

    Attributes:
        networks: a row for each network that was looked at; see `moonas.report.check`.
        metrics: a row for each metric; see `moonas.report.check.metric_table`.
        limits: a row for each limit; see `moonas.report.check.limit_table`.
        failures: a row for each reason why networks fail; see `moonas.report.check.failure_table`.
        nearest: what networks choose that come near to limits which none drawn at random keeps; see
            `moonas.report.check.near_choices`.
        summary: what was looked at, and what came of it, in sentences.
        remarks: what looks wrong, in sentences, though a search can begin.
        mistake: why a search would be in vain, in one sentence; empty if it would not.
    """

    networks: pd.DataFrame
    metrics: pd.DataFrame
    limits: pd.DataFrame
    failures: pd.DataFrame
    nearest: pd.DataFrame
    summary: tuple[str, ...]
    remarks: tuple[str, ...]
    mistake: str


def check(
    problem: str | Path | Mapping[str, Any],
    *,
    samples: int = 256,
    overrides: Mapping[str, Any] | None = None,
    progress: bool = False,
) -> Check:
    """Look at networks of a problem before any training, and write nothing.

    They are built and measured as a search does it, in its worker processes and within its limits of time and memory;
    what needs training or timing is left out. If none drawn at random keeps the limits, one that does is looked for.

    Args:
        problem: see `moonas.load`.
        samples: how many different networks are drawn; of a space that holds fewer, all are looked at.
        overrides: dotted path -> value, laid over the problem.
        progress: whether a line on standard error shows how far it is.

    Raises:
        MoonasError: if a search could not even begin, as with data that cannot be split. That no network keeps the
            limits, or that all fail, is no exception but `Check.mistake`.
    """
    return check_of(problem, samples, overrides or {}, progress=progress, label="overrides")


def check_of(
    problem: str | Path | Mapping[str, Any],
    samples: int,
    overrides: Mapping[str, Any],
    *,
    progress: bool,
    **labels: Any,
) -> Check:
    """Check as `check` does; `labels` say what complaints about overrides call them."""
    if samples < 1:
        raise MoonasError(f"samples must be at least 1, is {samples}")
    study = study_of(problem, None, overrides, **labels)
    spec, data = study.spec, load_data(study.spec)
    if data is not None:
        check_fidelities(spec, data)
    with encodings_border(spec):
        draw = draw_different(study.encoding, samples, seed=spec.seed)
    evaluators = cheap_evaluators(spec, data)
    measured = tuple(dict.fromkeys(metric for evaluator in evaluators for metric in evaluator.metrics))
    with Workers(spec, evaluators) as workers, ProgressLine() if progress else nullcontext() as line:
        networks = look_at(draw, Evaluation(study, workers, len(evaluators), line), measured)
    said = [*remarks_on_data(spec, data)]
    devices = predicted_devices(spec)
    if devices:
        said += prediction_remarks(networks, devices=devices, encoding=file_of(spec.encoding), task=task_of(spec, data))
    return _conclude(study, networks, draw, measured, unmeasured(spec, evaluators), said)


def _conclude(
    study: Study,
    networks: pd.DataFrame,
    draw: Draw,
    metrics: Sequence[str],
    left_out: Mapping[str, str],
    said: Sequence[str],
) -> Check:
    """What the networks say."""
    limits = [limit for limit in study.constraints if limit.metric in metrics]
    genes = {gene.name: gene.choices for gene in study.encoding.genes}
    goals = {name: metric.goal for name in metrics if (metric := metric_of(name))}
    goals |= {objective.metric: objective.goal for objective in study.objectives}
    space = f"{study.spec.encoding.name}, {study.encoding.extent}"
    drawn = set(networks.loc[networks["drawn"], "state"])
    none_keeps_them = "infeasible" in drawn and "complete" not in drawn
    return Check(
        networks,
        tables.metric_table(networks, metrics, goals),
        tables.limit_table(networks, study.constraints),
        tables.failure_table(networks, list(genes)),
        tables.near_choices(networks if none_keeps_them else networks[:0], limits, genes),
        (
            *words.summary(networks, space=space, repeats=draw.repeats, is_all=draw.is_all, unmeasured=left_out),
            *(f"{note}." for note in unmeasured_notes(metrics, study.metric_notes)),
        ),
        (*said, *words.remarks(networks, limits)),
        words.mistake(networks, limits),
    )
