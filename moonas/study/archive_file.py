"""The file of an archive: SQLite, marked as ours, opened without harm to files that are not."""

from __future__ import annotations

import os.path
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from moonas.errors import EncodingError, RunFolderError, one_line

_SCHEMA = """
CREATE TABLE IF NOT EXISTS trials (
    number INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, state TEXT NOT NULL, genotype TEXT NOT NULL,
    architecture TEXT NOT NULL, metrics TEXT NOT NULL, seconds REAL NOT NULL, error TEXT NOT NULL,
    elapsed REAL NOT NULL);
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""
_LATER = """
CREATE TABLE IF NOT EXISTS rungs (
    key TEXT NOT NULL, rung INTEGER NOT NULL, metrics TEXT NOT NULL, seconds REAL NOT NULL, error TEXT NOT NULL,
    PRIMARY KEY (key, rung));
"""
"""Tables that files of the same format may lack; who writes adds them, who reads takes them for empty."""
_APPLICATION = int.from_bytes(b"moon")
"""Marks files of ours; kept in them as SQLite's application_id."""
_FORMAT = 1
"""Raised when what the tables mean changes; kept in the file as SQLite's user_version."""


def is_archive(path: Path) -> bool:
    """Tell whether a file is an archive of moonas, of whatever format, without opening it as a database."""
    try:
        with path.open("rb") as file:
            header = file.read(72)
    except OSError:
        return False
    return header.startswith(b"SQLite format 3\0") and header[68:72] == _APPLICATION.to_bytes(4)


def open_archive_file(path: Path, *, writable: bool) -> sqlite3.Connection:
    """Open the file, and lay it out if it is new.

    Args:
        path: of the file.
        writable: if not, the file is neither made nor touched; where there is none, an empty archive is in memory.

    Raises:
        RunFolderError: if it cannot be opened, or is not ours.
    """
    with plain_words(path):
        if not writable and os.path.exists(path):  # noqa: PTH110  # Path.exists raises for a name too long
            connection = _connect_for_reading(path)
        else:
            connection = _connect(str(path) if writable else ":memory:")
            connection.execute("PRAGMA synchronous=FULL")
        if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            _check_marks(connection, path)
        else:
            _make_tables(connection)
        if writable and not has_table(connection, "rungs"):
            connection.executescript(_LATER)
        return connection


def has_table(connection: sqlite3.Connection, name: str) -> bool:
    """Whether a file has a table."""
    count: int = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = ?", (name,)).fetchone()[0]
    return count > 0


def _connect(location: str, *, uri: bool = False) -> sqlite3.Connection:
    return sqlite3.connect(location, isolation_level=None, timeout=30, check_same_thread=False, uri=uri)


def _connect_for_reading(path: Path) -> sqlite3.Connection:
    """Open a file that must not be touched, in a folder where perhaps nothing can be written.

    Without a write-ahead log nobody writes, and SQLite needs no files of its own beside it if it is told so.
    """
    mode = "mode=ro" if path.with_name(f"{path.name}-wal").exists() else "immutable=1"
    return _connect(f"{path.absolute().as_uri()}?{mode}", uri=True)


def _make_tables(connection: sqlite3.Connection) -> None:
    marks = f"PRAGMA application_id={_APPLICATION}; PRAGMA user_version={_FORMAT};"
    connection.executescript(f"BEGIN; {_SCHEMA} {_LATER} {marks} COMMIT;")
    connection.execute("PRAGMA journal_mode=WAL")  # afterwards, so that the marks are in the file itself


def _check_marks(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse files that this version of moonas does not understand."""
    application, found = (
        connection.execute(f"PRAGMA {mark}").fetchone()[0] for mark in ("application_id", "user_version")
    )
    if application != _APPLICATION:
        raise RunFolderError(f"{path} is a database of something else; give another folder")
    if found != _FORMAT:
        raise RunFolderError(
            f"{path} has format {found} and this moonas knows format {_FORMAT}: "
            "go on with the version that began the run, or give another folder"
        )


@contextmanager
def plain_words(path: Path) -> Iterator[None]:
    """Turn what SQLite raises into one sentence about the run folder."""
    try:
        yield
    except sqlite3.Error as error:
        raise RunFolderError(f"{path} cannot be used: {error}; what was told before is kept") from error


@contextmanager
def undamaged(path: Path) -> Iterator[None]:
    """Turn what comes of rows that others have changed into one sentence about the run folder."""
    try:
        yield
    except (ValueError, LookupError, TypeError, AttributeError, EncodingError) as error:
        raise RunFolderError(
            f"{path} is damaged: {one_line(error)}; put a copy back, or give another folder"
        ) from error
