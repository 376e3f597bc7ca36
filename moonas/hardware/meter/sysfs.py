"""Small files by which Linux tells what its drivers know."""

from __future__ import annotations

from pathlib import Path

from moonas.errors import MeterError


def text_in(path: Path) -> str:
    """What a file says.

    Raises:
        MeterError: if it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip("\0 \n")
    except PermissionError as error:
        raise MeterError(f"{path} is for root to read; run as root, or let others read it: chmod a+r") from error
    except OSError as error:
        raise MeterError(f"{path} cannot be read: {error.strerror or error}") from error


def number_in(path: Path) -> int:
    """The whole number that a file holds.

    Raises:
        MeterError: if it cannot be read, or holds something else.
    """
    text = text_in(path)
    try:
        return int(text)
    except ValueError as error:
        raise MeterError(f"{path} must hold a whole number, holds {text[:60]!r}") from error
