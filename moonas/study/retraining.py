"""Given networks trained anew, at one fidelity or another, each training a study in a folder of its own."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from moonas.encoding.encoding import Genotype
from moonas.evaluation.evaluator import Candidate, Failure, Outcome
from moonas.evaluation.zero_cost import PROXIES
from moonas.network.architecture import Architecture
from moonas.problem.trial import Trial
from moonas.spec.objective import ObjectiveSpec
from moonas.spec.problem import ProblemSpec
from moonas.spec.search import SearchSpec
from moonas.spec.training import FidelitySpec, Phases
from moonas.study.archive import Archive
from moonas.study.assemble import assemble_encoding
from moonas.study.assemble_evaluation import assemble_zero_cost, computed_by, trial_seed
from moonas.study.folder import RunFolder
from moonas.study.progress import ProgressLine, Tally
from moonas.study.study import Study
from moonas.study.workers import Workers, answer_about_one
from moonas.study.workshop import COMPUTED

if TYPE_CHECKING:
    from moonas.training.split import SearchData

_MOST_SECONDS = 1e6


def training_alone(spec: ProblemSpec, *, number: int = 0, longer: float = 1.0) -> ProblemSpec:
    """The problem reduced to training: no limits, nothing timed, no functions, and nobody is given up as hopeless.

    Args:
        spec: the problem, in its phase.
        number: 0 trains as the search does; others from other weights, in another order.
        longer: how many times the search's work a training is, for its time limit.
    """
    seconds = min(_MOST_SECONDS, spec.budget.trial_seconds * max(1.0, longer))
    return _measuring(spec, spec.score, "training_loss", "params", "flops").model_copy(
        update={
            "seed": (spec.seed + number) % 2**63,
            "training": spec.training.model_copy(update={"stop_hopeless": False}),
            "budget": spec.budget.model_copy(update={"trial_seconds": seconds}),
        }
    )


def _measuring(spec: ProblemSpec, metric: str, *others: str) -> ProblemSpec:
    changes = {"objectives": (ObjectiveSpec(metric=metric),), "constraints": (), "record": others, "table": None}
    return spec.model_copy(update={**changes, "search": SearchSpec(strategy="random")})


def train(
    spec: ProblemSpec, out: Path, genotypes: Sequence[Genotype], *, what: str, progress: bool = False
) -> dict[str, Trial]:
    """Train networks, those that the folder does not know yet, and those that failed before.

    Args:
        spec: see `training_alone`.
        out: the run folder.
        genotypes: of the networks.
        what: this is called on the progress line.
        progress: whether there is one, on standard error.

    Returns:
        The trial of each network by its key, failed ones, too.
    """
    study = Study(spec, out)
    keys, before, started, done = (
        {study.encoding.decode(each).key for each in genotypes},
        study.trials,
        time.monotonic(),
        0,
    )
    known = int((before["key"].isin(keys) & (before["state"] != "failed")).sum())
    with ProgressLine() if progress else nullcontext() as line, study:

        def show(_: Trial) -> None:
            nonlocal done
            done += 1
            elapsed, total = time.monotonic() - started, len(genotypes)
            left = elapsed / (done - known) * (total - done) if done > known else None
            if line is not None:
                line(Tally(what, done, total, elapsed, left))

        return {trial.key: trial for trial in study.evaluate(genotypes, told=show, retry_failed=True)}


def score(spec: ProblemSpec, data: SearchData, architectures: Sequence[Architecture]) -> dict[str, list[float | None]]:
    """The zero-cost proxies of networks, each None where it does not work."""
    candidates = [Candidate(each, trial_seed(spec.seed, each.key)) for each in architectures]
    with Workers(spec, [assemble_zero_cost(spec, data, [name]) for name in PROXIES]) as workers:
        calls = {
            name: [workers.submit(stage, [candidate]) for candidate in candidates] for stage, name in enumerate(PROXIES)
        }
        return {name: [_score(name, answer_about_one(call)[0]) for call in calls[name]] for name in PROXIES}


def _score(name: str, outcome: Outcome) -> float | None:
    return None if isinstance(outcome, Failure) else outcome[name]


def as_computed_in(run: Path, spec: ProblemSpec) -> ProblemSpec:
    """The problem with the processor and the precision of the trainings of a run."""
    archive = Archive(RunFolder(run).archive_path, assemble_encoding(spec), writable=False)
    try:
        known = archive.fact(COMPUTED)
    finally:
        archive.close()
    return spec if known is None else computed_by(spec, *known)


def work_ratio(spec: ProblemSpec, data: SearchData) -> float:
    """How many times the work of the search's training full training is, by the images that pass through a network."""
    shape = data.task.input_shape
    side = min(shape[1:]) if len(shape) == 3 else 1
    return spec.phases["full"].work(len(data.train), side) / spec.fidelity.work(len(data.train), side)


def nearer_to_full(proxy: FidelitySpec, phases: Phases, inputs: int) -> str:
    """What to do for a proxy that orders networks more as full training does, about doubling its work.

    Args:
        proxy: the fidelity of the search.
        phases: holds the one of full training.
        inputs: training images, or sequences, that there are.
    """
    full = phases["full"]
    samples = min(inputs, full.samples or inputs)
    if proxy.samples is not None and proxy.samples < samples:
        return f"raise fidelity.samples to {min(2 * proxy.samples, samples)}"
    if proxy.epochs < full.epochs:
        return f"raise fidelity.epochs to {min(2 * proxy.epochs, full.epochs)}"
    if proxy.resolution != full.resolution:
        return f"raise fidelity.resolution to {full.resolution or 'that of the images'}"
    return ""
