"""Audits: whether the cheap signals that a search sees order networks as full training does.

    from moonas import audit
    found = audit.run("digits", networks=12)
    found.agreement      # a DataFrame, one row a signal
    found.verdict        # what it says, in sentences

`moonas audit` does the same from the command line; `moonas.report.audit` says how each figure comes about.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from moonas.errors import MoonasError
from moonas.terminal import say

if TYPE_CHECKING:
    import pandas as pd

    from moonas.problem.trial import Trial
    from moonas.study.audit_plan import AuditPlan
    from moonas.study.spread import Sized


@dataclass(frozen=True)
class Audit:
    """What an audit found.

    Attributes:
        networks: a row each: `key, params, flops`, the signals of the proxy, accuracies after full training, seconds.
        agreement: a row a signal; see `moonas.report.evidence.agreement_table`.
        verdict: in sentences.
        out: the folder with `audit.csv`, `agreement.csv`, `audit.png`, and the trainings.
    """

    networks: pd.DataFrame
    agreement: pd.DataFrame
    verdict: tuple[str, ...]
    out: Path


def run(
    problem: str | Path | Mapping[str, Any],
    *,
    networks: int = 12,
    seeds: int = 2,
    out: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    progress: bool = False,
) -> Audit:
    """Train networks as the search does, and fully, and compare the orders.

    Of a problem, networks are drawn at random; of a run folder, they are among its trials, whose signals are known. Run
    again, it trains only what is missing.

    Args:
        problem: see `moonas.load`.
        networks: how many, spread over size.
        seeds: full trainings of each, from different weights.
        out: the folder; if not given, `runs/NAME-audit`, or beside the run, its name with `-audit`.
        overrides: dotted path -> value, laid over the problem, as `{"phases.full.epochs": 100}`.
        progress: whether lines on standard error show how far it is.

    Raises:
        MoonasError: if there is nothing to train or to compare.
    """
    return audit_of(problem, networks, seeds, out, overrides or {}, progress=progress, label="overrides")


def audit_of(
    problem: str | Path | Mapping[str, Any],
    networks: int,
    seeds: int,
    out: str | Path | None,
    overrides: Mapping[str, Any],
    *,
    progress: bool,
    label: str,
) -> Audit:
    """Audit as `run` does; complaints about overrides call them `label`."""
    from moonas.study.audit_plan import load_audited, plan_audit

    spec, source = load_audited(problem, overrides, label)
    plan = plan_audit(spec, source, networks=networks, seeds=seeds)
    audited = source or Path("runs") / spec.name
    if audited.name in ("", ".."):
        audited = audited.resolve()
    return _carry_out(plan, Path(out or audited.with_name(f"{audited.name}-audit")), progress=progress)


def _carry_out(plan: AuditPlan, out: Path, *, progress: bool) -> Audit:
    """Train what is missing, and write what comes of it."""
    from moonas.report.audit import evidence
    from moonas.report.audit_plot import plot_audit
    from moonas.report.audit_verdict import verdict
    from moonas.report.evidence import agreement_table
    from moonas.study.folder import AUDIT, RunFolder
    from moonas.study.retraining import nearer_to_full

    folder = RunFolder(out, AUDIT)
    folder.claim()
    try:
        folder.describe(plan.spec, begun=(out / AUDIT).exists())
        networks, lost = _compared(plan, out, progress=progress)
        known = evidence(networks)
        table = agreement_table(known)
        advice = nearer_to_full(plan.spec.fidelity, plan.spec.phases, len(plan.data.train))
        sentences = (*verdict(known, table, plan.judged, advice=advice), _cost(networks), *lost)
        folder.write("audit.csv", lambda path: networks.to_csv(path, index=False))
        folder.write("agreement.csv", lambda path: table.to_csv(path, index=False))
        title = f"{plan.spec.name}: {plan.spec.fidelity} against {plan.spec.phases['full']}"
        folder.write("audit.png", lambda path: plot_audit(networks, table, plan.judged, path, title=title))
    finally:
        folder.release()
    return Audit(networks, table, sentences, out)


def _compared(plan: AuditPlan, out: Path, *, progress: bool) -> tuple[pd.DataFrame, list[str]]:
    """Each network that came through all trainings, and what to say of the others.

    Raises:
        MoonasError: if too few came through.
    """
    import pandas as pd

    from moonas.study.retraining import score

    proxy, *full = _trainings(plan, out, progress=progress)
    done, lost = _survivors(plan, [proxy, *full])
    frame = pd.DataFrame({name: [getattr(each, name) for each in done] for name in ("key", "params", "flops")})
    for signal in (plan.spec.score, "training_loss"):
        frame[f"proxy_{signal}"] = [proxy[key].metrics.get(signal) for key in frame["key"]]
    frame = frame.assign(**score(plan.spec, plan.data, [proxy[key].architecture for key in frame["key"]]))
    for i, trials in enumerate(full):
        frame[f"full_{plan.spec.score}_{i}"] = [trials[key].metrics[plan.spec.score] for key in frame["key"]]
    frame["proxy_seconds"] = [proxy[key].seconds for key in frame["key"]]
    frame["full_seconds"] = [fmean(trials[key].seconds for trials in full) for key in frame["key"]]
    return frame.dropna(axis="columns", how="all"), [f"{lost}, and are left out."] if lost else []


def _survivors(plan: AuditPlan, trials: Sequence[Mapping[str, Trial]]) -> tuple[list[Sized], str]:
    """The networks that came through all trainings so far, and, if some did not, how many and why most of these.

    Raises:
        MoonasError: if too few came through.
    """
    from moonas.report.audit import FEWEST

    done = [each for each in plan.chosen if all(each.key in t and t[each.key].state == "complete" for t in trials)]
    errors = [t[each.key].error for each in plan.chosen for t in trials if each.key in t and t[each.key].error]
    if not errors:
        return done, ""
    lost = f"{len(plan.chosen) - len(done)} of {len(plan.chosen)} networks failed in a training"
    why = Counter(errors).most_common(1)[0][0]
    if len(done) < FEWEST:
        raise MoonasError(f"{lost}, and fewer than {FEWEST} are left: {why}")
    return done, f"{lost} ({why})"


def _trainings(plan: AuditPlan, out: Path, *, progress: bool) -> list[Mapping[str, Trial]]:
    """The trials of the proxy by their keys, and those of full training, seed by seed, of who came through so far."""
    from moonas.study.retraining import as_computed_in, train, training_alone

    proxy = plan.known
    if progress:
        say(plan.describe(out), err=True)
    if proxy is None:
        genotypes = [each.genotype for each in plan.chosen]
        proxy = train(training_alone(plan.spec), out / "proxy", genotypes, what="proxy", progress=progress)
    if progress:
        say(plan.estimate(proxy), err=True)
    full = as_computed_in(plan.source or out / "proxy", plan.spec.in_phase("full"))  # to compare fidelities alone
    trials: list[Mapping[str, Trial]] = [proxy]
    for i in range(plan.seeds):
        left, _ = _survivors(plan, trials)
        spec = training_alone(full, number=i + 1, longer=plan.ratio)
        what = f"full training, seed {i + 1} of {plan.seeds}"
        trials.append(train(spec, out / f"full-{i}", [each.genotype for each in left], what=what, progress=progress))
    return trials


def _cost(networks: pd.DataFrame) -> str:
    """What proxy and full training cost."""
    from moonas.report.table import number

    proxy, full = (float(networks[name].mean()) for name in ("proxy_seconds", "full_seconds"))
    times = f", {full / proxy:.3g} times as much" if proxy > 0 else ""
    return f"A network takes {number(proxy)} seconds by the proxy and {number(full)} by full training{times}."
