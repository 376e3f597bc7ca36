"""What comes from Python, as the plain values that a file can hold."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from moonas.errors import MoonasError, SpecError
from moonas.registry import Named, path_of
from moonas.spec.document import Document, Location


def plain(value: Any, source: str, functions: dict[str, Any] | None = None) -> Any:
    """A deep copy in plain values: the run folder keeps it as a file, from which the same search starts again.

    Each function or class is replaced by the dotted path under which it is remembered, a NumPy number by a number.

    Args:
        value: nested mappings and sequences.
        source: how messages name it.
        functions: those of other parts of the same problem, by path; this part's are added.

    Raises:
        SpecError: if something in it cannot be written to a file, or two functions would share a path.
    """
    try:
        return _plain(value, (), Document(source, {}), {} if functions is None else functions)
    except RecursionError as error:
        raise SpecError(f"{source}: contains itself, or is nested too deeply") from error


def _plain(value: Any, location: Location, document: Document, functions: dict[str, Any]) -> Any:
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        value = value.item()
    if isinstance(value, Mapping):
        return {str(key): _plain(item, (*location, str(key)), document, functions) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, (*location, i), document, functions) for i, item in enumerate(value)]
    if isinstance(value, Path):
        return str(value)
    if value is None or isinstance(value, str | int | float):
        return value
    if not callable(value):
        what = f"must be text, a number, true or false, a list or a mapping, is of type {type(value).__name__}"
        raise SpecError(document.mistake(location, what))
    try:
        path = path_of(value)
    except MoonasError as error:
        raise SpecError(document.mistake(location, str(error))) from error
    if functions.setdefault(path, value) is not value and not _same(functions[path], value):
        what = f"another function is called {path} already; tell them apart by moonas.objective(..., name='...')"
        raise SpecError(document.mistake(location, what))
    return path


def _same(one: Any, other: Any) -> bool:
    return isinstance(one, Named) and isinstance(other, Named) and one.function is other.function
