"""Every trial of a run, in one SQLite file that is sound at any instant."""

from __future__ import annotations

import json
import os.path
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from moonas.encoding.encoding import Encoding, Genotype
from moonas.errors import EncodingError, RunFolderError, one_line
from moonas.problem.trial import Trial

_SCHEMA = """
CREATE TABLE IF NOT EXISTS trials (
    number INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, state TEXT NOT NULL, genotype TEXT NOT NULL,
    architecture TEXT NOT NULL, metrics TEXT NOT NULL, seconds REAL NOT NULL, error TEXT NOT NULL,
    elapsed REAL NOT NULL);
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""
_APPLICATION = int.from_bytes(b"moon")
"""Marks files of ours; kept in them as SQLite's application_id."""
_FORMAT = 1
"""Raised when what the tables mean changes; kept in the file as SQLite's user_version."""
_ELAPSED = "elapsed"
_FIELDS = "number, key, state, genotype, architecture, metrics, seconds, error"


class Archive:
    """Trials by the key of their architecture, and a few facts about the run.

    A trial is on disk when `append` returns, power cuts included as far as the disk keeps its word. Readers in other
    processes do not disturb the one that writes.
    """

    def __init__(self, path: Path, encoding: Encoding, *, writable: bool = True):
        """Open the file, and make it if it is not there.

        Args:
            path: of the file.
            encoding: what the genotypes in it mean.
            writable: if not, the file is neither made nor touched; where there is none, the archive is empty.

        Raises:
            RunFolderError: if it cannot be opened, is no archive, or is one of another encoding.
        """
        self.path = path
        self._encoding = encoding
        self._writable = writable
        with _plain_words(self.path):
            if not writable and os.path.exists(path):  # noqa: PTH110  # Path.exists raises for a name too long
                self._connection = _connect_for_reading(path)
                self._check_format()
            else:
                self._connection = _connect(str(path) if writable else ":memory:")
                self._connection.execute("PRAGMA synchronous=FULL")
                self._make_tables()
        self._check_genes()

    def _make_tables(self) -> None:
        """Lay out a new file; leave one that is an archive as it is."""
        if self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            self._check_format()
        else:
            marks = f"PRAGMA application_id={_APPLICATION}; PRAGMA user_version={_FORMAT};"
            self._connection.executescript(f"BEGIN; {_SCHEMA} {marks} COMMIT;")
            self._connection.execute("PRAGMA journal_mode=WAL")  # afterwards, so that the marks are in the file itself

    def _check_format(self) -> None:
        """Refuse files that this version of moonas does not understand."""
        found, application = (
            self._connection.execute(f"PRAGMA {mark}").fetchone()[0] for mark in ("user_version", "application_id")
        )
        if application != _APPLICATION:
            raise RunFolderError(f"{self.path} is a database of something else; give another folder")
        if found != _FORMAT:
            raise RunFolderError(
                f"{self.path} has format {found} and this moonas knows format {_FORMAT}: "
                "go on with the version that began the run, or give another folder"
            )

    def _check_genes(self) -> None:
        """Refuse an archive whose genotypes mean something else than they do in this encoding."""
        genes = [[gene.name, [repr(choice) for choice in gene.choices]] for gene in self._encoding.genes]
        self.agree("genes", genes, "holds trials of another encoding; give another folder")

    def append(self, trial: Trial, *, elapsed: float = 0.0) -> None:
        """Write one trial.

        Args:
            trial: whose key and number the archive has not yet.
            elapsed: seconds of searching until now, all runs in this folder added up.

        Raises:
            RunFolderError: if it cannot be written, as on a full disk; what was there stays.
        """
        row = (
            trial.number,
            trial.key,
            trial.state,
            json.dumps(trial.genotype),
            json.dumps(trial.architecture.to_dict()),
            json.dumps(dict(trial.metrics)),
            trial.seconds,
            trial.error,
            elapsed,
        )
        if not self.path.exists():
            raise RunFolderError(f"{self.path} was removed while it was in use; the trial of {trial.key} has no place")
        with _plain_words(self.path):
            self._connection.execute(f"INSERT INTO trials ({_FIELDS}, elapsed) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)

    def get(self, key: str) -> Trial | None:
        """The trial of an architecture, or None."""
        found = self._rows("WHERE key = ?", key)
        return next((self._trial(row) for row in found), None)

    def __len__(self) -> int:
        with _plain_words(self.path):
            count: int = self._connection.execute("SELECT count(*) FROM trials").fetchone()[0]
        return count

    def __iter__(self) -> Iterator[Trial]:
        """All trials in the order of their numbers."""
        return (self._trial(row) for row in self._rows("ORDER BY number"))

    def clear(self) -> None:
        """Forget all trials and facts, but for what the genes are."""
        with _plain_words(self.path):
            self._connection.executescript("BEGIN; DELETE FROM trials; DELETE FROM facts; COMMIT;")
        self._check_genes()

    def forget_failures(self) -> None:
        """Drop the failed trials, so that they will be tried again; the time that they took counts on."""
        self.note_elapsed(self.elapsed)
        with _plain_words(self.path):
            self._connection.execute("DELETE FROM trials WHERE state = 'failed'")

    @property
    def elapsed(self) -> float:
        """Seconds of searching, all runs in this folder added up, as far as `note_elapsed` or a trial tells."""
        with _plain_words(self.path):
            latest: float | None = self._connection.execute("SELECT max(elapsed) FROM trials").fetchone()[0]
        return max(latest or 0.0, float(self.fact(_ELAPSED) or 0.0))

    def note_elapsed(self, seconds: float) -> None:
        """Write down the seconds of searching until now, which the last trial may not tell."""
        self.note(_ELAPSED, seconds)

    def numbers(self) -> set[int]:
        """The numbers that are taken."""
        with _plain_words(self.path):
            return {row[0] for row in self._connection.execute("SELECT number FROM trials")}

    def to_frame(self, metrics: Sequence[str]) -> pd.DataFrame:
        """One row a trial: key, number, state, the metrics, seconds, error, then a column a gene.

        Args:
            metrics: the metric columns; NaN where a trial lacks one.
        """
        genes = self._encoding.genes
        rows = []
        with _undamaged(self.path):
            for number, key, state, genotype, _, measured, seconds, error in self._rows("ORDER BY number"):
                values = json.loads(measured)
                chosen = (gene.choices[i] for gene, i in zip(genes, json.loads(genotype), strict=True))
                shown = (values.get(metric) for metric in metrics)
                rows.append((key, number, state, *shown, seconds, error or None, *chosen))
            columns = ["key", "number", "state", *metrics, "seconds", "error", *(gene.name for gene in genes)]
            frame = pd.DataFrame(rows, columns=columns)
            return frame.astype({metric: _dtype(frame[metric]) for metric in metrics})

    def fact(self, name: str) -> Any:
        """A fact about the run, or None."""
        with _plain_words(self.path):
            row = self._connection.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        with _undamaged(self.path):
            return None if row is None else json.loads(row[0])

    def note(self, name: str, value: Any) -> None:
        """Write a fact about the run: anything JSON can hold."""
        with _plain_words(self.path):
            self._connection.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, json.dumps(value)))

    def agree(self, name: str, value: Any, complaint: str) -> None:
        """Write a fact, or see that it is still the same.

        Raises:
            RunFolderError: with the complaint, if it is another one now.
        """
        found = self.fact(name)
        if found is None and self._writable:
            self.note(name, value)
        elif found not in (None, value):
            raise RunFolderError(f"{self.path} {complaint}")

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _rows(self, clause: str, *arguments: Any) -> list[tuple[Any, ...]]:
        with _plain_words(self.path):
            return self._connection.execute(f"SELECT {_FIELDS} FROM trials {clause}", arguments).fetchall()

    def _trial(self, row: tuple[Any, ...]) -> Trial:
        number, key, state, genotype, _, metrics, seconds, error = row
        with _undamaged(self.path):
            genes: Genotype = tuple(json.loads(genotype))
            self._encoding.check(genes)
            measured = dict(json.loads(metrics))
        architecture = self._encoding.decode(genes)
        if architecture.key != key:
            raise RunFolderError(
                f"{self.path} was written when genotype {genes} meant {key}, and now it means {architecture.key}: "
                "the encoding has changed; give another folder"
            )
        return Trial(number, genes, architecture, state, measured, seconds, error)


def is_archive(path: Path) -> bool:
    """Tell whether a file is an archive of moonas, of whatever format, without opening it as a database."""
    try:
        with path.open("rb") as file:
            header = file.read(72)
    except OSError:
        return False
    return header.startswith(b"SQLite format 3\0") and header[68:72] == _APPLICATION.to_bytes(4)


def _connect(location: str, *, uri: bool = False) -> sqlite3.Connection:
    return sqlite3.connect(location, isolation_level=None, timeout=30, check_same_thread=False, uri=uri)


def _connect_for_reading(path: Path) -> sqlite3.Connection:
    """Open a file that must not be touched, in a folder where perhaps nothing can be written.

    Without a write-ahead log nobody writes, and SQLite needs no files of its own beside it if it is told so.
    """
    mode = "mode=ro" if path.with_name(f"{path.name}-wal").exists() else "immutable=1"
    return _connect(f"{path.absolute().as_uri()}?{mode}", uri=True)


@contextmanager
def _plain_words(path: Path) -> Iterator[None]:
    """Turn what SQLite raises into one sentence about the run folder."""
    try:
        yield
    except sqlite3.Error as error:
        raise RunFolderError(f"{path} cannot be used: {error}; what was told before is kept") from error


@contextmanager
def _undamaged(path: Path) -> Iterator[None]:
    """Turn what comes of rows that others have changed into one sentence about the run folder."""
    try:
        yield
    except (ValueError, LookupError, TypeError, AttributeError, EncodingError) as error:
        raise RunFolderError(
            f"{path} is damaged: {one_line(error)}; put a copy back, or give another folder"
        ) from error


def _dtype(column: pd.Series) -> str:
    """The type that reading the column back from CSV gives."""
    whole = len(column) > 0 and all(isinstance(value, int) for value in column)
    return "int64" if whole else "float64"
