"""What the search loop costs beside evaluating."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated, Any

import psutil
import typer

from moonas.benchmark.stopwatch import timed
from moonas.spec.load import objective
from moonas.study.progress import Snapshot
from moonas.study.start import load
from moonas.study.study import Study
from moonas.terminal import say


def instant(module: Any, context: Any) -> float:
    """Stand in for an evaluation, and cost nothing: a number that the architecture's key decides."""
    return int(context.architecture.key[-6:], 16) / 16**6


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
        seconds = timed(lambda: study.run(listener=watch))
        done = len(study.trials)
        say(f"{done} trials in {seconds:.1f} s: {1000 * seconds / done:.2f} ms each, building the module included")
        say(f"memory at each tenth, MB: {', '.join(f'{megabytes:.0f}' for megabytes in memory)}")
        again = _instant_study(Path(folder) / "run", trials, workers)
        say(f"resuming them: {timed(again.run):.1f} s")


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
