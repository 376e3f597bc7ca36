"""NSGA-II against random search."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from moonas.report.hypervolume import hypervolume_history, with_box
from moonas.run import parse_assignments
from moonas.study.start import load
from moonas.study.study import Study


def strategies(
    problem: Annotated[str, typer.Argument(help="A problem, by path or name.")] = "digits",
    seeds: Annotated[int, typer.Option(help="Searches of each strategy.")] = 3,
    out: Annotated[Path, typer.Option(help="Where the run folders go; running again resumes.")] = Path(
        "runs/strategies"
    ),
    assignments: Annotated[list[str] | None, typer.Option("--set", metavar="KEY.PATH=VALUE")] = None,
) -> None:
    """Hypervolume of NSGA-II and of random search at the same budget, seeds interleaved, all in one box."""
    changes = parse_assignments(assignments or [])
    studies: dict[str, list[Study]] = {"nsga2": [], "random": []}
    for seed in range(seeds):
        for strategy, made in studies.items():
            overrides = changes | {"search.strategy": strategy, "seed": seed}
            study = load(problem, out=out / f"{strategy}-{seed}", overrides=overrides)
            study.run()
            made.append(study)
            typer.echo(f"seed {seed} {strategy:<7} front {len(study.front)}")
    everything = pd.concat([study.trials for made in studies.values() for study in made])
    boxed = with_box(studies["nsga2"][0].objectives, everything)
    for strategy, made in studies.items():
        shares = [float(hypervolume_history(study.trials, boxed)["hypervolume"].iloc[-1]) for study in made]
        listed = " ".join(f"{share:.4f}" for share in shares)
        typer.echo(f"{strategy:<7} hypervolume {listed}  mean {statistics.fmean(shares):.4f}")
