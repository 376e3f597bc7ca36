"""What an audit trains: which networks, how often, at what cost, and what of it is known already."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from moonas.encoding.encoding import Encoding
from moonas.errors import MoonasError
from moonas.problem.trial import Trial
from moonas.report.audit import FEWEST
from moonas.report.table import number
from moonas.spec.load import load_problem
from moonas.spec.problem import ProblemSpec
from moonas.study.archive import Archive
from moonas.study.assemble import assemble_encoding
from moonas.study.assemble_evaluation import load_data, usable_cores
from moonas.study.assemble_halving import check_resolutions
from moonas.study.columns import metric_columns
from moonas.study.environment import differences
from moonas.study.folder import AUDIT, RunFolder, comparable, problem_of_run
from moonas.study.progress import duration
from moonas.study.retraining import work_ratio
from moonas.study.spread import Sized, count_networks, draw_networks, extremes, spread

if TYPE_CHECKING:
    from moonas.training.split import SearchData


@dataclass(frozen=True)
class AuditPlan:
    """What is to be trained.

    Attributes:
        spec: the problem.
        data: its data.
        judged: the metric of training that its search goes by.
        ratio: how many times the work of the proxy full training is.
        seeds: full trainings of each network.
        chosen: the networks.
        source: a run, whose trials need no proxy; None if there is none.
        known: its trials.
    """

    spec: ProblemSpec
    data: SearchData
    judged: str
    ratio: float
    seeds: int
    chosen: Sequence[Sized]
    source: Path | None
    known: Mapping[str, Trial] | None

    def describe(self, out: Path) -> str:
        """One line before anything is trained."""
        count = len(self.chosen)
        proxy = f"by the proxy ({self.spec.fidelity})" if self.known is None else "known from the run"
        full = f"{count * self.seeds} full trainings ({self.spec.phases['full']})"
        return f"{self.spec.name}: {count} networks {proxy}, {full} of {self.ratio:.3g} times the work, in {out}"

    def estimate(self, proxy: Mapping[str, Trial]) -> str:
        """How long all full trainings take at most: of what the proxy took, a part is not training."""
        seconds = median(proxy[network.key].seconds for network in self.chosen)
        workers = usable_cores() if self.spec.workers == "auto" else max(1, self.spec.workers)
        whole = seconds * self.ratio * len(self.chosen) * self.seeds / workers
        return (
            f"All full trainings take at most about {duration(whole)}, by the {number(seconds)} seconds of the proxy."
        )


def load_audited(
    problem: str | Path | Mapping[str, Any], overrides: Mapping[str, Any], label: str
) -> tuple[ProblemSpec, Path | None]:
    """The problem, and the run folder whose trials are to be looked at, if it is one.

    Args:
        problem: see `moonas.load`.
        overrides: laid over it.
        label: what messages call them.

    Raises:
        MoonasError: if the overrides change what the trials of a run mean.
    """
    if isinstance(problem, Mapping):
        return load_problem(problem, overrides=overrides, label=label), None
    if os.path.isfile(Path(problem) / AUDIT):  # noqa: PTH113  # Path.is_file raises for a name too long
        what = f"{problem} holds an audit; to go on with it"
        raise MoonasError(f"{what}, give the problem or the run that it is of, and --out {problem}")
    file, folder = problem_of_run(problem, None)
    spec = load_problem(file, overrides=overrides, label=label)
    if folder is None or not RunFolder(Path(folder)).has_archive:
        return spec, None
    changed = list(differences(comparable(load_problem(file)), comparable(spec)))
    if changed:
        what = f"{folder} was searched as its problem.yaml says, and an audit of it cannot change that"
        raise MoonasError(f"{what}; undo the difference, or audit a problem file: {'; '.join(changed)}")
    return spec, Path(folder)


def plan_audit(spec: ProblemSpec, source: Path | None, *, networks: int, seeds: int) -> AuditPlan:
    """Choose the networks, and refuse what cannot be audited.

    Args:
        spec: the problem.
        source: a run folder to choose among its trials; else networks are drawn.
        networks: how many.
        seeds: full trainings of each.

    Raises:
        MoonasError: if there is nothing to train, no cheaper training, or too few networks.
    """
    for what, given, least in (("networks", networks, FEWEST), ("seeds", seeds, 1)):
        if given < least:
            raise MoonasError(f"{what} must be at least {least}, is {given}")
    judged, data = _judged(spec), load_data(spec)
    assert data is not None, "what is trained has data"
    check_resolutions(spec, data)
    ratio = work_ratio(spec, data)
    if ratio <= 1:
        what = f"phases.full ({spec.phases['full']}) is no more work than fidelity ({spec.fidelity})"
        raise MoonasError(f"{spec.name}: {what}, so there is no proxy to audit; raise phases.full.epochs")
    encoding = assemble_encoding(spec)
    known = None if source is None else _trials(source, encoding, data, judged)
    chosen = _chosen(spec, encoding, data, known, networks)
    return AuditPlan(spec, data, judged, ratio, seeds, chosen, source, known)


def _judged(spec: ProblemSpec) -> str:
    """The metric of training that the search sees; the score, where it sees several."""
    seen = {*metric_columns(spec)} - {*spec.tabled}
    for name in (spec.score, "training_loss"):
        if name in seen and spec.data is not None:
            return name
    raise MoonasError(f"{spec.name} trains no networks, so there is no proxy to audit; give it data and {spec.score}")


def _trials(source: Path, encoding: Encoding, data: SearchData, judged: str) -> dict[str, Trial]:
    """The complete trials of a run."""
    archive = Archive(RunFolder(source).archive_path, encoding, writable=False)
    try:
        archive.agree("data", data.fingerprint, "holds trials on other data than its problem names now")
        return {each.key: each for each in archive if each.state == "complete" and judged in each.metrics}
    finally:
        archive.close()


def _chosen(
    spec: ProblemSpec, encoding: Encoding, data: SearchData, known: Mapping[str, Trial] | None, count: int
) -> list[Sized]:
    if known is None:
        found, always, where = draw_networks(spec, encoding, data.task, count), set[str](), "the search space has"
    else:
        trials = list(known.values())
        found = list(count_networks(spec, encoding, data.task, [trial.genotype for trial in trials]))
        always, where = extremes(trials, spec), "the run has"
    if len(found) < count:
        less = f"ask for {len(found)}" if len(found) >= FEWEST else f"an audit takes at least {FEWEST}"
        raise MoonasError(f"{spec.name}: {where} {len(found)} networks that keep the limits, not {count}; {less}")
    return spread(found, count, always)
