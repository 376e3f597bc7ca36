"""`python -m moonas.benchmark NAME`."""

from __future__ import annotations

import functools
from collections.abc import Callable

import typer

from moonas import benchmark
from moonas.benchmark.encodings import encodings
from moonas.benchmark.halving import halving
from moonas.benchmark.loop import loop
from moonas.benchmark.memory import memory
from moonas.benchmark.predictions import predictions
from moonas.benchmark.profiles import profiles
from moonas.benchmark.proxies import proxies
from moonas.benchmark.strategies import strategies
from moonas.benchmark.training import training
from moonas.terminal import exit_codes, stop_cleanly


def with_manners(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command end as all programs of moonas do: mistakes in a sentence, stopped politely."""

    @functools.wraps(command)
    def run(*arguments: object, **options: object) -> None:
        with exit_codes():
            stop_cleanly()
            command(*arguments, **options)

    return run


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, help=benchmark.__doc__)
for command in (loop, memory, strategies, encodings, training, proxies, halving, profiles, predictions):
    app.command()(with_manners(command))

if __name__ == "__main__":
    app(prog_name="python -m moonas.benchmark")
