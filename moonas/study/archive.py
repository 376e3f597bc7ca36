"""Every trial of a run, in one SQLite file that is sound at any instant."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from moonas.encoding.encoding import Encoding, Genotype
from moonas.errors import RunFolderError
from moonas.problem.trial import Trial
from moonas.study.archive_file import open_archive_file, plain_words, undamaged
from moonas.study.partial_results import PartialResults

_ELAPSED = "elapsed"
_FIELDS = "number, key, state, genotype, architecture, metrics, seconds, error"


class Archive:
    """Trials by the key of their architecture, results on the way to them, and a few facts about the run.

    A trial is on disk when `append` returns, power cuts included as far as the disk keeps its word. Readers in other
    processes do not disturb the one that writes.

    Attributes:
        partial: what was measured on the way to trials.
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
        self._connection = open_archive_file(path, writable=writable)
        with plain_words(path):
            self.partial = PartialResults(self._connection, path)
        self._check_genes()

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
        with plain_words(self.path):
            self._connection.execute(f"INSERT INTO trials ({_FIELDS}, elapsed) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)

    def get(self, key: str) -> Trial | None:
        """The trial of an architecture, or None."""
        found = self._rows("WHERE key = ?", key)
        return next((self._trial(row) for row in found), None)

    def __len__(self) -> int:
        with plain_words(self.path):
            count: int = self._connection.execute("SELECT count(*) FROM trials").fetchone()[0]
        return count

    @property
    def has_results(self) -> bool:
        """Whether anything was measured: trials, or what leads to them."""
        return len(self) > 0 or len(self.partial) > 0

    def __iter__(self) -> Iterator[Trial]:
        """All trials in the order of their numbers."""
        return (self._trial(row) for row in self._rows("ORDER BY number"))

    def clear(self) -> None:
        """Forget all trials and facts, but for what the genes are."""
        with plain_words(self.path):
            self._connection.executescript("BEGIN; DELETE FROM trials; DELETE FROM rungs; DELETE FROM facts; COMMIT;")
        self._check_genes()

    def forget_failures(self) -> None:
        """Drop the failed trials, so that they will be tried again; the time that they took counts on."""
        self.note_elapsed(self.elapsed)
        with plain_words(self.path):
            self._connection.executescript(
                "BEGIN; DELETE FROM trials WHERE state = 'failed'; DELETE FROM rungs WHERE error <> ''; COMMIT;"
            )

    @property
    def elapsed(self) -> float:
        """Seconds of searching, all runs in this folder added up, as far as `note_elapsed` or a trial tells."""
        with plain_words(self.path):
            latest: float | None = self._connection.execute("SELECT max(elapsed) FROM trials").fetchone()[0]
        return max(latest or 0.0, float(self.fact(_ELAPSED) or 0.0))

    def note_elapsed(self, seconds: float) -> None:
        """Write down the seconds of searching until now, which the last trial may not tell."""
        self.note(_ELAPSED, seconds)

    def numbers(self) -> set[int]:
        """The numbers that are taken."""
        with plain_words(self.path):
            return {row[0] for row in self._connection.execute("SELECT number FROM trials")}

    def to_frame(self, metrics: Sequence[str]) -> pd.DataFrame:
        """One row a trial: key, number, state, the metrics, seconds, error, then a column a gene.

        Args:
            metrics: the metric columns; NaN where a trial lacks one.
        """
        genes = self._encoding.genes
        rows = []
        with undamaged(self.path):
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
        with plain_words(self.path):
            row = self._connection.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        with undamaged(self.path):
            return None if row is None else json.loads(row[0])

    def note(self, name: str, value: Any) -> None:
        """Write a fact about the run: anything JSON can hold."""
        with plain_words(self.path):
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
        with plain_words(self.path):
            return self._connection.execute(f"SELECT {_FIELDS} FROM trials {clause}", arguments).fetchall()

    def _trial(self, row: tuple[Any, ...]) -> Trial:
        number, key, state, genotype, _, metrics, seconds, error = row
        with undamaged(self.path):
            genes: Genotype = tuple(json.loads(genotype))
            self._encoding.check(genes)
            measured = dict(json.loads(metrics))
        architecture = self._encoding.decode(genes)
        if architecture.key != key:
            raise RunFolderError(
                f"{self.path} was written when genotype {genes} meant {key}, and now it means {architecture.key}: "
                "the encoding has changed; give another folder"
            )
        rung = self.partial.rung_of(key, measured) if state == "stopped" else 0
        return Trial(number, genes, architecture, state, measured, seconds, error, rung)


def _dtype(column: pd.Series) -> str:
    """The type that reading the column back from CSV gives."""
    whole = len(column) > 0 and all(isinstance(value, int) for value in column)
    return "int64" if whole else "float64"
