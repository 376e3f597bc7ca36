"""`python -m moonas.run PROBLEM`: search, show how far it is, and leave a run folder. `moonas run` is the same."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from moonas.errors import SpecError
from moonas.spec.training import Phase
from moonas.terminal import EXIT_INTERRUPTED, exit_codes, say, stop_cleanly, while_read

if TYPE_CHECKING:
    import pandas as pd

    from moonas.study.progress import Snapshot
    from moonas.study.study import Study

_FLAGS = {"budget.trials": "--trials", "seed": "--seed", "workers": "--workers"}
"""What has a flag of its own."""
EXIT_DONE, EXIT_BUDGET = 0, 3


Assignments = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY.PATH=VALUE", help="Change any field of the problem; may be given often."),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]


def run(
    problem: Annotated[
        str, typer.Argument(help="A problem file, the name of a shipped one (see `moonas list`), or a run folder.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="The run folder. Running again in it resumes.", show_default="runs/NAME"),
    ] = None,
    phase: Annotated[
        Phase,
        typer.Option(
            help="proxy: the search. validate: one generation, hardly trained, to see in a minute that all works. "
            "full: a search with full training."
        ),
    ] = "proxy",
    trials: Annotated[int | None, typer.Option(help="Architectures to evaluate in all (budget.trials).")] = None,
    seed: Annotated[int | None, typer.Option(help="Of the search and of the trainings.")] = None,
    workers: Annotated[int | None, typer.Option(help="Worker processes; 0 evaluates in this one.")] = None,
    assignments: Assignments = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try networks again that failed in an earlier run.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Search for networks: accurate, fast and small on the device they will run on."""
    flags = zip(_FLAGS, (trials, seed, workers), strict=True)
    with exit_codes():
        overrides = parse_assignments(assignments or [])
        overrides |= {path: value for path, value in flags if value is not None}
        stop_cleanly()

        from moonas.study.start import study_of  # late: `--help` needs none of it

        study = study_of(problem, out, overrides, phase, labels=_FLAGS)
        if not quiet:
            say(f"Starting {study.spec.name}: loading libraries, data and workers takes some seconds.", err=True)
        raise typer.Exit(_search(study, retry_failed=retry_failed, quiet=quiet))


def parse_assignments(assignments: list[str]) -> dict[str, Any]:
    """Read `KEY.PATH=VALUE` texts as changes to a problem: dotted path -> value.

    Raises:
        SpecError: if one is not of this form.
    """
    from moonas.spec.document import parse_value

    overrides: dict[str, Any] = {}
    for assignment in assignments:
        path, equals, value = assignment.partition("=")
        if not equals or not path:
            raise SpecError(f"--set {assignment}: must be KEY.PATH=VALUE, as in --set search.population=16")
        overrides[path] = parse_value(value, f"--set {path}")
    return overrides


def _search(study: Study, *, retry_failed: bool, quiet: bool) -> int:
    """Run a study in front of the user, and return the exit code."""
    announced = quiet

    def announce(_: Snapshot) -> None:  # at the first one, when the folder is ours
        nonlocal announced
        if not announced:
            _announce(study)
        announced = True

    try:
        study.run(progress=not quiet, listener=announce, retry_failed=retry_failed)
    except KeyboardInterrupt:
        say(f"\nStopped after {_done(len(study.trials), len(study.rungs))}, all kept. To go on: {_command()}", err=True)
        return EXIT_INTERRUPTED
    if not quiet:
        _conclude(study)
    return EXIT_BUDGET if study.outcome == "out of time" else EXIT_DONE


def _done(trials: int, trained: int) -> str:
    trainings = f" and {_counted(trained, 'training')} of a halving" if trained else ""
    return f"{_counted(trials, 'trial')}{trainings}"


def _announce(study: Study) -> None:
    say(f"{study.spec.name}: {study.encoding.extent}, {study.spec.search.strategy}, in {study.out}", err=True)
    known, trained, budget = len(study.trials), len(study.rungs), study.spec.budget.trials
    if not known and not trained:
        return
    if known < budget:
        say(f"Resuming after {_done(known, trained)}.", err=True)
    else:
        more = f"{known} trials are there, and the budget is {budget}: nothing more is evaluated. To go further, give"
        say(f"{more} --trials.", err=True)
    for change in study.environment_changes():
        what = "another environment than the run began in, timings may not compare"
        say(f"Warning: {what}: {change}", err=True)


def _conclude(study: Study) -> None:
    """Print the front, where everything is, and what can be done next."""
    from moonas.report.table import print_front, wide_console
    from moonas.spec.metric import AT, FRONT_COLUMNS
    from moonas.study.retrospect import retrospect

    trials, front = study.trials, study.front
    named = [objective.metric for objective in study.objectives]
    hidden = [name for name in study.metrics if name.startswith(("latency_", "energy_")) and name != "latency_ms"]
    hidden = [*named, *(name for name in hidden if AT not in name)]
    others = [metric for metric in study.metrics if metric not in hidden]
    timed = [metric for metric in FRONT_COLUMNS[:2] if metric in front]
    if len(front):
        with while_read():
            print_front(wide_console(), front, study.objectives, others, beside=timed, notes=study.metric_notes)
    else:
        say(f"No network is on the front. {_most_common_error(trials)}")
    counts = ", ".join(f"{count} {state}" for state, count in trials["state"].value_counts().items())
    share = study.hypervolume["hypervolume"].iloc[-1] if len(trials) else 0.0
    files = [name for name in ("pareto.csv", "pareto.png", "trials.csv", "rungs.csv") if (study.out / name).exists()]
    say(f"{counts}; hypervolume {share:.4f}; in {study.out}: {', '.join(files)}")
    for remark in retrospect(study, trials, front):
        say(remark)
    if len(front):
        say(f"In Python: study = moonas.load({str(study.out)!r}); study.architecture(KEY).build(study.task)")
    if study.outcome == "out of time":
        say("The time of the budget ran out before the trials did. Raise budget.hours to go on.", err=True)
    if study.outcome == "exhausted":
        left_out = " but those that search.screen left out" if study.spec.search.screen else ""
        say(f"The search space is exhausted: there is no further architecture to evaluate{left_out}.", err=True)


def _most_common_error(trials: pd.DataFrame) -> str:
    """What most trials without a place on the front have in common."""
    if trials.empty:
        return "Nothing was evaluated."
    causes = trials["error"].str.replace(r": [^:]*$", "", regex=True).value_counts()
    return f"{causes.iloc[0]} of {_counted(len(trials), 'trial')}: {causes.index[0]}."


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"


def _command() -> str:
    """The command line that was given, to be given again."""
    program = Path(sys.argv[0])
    start = ["python", "-m", "moonas.run"] if program.name == "run.py" else [program.name]
    return shlex.join([*start, *sys.argv[1:]])


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(run)
    app(prog_name="python -m moonas.run")
