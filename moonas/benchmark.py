"""Measurements of moonas itself, not of networks: `python -m moonas.benchmark NAME`. Timings stay out of the tests.

`loop` asks what the search loop costs beside evaluating; `strategies` holds NSGA-II against random search; `encodings`
times decoding and building.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import psutil
import typer

from moonas import content
from moonas.encoding.catalogue import search_space
from moonas.encoding.encoding import Encoding
from moonas.errors import EncodingError
from moonas.evaluation.static import count_flops
from moonas.network.architecture import Task
from moonas.report.hypervolume import hypervolume_history, with_box
from moonas.spec.load import objective
from moonas.study.progress import Snapshot
from moonas.study.start import load
from moonas.study.study import Study
from moonas.terminal import input_shape

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, help=__doc__)


def instant(module: Any, context: Any) -> float:
    """Stand in for an evaluation, and cost nothing: a number that the architecture's key decides."""
    return int(context.architecture.key[-6:], 16) / 16**6


@app.command()
def loop(
    trials: Annotated[int, typer.Option(help="Architectures to go through.")] = 5000,
    workers: Annotated[int, typer.Option(help="Worker processes; 0 evaluates in this one.")] = 0,
) -> None:
    """Time and memory of a search whose evaluations are instant, and of resuming it when it is finished."""
    with tempfile.TemporaryDirectory() as folder:
        memory: list[float] = []

        def watch(snapshot: Snapshot) -> None:
            if snapshot.trials and snapshot.trials % max(1, trials // 10) == 0:
                memory.append(psutil.Process().memory_info().rss / 1e6)

        study = _instant_study(Path(folder) / "run", trials, workers)
        seconds = _timed(lambda: study.run(listener=watch))
        done = len(study.trials)
        typer.echo(
            f"{done} trials in {seconds:.1f} s: {1000 * seconds / done:.2f} ms each, building the module included"
        )
        typer.echo(f"memory at each tenth, MB: {', '.join(f'{megabytes:.0f}' for megabytes in memory)}")
        again = _instant_study(Path(folder) / "run", trials, workers)
        typer.echo(f"resuming them: {_timed(again.run):.1f} s")


def _instant_study(out: Path, trials: int, workers: int) -> Study:
    problem = {
        "name": "loop",
        "encoding": "small_cnn",
        "task": {"input_shape": [1, 8, 8], "classes": 10},
        "objectives": [objective(instant, goal="maximize", reference=0.0), {"metric": "params", "reference": 2e5}],
        "record": [],
        "search": {"population": 50},
        "budget": {"trials": trials},
        "workers": workers,
    }
    return load(problem, out=out)


def _timed(call: Any) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


@app.command()
def strategies(
    problem: Annotated[str, typer.Argument(help="A problem, by path or name.")] = "digits",
    seeds: Annotated[int, typer.Option(help="Searches of each strategy.")] = 3,
    out: Annotated[Path, typer.Option(help="Where the run folders go; running again resumes.")] = Path(
        "runs/strategies"
    ),
    assignments: Annotated[list[str] | None, typer.Option("--set", metavar="KEY.PATH=VALUE")] = None,
) -> None:
    """Hypervolume of NSGA-II and of random search at the same budget, seeds interleaved, all in one box."""
    from moonas.run import parse_assignments

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


@app.command()
def encodings(
    names: Annotated[list[str] | None, typer.Argument(help="Encodings.", show_default="all shipped")] = None,
    shape: Annotated[str, typer.Option("--input", help="Channels x height x width, or length x channels.")] = "3x32x32",
    decodes: Annotated[int, typer.Option(help="Genotypes to decode.")] = 3000,
    builds: Annotated[int, typer.Option(help="Networks to build and count.")] = 20,
) -> None:
    """How many genotypes are decoded and named a second, and what building a network and counting its flops takes.

    On one thread; the encodings take turns, so that a busy machine slows all of them.
    """
    import torch

    torch.set_num_threads(1)
    task = Task(input_shape(shape), 10)
    spaces = {name: search_space(name) for name in names or content.available("encodings")}
    rate = {name: decodes / _timed(partial(_decode, space, decodes)) for name, space in spaces.items()}
    milliseconds: dict[str, list[float]] = {name: [] for name in spaces}
    for seed in range(-1, builds):  # the first of each warms up
        for name, space in spaces.items():
            architecture = space.decode(space.sample(np.random.default_rng(abs(seed))))
            try:
                taken = 1000 * _timed(lambda: count_flops(architecture.build(task).eval(), task.input_shape))  # noqa: B023
            except EncodingError:  # too small an input for it
                continue
            if seed >= 0:
                milliseconds[name].append(taken)
    for name, taken_by in milliseconds.items():
        spread = (
            f"{statistics.median(taken_by):4.0f} ms, {min(taken_by):.0f} to {max(taken_by):.0f}" if taken_by else "-"
        )
        typer.echo(f"{name:<14} decode + key {rate[name]:7,.0f} a second   build + flops of {len(taken_by)}: {spread}")


def _decode(space: Encoding, count: int) -> None:
    random = np.random.default_rng(0)
    for _ in range(count):
        _ = space.decode(space.sample(random)).key


if __name__ == "__main__":
    app(prog_name="python -m moonas.benchmark")
