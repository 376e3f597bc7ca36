"""Values laid over a document from outside, by the dotted paths of `--set search.population=8`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moonas.errors import SpecError
from moonas.spec.document import Document, Location

_NAMED_PARTS = ("encoding", "data", "device")
"""Where a bare name stands for a mapping with that name: `device: here`; so it does in each of `devices`."""


def apply_overrides(document: Document, overrides: Mapping[str, Any], places: Mapping[str, str]) -> None:
    """Put values at dotted paths of the document, later ones over earlier ones.

    Where a bare name stands for a mapping (`device: here`), it becomes that mapping first.

    Args:
        document: what is changed.
        overrides: dotted path -> value.
        places: dotted path -> what messages call the override.

    Raises:
        SpecError: if a path is none, or leads through a plain value or beyond a list.
    """
    for path, value in overrides.items():
        place = places[path]
        keys = path.split(".")
        if not all(keys):
            raise SpecError(f"{place}: must be keys joined by dots, as in search.population")
        where: Any = document.tree
        location: Location = ()
        for key in keys[:-1]:
            location = (*location, _step(where, key, place))
            where = _descend(document, where, location, place)
        location = (*location, _step(where, keys[-1], place))
        where[location[-1]] = value
        _lay_over(document, location, place)


def _step(where: Any, key: str, place: str) -> str | int:
    """The key or position that `key` means in `where`."""
    if isinstance(where, dict):
        return key
    if not isinstance(where, list):
        raise SpecError(f"{place}: there is a plain value where '{key}' would go")
    if not where:
        raise SpecError(f"{place}: there is no '{key}', the list is empty")
    if not (key.isascii() and key.isdigit() and int(key) < len(where)):
        raise SpecError(f"{place}: '{key}' must be a position from 0 to {len(where) - 1}")
    return int(key)


def _descend(document: Document, where: Any, location: Location, place: str) -> Any:
    """What lies at `location`, the last step of which leads on from `where`; a new mapping if nothing does."""
    step = location[-1]
    below = where.get(step) if isinstance(where, dict) else where[step]
    if below is None:
        below = {}
        _lay_over(document, location, place)
    elif isinstance(below, str) and _is_named_part(location):
        below = {"name": below}
    where[step] = below
    return below


def _is_named_part(location: Location) -> bool:
    return (len(location) == 1 and location[0] in _NAMED_PARTS) or (len(location) == 2 and location[0] == "devices")


def _lay_over(document: Document, location: Location, place: str) -> None:
    for known in [known for known in document.places if known[: len(location)] == location]:
        del document.places[known]
    document.places[location] = place
    document.laid_over.add(location)
