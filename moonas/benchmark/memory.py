"""What a search holds in memory: whether workers share the data, and whether candidates leave anything behind."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import psutil
import typer

from moonas.errors import MoonasError
from moonas.study.handover import HANDED_OVER
from moonas.study.progress import Snapshot
from moonas.study.start import load
from moonas.study.study import Study
from moonas.terminal import say

_MEGABYTE = 1e6


def memory(
    candidates: Annotated[int, typer.Option(min=10, help="Networks to train, one epoch each.")] = 10_000,
    workers: Annotated[int, typer.Option(min=1, help="Worker processes.")] = 2,
    data: Annotated[
        Path | None, typer.Option(metavar="FILE.npz", help="Images with a test part.", show_default="digits")
    ] = None,
) -> None:
    """Memory of a search's processes along many short trainings.

    `own_mb` is what would be free if the process ended, `shared_mb` the rest of what is resident. `data_mb` are the
    mapped files of prepared data: `resident` in each worker, and `proportional` with what is shared divided by those
    who share it.
    """
    with tempfile.TemporaryDirectory() as folder:
        if not hasattr(psutil.Process(), "memory_maps"):
            raise MoonasError("memory: psutil cannot tell here which memory is shared; run it on Linux")
        rows: list[dict[str, Any]] = []

        def watch(snapshot: Snapshot) -> None:
            if snapshot.trials and snapshot.trials % max(1, candidates // 10) == 0:
                rows.extend({"trained": snapshot.trials, **row} for row in _processes())

        _study(Path(folder) / "run", candidates, workers, data).run(listener=watch)
        frame = pd.DataFrame(rows).drop_duplicates(["trained", "process"])
        say(frame.to_string(index=False, float_format=lambda value: f"{value:.1f}"))


def _processes() -> Iterator[dict[str, Any]]:
    """A row for this process, and one for each of its workers."""
    own = psutil.Process()
    workers = [child for child in own.children() if _mapped(child)]
    for name, process in [("search", own), *((f"worker {i + 1}", worker) for i, worker in enumerate(workers))]:
        info, maps = process.memory_full_info(), _mapped(process)
        yield {
            "process": name,
            "own_mb": info.uss / _MEGABYTE,
            "shared_mb": (info.rss - info.uss) / _MEGABYTE,
            "data_resident_mb": sum(each.rss for each in maps) / _MEGABYTE,
            "data_proportional_mb": sum(each.pss for each in maps) / _MEGABYTE,
        }


def _mapped(process: psutil.Process) -> list[Any]:
    """The maps of the files in which data were handed over."""
    return [each for each in process.memory_maps() if Path(each.path).name in HANDED_OVER]


def _study(out: Path, candidates: int, workers: int, data: Path | None) -> Study:
    own: dict[str, Any] = {"name": "digits", "split": {"train": 0.3, "val": 0.1, "test": 0.6}}
    if data is not None:
        own = {"name": "npz", "path": str(data.resolve()), "split": {"train": 0.99, "val": 0.01, "test": 0}}
    problem = {
        "name": "memory",
        "encoding": "small_cnn",
        "data": own,
        "objectives": [{"metric": "training_loss", "reference": 10.0}],
        "record": [],
        "fidelity": {"epochs": 1},
        "training": {"batch": 512},
        "search": {"strategy": "random", "population": 50},
        "budget": {"trials": candidates},
        "workers": workers,
    }
    return load(problem, out=out)
