"""The parts of a problem that other files say: its encoding, its devices."""

from __future__ import annotations

import os.path
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, TypeVar

from moonas.errors import SpecError, UnknownNameError
from moonas.registry import is_dotted_path
from moonas.spec.device import HERE, load_device_tree, with_paths
from moonas.spec.document import Document, Location
from moonas.spec.encoding import load_encoding, validate_encoding
from moonas.spec.family import EncodingSpec, FactorySpec
from moonas.spec.metric import device_in, metric_of
from moonas.spec.validation import named, validate
from moonas.spec.wording import wrong_type

Loaded = TypeVar("Loaded")
_OF_FIGURES = (
    "kind",
    "processor",
    "runtime",
    "threads",
    "fusion",
    "scale",
    "machine",
    "environment",
    "space",
    "validation",
)


def resolve_encoding(document: Document) -> EncodingSpec | FactorySpec:
    """The encoding of a problem, read in if it is named.

    Raises:
        SpecError: if something in it is wrong, or there is none of its name.
    """
    found = _named_part(document, ("encoding",), "an encoding")
    if "family" in found or "name" not in found:
        return validate_encoding({"name": str(document.tree["name"]), **found}, document, ("encoding",))
    if is_dotted_path(found["name"]):
        return validate(FactorySpec, found, document, ("encoding",))
    beside = [key for key in found if key != "name"]
    if beside:
        what = "cannot be set beside a named encoding; `moonas copy NAME` gives you a file of your own to edit"
        raise SpecError("\n".join(document.mistake(("encoding", key), what) for key in beside))
    return _load_named(document, ("encoding", "name"), found["name"], load_encoding)


def resolve_device(document: Document) -> dict[str, Any]:
    """The device of a problem: its profile, and what the problem says otherwise.

    Raises:
        SpecError: if it is no device, or there is no profile of its name.
    """
    return _resolve_device(document, ("device",), default=HERE)


def resolve_devices(document: Document) -> dict[str, Any]:
    """The devices that metrics name, by what they call them: as the problem says, else by the profile of this name.

    Raises:
        SpecError: if there is no such profile; with a line for each.
    """
    given = document.tree.get("devices", {})
    if not isinstance(given, dict):
        raise SpecError(document.mistake(("devices",), wrong_type(given, "`name: device profile` pairs")))
    calls: dict[str, Callable[[], dict[str, Any]]] = {
        name: partial(_resolve_device, document, ("devices", name), default=name) for name in given
    }
    for location, name in _named_by_metrics(document.tree):
        calls.setdefault(name, partial(_load_named, document, location, name, load_device_tree))
    found, wrong = {}, []
    for name, resolve in calls.items():
        try:
            found[name] = resolve()
        except SpecError as error:
            wrong.append(str(error))
    if wrong:
        raise SpecError("\n".join(wrong))
    return found


def _named_by_metrics(tree: Mapping[str, Any]) -> Iterator[tuple[Location, str]]:
    """The devices that metrics name, and where, in a tree that nobody has checked yet."""
    parts = {part: tree[part] for part in ("objectives", "constraints", "record") if isinstance(tree.get(part), list)}
    for part, uses in parts.items():
        for i, use in enumerate(uses):
            column = use.get("metric") if isinstance(use, dict) else use if part == "record" else None
            if isinstance(column, str) and metric_of(column) and device_in(column):
                yield ((part, i) if part == "record" else (part, i, "metric")), device_in(column)


def _resolve_device(document: Document, location: Location, *, default: str) -> dict[str, Any]:
    found = _named_part(document, location, "a device profile")
    if document.is_resolved and location not in document.laid_over:  # the profile has been read in already
        return found
    found = with_paths(found, lambda key: document.folder((*location, key)))
    name = found.get("name", default)
    profile = _load_named(document, (*location, "name"), name, load_device_tree)
    fixed = [key for key in found if key in _held_for(profile)]
    if fixed:
        what = f"is what the figures of {profile['name']} hold for, and cannot be changed; name another profile"
        raise SpecError("\n".join(document.mistake((*location, key), what) for key in fixed))
    table = str(found.get("table"))
    if name == HERE and table.endswith(".csv"):
        profile |= _said_beside(table)
    return {**profile, **found, "name": profile["name"]}


def _held_for(profile: Mapping[str, Any]) -> tuple[str, ...]:
    """What the figures of a profile hold for. Costs hold for any batch, as the work is counted."""
    if profile["table"] is not None:
        return (*_OF_FIGURES, "batch")
    return _OF_FIGURES if profile["roofline"] is not None else ()


def _said_beside(table: str) -> dict[str, Any]:
    """What the profile to which a table belongs says, but for its name; nothing if there is none."""
    path = f"{table.removesuffix('.csv')}.yaml"
    if not os.path.isfile(path):  # noqa: PTH113  # Path.is_file raises for a name too long
        return {}
    return {key: value for key, value in load_device_tree(path).items() if value is not None and key != "name"}


def _named_part(document: Document, location: Location, kind: str) -> dict[str, Any]:
    """A part that may be a bare name, as a mapping.

    Raises:
        SpecError: if it is neither, or its name is not text.
    """
    found = document.tree
    for key in location:
        found = found[str(key)]
    part = named(found)
    if not isinstance(part, dict):
        raise SpecError(document.mistake(location, wrong_type(found, f"the name of {kind} or `key: value` pairs")))
    if not isinstance(part.get("name", ""), str):
        raise SpecError(document.mistake((*location, "name"), wrong_type(part["name"], "text")))
    return part


def _load_named(document: Document, location: Location, name: str, load: Callable[..., Loaded]) -> Loaded:
    """Load by name; a name that nothing goes by is a mistake of this document, not of the file it looked for."""
    try:
        return load(name, beside=document.folder(location))
    except UnknownNameError as error:
        raise SpecError(document.mistake(location, str(error))) from error
