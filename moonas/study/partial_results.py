"""Results on the way to trials, in the archive: what a halving and a screening measured, whoever became a trial."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from moonas.errors import RunFolderError
from moonas.evaluation.rungs import UNTRAINED, PartialResult
from moonas.spec.training import FidelitySpec
from moonas.study.archive_file import has_table, plain_words, undamaged

SCREEN = -1
"""The place, before all rungs, of the scores of a screening."""

_COLUMNS = {
    "key": "object",
    "number": "Int64",
    "rung": "int64",
    "epochs": "int64",
    "samples": "Int64",
    "resolution": "Int64",
}


class PartialResults:
    """Partial results by architecture and rung: -1 for a screening's, 0 for what precedes training, then the rungs."""

    def __init__(self, connection: sqlite3.Connection, path: Path):
        """Take the archive's connection; one that only reads may be to a file that was made without the table."""
        self._connection, self._path = connection, path
        self._is_there = has_table(connection, "rungs")

    def __len__(self) -> int:
        return len(self._rows(""))

    def recall(self, key: str) -> dict[int, PartialResult]:
        """The results of an architecture by rung."""
        with undamaged(self._path):
            rows = self._rows("WHERE rungs.key = ?", key)
            return {
                rung: PartialResult(json.loads(metrics), seconds, error) for _, rung, metrics, seconds, error, _ in rows
            }

    def keep(self, key: str, rung: int, result: PartialResult) -> None:
        """Write a result; on return it is on disk."""
        row = (key, rung, json.dumps(dict(result.metrics)), result.seconds, result.error)
        with plain_words(self._path):
            self._connection.execute("INSERT OR REPLACE INTO rungs VALUES (?, ?, ?, ?, ?)", row)

    def rung_of(self, key: str, metrics: Mapping[str, float]) -> int:
        """The rung whose result the metrics of a stopped trial are; 0 if it is not there.

        It need not be the last one that there is: a bracket that was interrupted, and ended smaller, may have let the
        architecture go further.
        """
        known = self.recall(key)
        untrained = known.get(UNTRAINED, PartialResult()).metrics  # which take the place of what training says

        def is_of(result: PartialResult) -> bool:
            said = {name: value for name, value in result.metrics.items() if name not in untrained}
            return not result.error and all(metrics.get(name) == value for name, value in said.items())

        return max((rung for rung, result in known.items() if rung > UNTRAINED and is_of(result)), default=0)

    def to_frame(self, fidelities: Sequence[FidelitySpec], score: str) -> pd.DataFrame:
        """One row a training, by number and rung; those of architectures that are no trials yet come last.

        Args:
            fidelities: of the rungs.
            score: the metric by which networks are judged.

        Raises:
            RunFolderError: if there are trainings at other rungs.
        """
        columns = {**_COLUMNS, **dict.fromkeys((score, "training_loss", "seconds"), "float64")}
        rows: list[tuple[Any, ...]] = []
        with undamaged(self._path):
            for key, rung, metrics, seconds, _, number in self._rows("WHERE rung > 0"):
                if rung > len(fidelities):
                    what = f"holds trainings at rung {rung} of another problem than this one of {len(fidelities)}"
                    raise RunFolderError(f"{self._path} {what}; load the run folder itself")
                given, measured = fidelities[rung - 1], json.loads(metrics)
                trained = (given.epochs, given.samples, given.resolution)
                found = (measured.get(score), measured.get("training_loss"), seconds)
                rows.append((key, number, rung, *trained, *found))
            frame = pd.DataFrame(rows, columns=list(columns)).astype(columns)
            return frame.sort_values(["number", "key", "rung"], ignore_index=True)

    def _rows(self, clause: str, *arguments: Any) -> list[tuple[Any, ...]]:
        if not self._is_there:
            return []
        with plain_words(self._path):
            columns = "rungs.key, rung, rungs.metrics, rungs.seconds, rungs.error, number"
            query = f"SELECT {columns} FROM rungs LEFT JOIN trials ON trials.key = rungs.key {clause}"
            return self._connection.execute(query, arguments).fetchall()
