"""Raw results in a CSV file that grows row by row."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from moonas.errors import MoonasError


class Rows:
    """A CSV file of results. Interrupted at any instant, it keeps all whole rows."""

    def __init__(self, path: Path, columns: Sequence[str]):
        """Begin the file, or go on with it.

        Raises:
            MoonasError: if it holds something else, or cannot be written.
        """
        self.path, self.columns = path, tuple(columns)
        header = ",".join(columns)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            text = path.read_text(encoding="utf-8") if path.exists() else ""
            if text and text.partition("\n")[0] != header:
                raise MoonasError(f"{path} holds other columns than these results have; give another place")
            whole = text[: text.rfind("\n") + 1]  # a kill may have left half a row
            if whole != text or not text:
                path.write_text(whole or f"{header}\n", encoding="utf-8")
        except (OSError, UnicodeError) as error:
            raise MoonasError(f"{path} cannot be written: {error}") from error

    def add(self, *rows: Mapping[str, Any]) -> None:
        """Write rows, all of them or, killed meanwhile, the first of them."""
        with self.path.open("a", encoding="utf-8", newline="") as file:
            csv.DictWriter(file, self.columns, lineterminator="\n").writerows(rows)

    @property
    def frame(self) -> pd.DataFrame:
        """All rows."""
        return pd.read_csv(self.path, dtype={"error": str}).fillna({"error": ""})


def first_error(rows: pd.DataFrame) -> str:
    """A sentence on those that failed; none if there are none."""
    errors = rows.loc[rows["error"] != "", "error"]
    return f"{len(errors)} trainings failed, the first: {errors.iloc[0]}" if len(errors) else ""
