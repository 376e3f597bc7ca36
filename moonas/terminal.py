"""The program's manners in a terminal: what it prints, how it ends, how it is stopped."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from moonas.errors import MoonasError

EXIT_INTERRUPTED = 130


@contextmanager
def exit_codes() -> Iterator[None]:
    """End the program with one clear sentence where moonas knows what is wrong."""
    _steady_streams()
    try:
        yield
    except MoonasError as error:
        say(f"moonas: {error}", err=True)
        raise typer.Exit(error.exit_code) from None
    except KeyboardInterrupt:
        raise typer.Exit(EXIT_INTERRUPTED) from None


def input_shape(text: str) -> tuple[int, ...]:
    """Read the option `--input`, the shape of one input, as `3x32x32` or `128x6`.

    Raises:
        MoonasError: if it is none.
    """
    sides = re.fullmatch(r"([0-9]{1,6})[x,]([0-9]{1,6})(?:[x,]([0-9]{1,6}))?", text)
    shape = tuple(int(side) for side in sides.groups() if side is not None) if sides else ()
    if not shape or 0 in shape:
        what = "must be channels x height x width, as 3x32x32, or length x channels, as 128x6"
        raise MoonasError(f"--input {text}: {what}")
    return shape


def say(text: str, *, err: bool = False) -> None:
    """Print a line, if there is still somebody to read it."""
    with while_read("stderr" if err else "stdout"):
        typer.echo(text, err=err)


@contextmanager
def while_read(name: str = "stdout") -> Iterator[None]:
    """Stop printing where nobody reads any longer: a search must not end because a pipe did, or a disk is full."""
    try:
        yield
        getattr(sys, name).flush()
    except OSError:
        _silence(name)


def _steady_streams() -> None:
    """Let no output fail for a letter that a terminal lacks, or because it was closed."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            _silence(name)
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def _silence(name: str) -> None:
    """Send a stream nowhere from now on."""
    setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115  # while the process lives


def stop_cleanly() -> None:
    """Let a polite kill, and the end of the terminal, stop the program as Ctrl-C does, unless they are ignored."""
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
            signal.signal(number, _interrupt)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt
