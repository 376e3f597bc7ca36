"""Metrics looked up in a table: what was measured once, on whatever device, serves every search after."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from moonas.errors import CandidateError, DataError, UnknownNameError, one_line
from moonas.evaluation.evaluator import Candidate, Evaluator, Outcome, attempt
from moonas.network.architecture import Architecture
from moonas.spec.metric import METRICS

if TYPE_CHECKING:
    import pandas as pd


_MISSING = ["", "NA", "#N/A", "<NA>", "N/A", "n/a", "NaN", "nan", "None", "NULL", "null"]
"""What stands in a column of numbers where there is none."""


class TableEvaluator(Evaluator):
    """Looks candidates up. Those that are not in the table fail."""

    def __init__(self, rows: Mapping[str, Mapping[str, float]], metrics: Sequence[str], by: str, where: str):
        """Take the rows by the value of the architectures' attribute `by`; `where` is what messages call the table."""
        self.metrics = tuple(metrics)
        self._rows, self._by, self._where = rows, by, where

    @property
    def fingerprint(self) -> str:
        """A digest of all that is in the table: the same metrics of the same architectures, wherever it lies."""
        text = json.dumps([self.metrics, sorted((key, list(row.values())) for key, row in self._rows.items())])
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def evaluate(self, candidates: Sequence[Candidate]) -> list[Outcome]:
        """Look each candidate up."""
        return [attempt(partial(self._look_up, candidate.architecture)) for candidate in candidates]

    def _look_up(self, architecture: Architecture) -> Mapping[str, float]:
        if not hasattr(architecture, self._by):
            raise CandidateError(f"{type(architecture).__name__} has no attribute '{self._by}' to be looked up by")
        value = str(getattr(architecture, self._by))
        if value not in self._rows:
            raise CandidateError(f"{self._where} has no row for {value}, the {self._by} of this network")
        return {name: self._rows[value][name] for name in self.metrics}


def read_table(path: Path, match: str, columns: Mapping[str, tuple[str, float]]) -> dict[str, dict[str, float]]:
    """Read a table of metrics.

    Args:
        path: of a CSV file, gzipped or not.
        match: the column by whose values rows are found.
        columns: metric -> column and factor.

    Returns:
        The metrics of each row by its value of `match`; NaN where there is none, which fails a candidate.

    Raises:
        DataError: if it cannot be read, holds no rows or one twice, lacks a column, or holds what a metric cannot be.
    """
    import pandas as pd

    where = f"table {path}"
    try:
        missing = dict.fromkeys((column for column, _ in columns.values() if column != match), _MISSING)
        # Keys are kept as they are written: they may look like numbers, or be "None".
        frame = pd.read_csv(path, dtype={match: str}, keep_default_na=False, na_values=missing)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{where}: cannot be read: {one_line(error)}") from error
    for column in (match, *(column for column, _ in columns.values())):
        if column not in frame:
            raise DataError(f"{where}: {UnknownNameError('column', column, map(str, frame.columns))}")
    if frame.empty:
        raise DataError(f"{where}: holds no rows")
    keys = frame[match]
    if (keys == "").any():
        raise DataError(f"{where}: column {match} is empty in {int((keys == '').sum())} of {len(frame)} rows")
    if keys.duplicated().any():
        raise DataError(f"{where}: {keys[keys.duplicated()].iloc[0]} stands in column {match} twice")
    chosen = {name: _values(frame[column], name, scale, where) for name, (column, scale) in columns.items()}
    rows = zip(keys, *chosen.values(), strict=True)
    return {key: dict(zip(chosen, values, strict=True)) for key, *values in rows}


def _values(column: pd.Series, metric: str, scale: float, where: str) -> list[float]:
    """What a column says of a metric.

    Raises:
        DataError: if that is no number, or better than the metric can be.
    """
    import pandas as pd

    if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
        others = column[pd.to_numeric(column, errors="coerce").isna() & column.notna()]
        example = f", as {others.iloc[0]!r}" if len(others) else ""
        raise DataError(f"{where}: column {column.name} holds other things than numbers{example}")
    values = column if scale == 1 else column * scale  # whole numbers stay whole, as counts are
    known = METRICS.get(metric)
    if known is not None and known.ideal is not None:
        best, beyond = (values.max(), "above") if known.goal == "maximize" else (values.min(), "below")
        if best > known.ideal if known.goal == "maximize" else best < known.ideal:
            what = f"{metric} is {best:g}, and cannot be {beyond} {known.ideal:g}"
            advice = f"table.metrics.{metric}: {{column: {column.name}, scale: ...}}"
            raise DataError(f"{where}: column {column.name}: {what}; bring it to {metric}'s unit by {advice}")
    found: list[float] = values.tolist()
    return found
