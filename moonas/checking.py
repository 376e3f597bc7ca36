"""`moonas check`: look at a problem before any training, and say what a search of it would meet."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from moonas.errors import MoonasError
from moonas.run import Assignments, Quiet, parse_assignments
from moonas.terminal import exit_codes, say, stop_cleanly, while_read

if TYPE_CHECKING:
    import pandas as pd

    from moonas.study.check import Check

_FLAGS = {"seed": "--seed", "workers": "--workers"}
"""What has a flag of its own."""


def check(
    problem: Annotated[str, typer.Argument(help="A problem file, the name of a shipped one, or a run folder.")],
    samples: Annotated[int, typer.Option(help="Networks to look at; of a smaller space, all.")] = 256,
    seed: Annotated[int | None, typer.Option(help="Of the networks that are drawn.")] = None,
    workers: Annotated[int | None, typer.Option(help="Worker processes; 0 evaluates in this one.")] = None,
    csv: Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Write a row for each network.")] = None,
    assignments: Assignments = None,
    quiet: Quiet = False,
) -> None:
    """Check a problem before any training: do networks build, can the limits be kept, what could be hoped for?"""
    with exit_codes():
        overrides = parse_assignments(assignments or [])
        flags = zip(_FLAGS, (seed, workers), strict=True)
        overrides |= {path: value for path, value in flags if value is not None}
        stop_cleanly()
        if not quiet:
            say(f"Checking {problem}: loading libraries, data and workers takes some seconds.", err=True)

        from moonas.study.check import check_of  # late: `--help` needs none of it

        try:
            found = check_of(problem, samples, overrides, progress=not quiet, labels=_FLAGS)
        except KeyboardInterrupt:
            say("\nStopped; nothing was written.", err=True)
            raise
        if csv is not None:
            _write(found.networks, csv)
        if not quiet:
            _print(found)
        if found.mistake:
            raise MoonasError(found.mistake)


def _write(networks: pd.DataFrame, path: Path) -> None:
    try:
        networks.to_csv(path, index=False)
    except OSError as error:
        raise MoonasError(f"{path} cannot be written: {error.strerror or error}") from error


def _print(found: Check) -> None:
    """Print what was found, tables without rows left out."""
    from moonas.report.check import readable
    from moonas.report.table import print_frame

    tables: dict[str, Any] = {
        "Metrics without training, and the best of those that keep all limits": found.metrics,
        "Limits, and the networks that keep them": found.limits,
        "Networks that fail": found.failures,
        "What networks choose that come near to the limits": found.nearest,
    }
    for line in found.summary:
        say(line)
    with while_read():
        for title, table in tables.items():
            if len(table):
                print_frame(readable(table), title)
    for remark in found.remarks:
        say(remark)
