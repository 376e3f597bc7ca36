"""NSGA-II against random search."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer

from moonas.report.agreement import LEVEL, estimate
from moonas.report.hypervolume import hypervolume_history, with_box
from moonas.run import parse_assignments
from moonas.study.start import load
from moonas.study.study import Study
from moonas.terminal import say


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
            say(f"seed {seed} {strategy:<7} front {len(study.front)}")
    everything = pd.concat([study.trials for made in studies.values() for study in made])
    boxed = with_box(studies["nsga2"][0].objectives, everything)
    shares = {
        strategy: np.array([hypervolume_history(study.trials, boxed)["hypervolume"].iloc[-1] for study in made])
        for strategy, made in studies.items()
    }
    for strategy, reached in shares.items():
        listed = " ".join(f"{share:.4f}" for share in reached)
        say(f"{strategy:<7} hypervolume {listed}  mean {estimate(lambda some: float(some.mean()), reached):.4f}")
    gain = estimate(lambda some: float(some.mean()), shares["nsga2"] - shares["random"])
    say(f"nsga2 less random, seed by seed: {gain:+.4f}; {LEVEL:.0%} intervals by bootstrap over seeds")
