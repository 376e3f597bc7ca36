"""What a problem may say of a table in which metrics are looked up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import BeforeValidator

from moonas.spec.metric import COLUMNS
from moonas.spec.validation import Mistake, SpecModel


class TableColumnSpec(SpecModel):
    """A column, and what its values are multiplied by, as 0.01 for percents."""

    column: str
    scale: float = 1.0


def _column(value: object) -> object:
    """Let a bare name stand for a column."""
    return {"column": value} if isinstance(value, str) else value


class TableSpec(SpecModel):
    """A CSV file with a row for each architecture.

    Attributes:
        path: of the file, gzipped or not.
        match: the column that tells which architecture a row is of.
        by: what of an architecture stands there, an attribute: its `key`, or the `string` of a cell of NAS-Bench-201.
        metrics: metric -> column. They need not be evaluated any more.
    """

    path: str | None = None
    match: str = "key"
    by: str = "key"
    metrics: dict[str, Annotated[TableColumnSpec, BeforeValidator(_column)]]

    def mistakes(self) -> Iterator[Mistake]:
        """Refuse a table without a path, one without metrics, and metrics called as other columns of the results."""
        if self.path is None:
            yield ("path",), "is missing; say where the table lies, as in --set table.path=FILE"
        if not self.metrics:
            yield ("metrics",), "must name at least one metric"
        for name in self.metrics:
            if name in COLUMNS or not name.isidentifier():
                yield ("metrics", name), "cannot be a metric's name; rename it"
