"""From a name, a path or a dict to a `ProblemSpec`, with the files it names read in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml

from moonas import content
from moonas.errors import MoonasError, SpecError
from moonas.registry import is_dotted_path, path_of
from moonas.spec.device import load_device_tree
from moonas.spec.document import Document, Location, apply_overrides, read_document
from moonas.spec.encoding import EncodingSpec, FactorySpec, encoding_from, load_encoding
from moonas.spec.metric import Cost, Goal
from moonas.spec.problem import ProblemSpec
from moonas.spec.validation import named, validate, wrong_type

Loaded = TypeVar("Loaded")


def load_problem(
    problem: str | Path | Mapping[str, Any],
    *,
    overrides: Mapping[str, Any] | None = None,
    label: str = "--set",
) -> ProblemSpec:
    """Read and check a problem.

    Args:
        problem: a path, a shipped name, or the content of such a file, in which functions may stand for dotted paths.
        overrides: dotted path -> value, laid over it.
        label: what messages call the overrides.

    Raises:
        SpecError: if something in it is wrong; one line for each mistake.
        UnknownNameError: if there is no such problem.
    """
    document = _problem_document(problem)
    apply_overrides(document, _without_callables(overrides or {}), label=label)
    _resolve_path(document, overrides or {})
    tree = dict(document.tree)
    if "encoding" in tree:
        tree["encoding"] = _resolve_encoding(document)
    if "device" in tree:
        tree["device"] = _resolve_device(document)
    return validate(ProblemSpec, tree, document)


def objective(
    function: Callable[..., float],
    *,
    goal: Goal,
    name: str | None = None,
    at_most: float | None = None,
    at_least: float | None = None,
    reference: float | None = None,
    cost: Cost = "cheap",
) -> dict[str, Any]:
    """Make an entry for a problem's `objectives` (or, with a limit, `constraints`) of a function of your own.

    Args:
        function: f(module, context) -> float, on the built module in evaluation mode; `context` has `architecture`,
            `task`, `device`, `operations`, `seed` and, for dear ones, `validation`.
        goal: "maximize" or "minimize".
        name: the column's name, with its unit; the function's own if not given.
        at_most: the largest value allowed.
        at_least: the smallest value allowed.
        reference: the worst value that counts in the hypervolume.
        cost: "cheap" ones are measured before any training; "dear" ones after, on the trained module.
    """
    entry = {
        "metric": path_of(function, name),
        "goal": goal,
        "cost": cost,
        "at_most": at_most,
        "at_least": at_least,
        "reference": reference,
    }
    return {key: value for key, value in entry.items() if value is not None}


def _problem_document(problem: str | Path | Mapping[str, Any]) -> Document:
    if isinstance(problem, Mapping):
        document = Document("<python>", _without_callables(problem))
        document.tree.setdefault("name", "search")
        return document
    path = content.find("problems", str(problem))
    document = read_document(path)
    document.tree.setdefault("name", path.stem)
    return document


def _without_callables(value: Any) -> Any:
    """A deep copy in plain values, each function replaced by the dotted path under which it is remembered."""
    if isinstance(value, Mapping):
        return {str(key): _without_callables(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_callables(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    return path_of(value) if callable(value) else value


def _resolve_path(document: Document, overrides: Mapping[str, Any]) -> None:
    """Make data.path absolute: it is relative to the file that says so, or to here when it comes from outside."""
    data = document.tree.get("data")
    if not isinstance(data, dict) or not isinstance(data.get("path"), str):
        return
    from_file = not document.source.startswith("<") and not any(key in ("data", "data.path") for key in overrides)
    base = Path(document.source).parent if from_file else Path()
    data["path"] = str((base / Path(data["path"]).expanduser()).resolve())


def _resolve_encoding(document: Document) -> EncodingSpec | FactorySpec:
    found = named(document.tree["encoding"])
    if not isinstance(found, dict):
        raise SpecError(
            document.mistake(("encoding",), wrong_type(found, "the name of an encoding or `key: value` pairs"))
        )
    if "family" in found or "name" not in found:
        document.tree["encoding"] = found = {"name": document.tree["name"], **found}
        return encoding_from(document, ("encoding",))
    name = found["name"]
    if isinstance(name, str) and is_dotted_path(name):
        return validate(FactorySpec, found, document, ("encoding",))
    if not isinstance(name, str):
        raise SpecError(document.mistake(("encoding", "name"), wrong_type(name, "text")))
    _refuse_more_than_name(document, found)
    return _at_place(document, ("encoding", "name"), lambda: load_encoding(name))


def _refuse_more_than_name(document: Document, found: dict[str, Any]) -> None:
    for key in found:
        if key != "name":
            what = "cannot be set beside a named encoding; `moonas copy NAME` gives you a file of your own to edit"
            raise SpecError(document.mistake(("encoding", key), what))


def _resolve_device(document: Document) -> dict[str, Any]:
    found = named(document.tree["device"])
    if not isinstance(found, dict):
        raise SpecError(
            document.mistake(("device",), wrong_type(found, "the name of a device profile or `key: value` pairs"))
        )
    name = found.get("name", "here")
    if "kind" in found:  # a resolved problem: the profile has been read in already
        return found
    if not isinstance(name, str):
        raise SpecError(document.mistake(("device", "name"), wrong_type(name, "text")))
    profile = _at_place(document, ("device", "name"), lambda: load_device_tree(name))
    return {**profile, **found, "name": profile["name"]}


def _at_place(document: Document, location: Location, load: Callable[[], Loaded]) -> Loaded:
    """Run `load`; a name that it does not know is a mistake of this document, not of the file it looked for."""
    try:
        return load()
    except SpecError:
        raise
    except MoonasError as error:
        raise SpecError(document.mistake(location, str(error))) from error


def to_yaml(spec: ProblemSpec) -> str:
    """The problem in full, defaults and all, as a file that can be run again."""
    tree = spec.model_dump(mode="json", exclude_none=True)
    text: str = yaml.safe_dump(tree, sort_keys=False, allow_unicode=True, width=110, default_flow_style=None)
    return f"# Written by moonas: the problem of this run, in full.\n{text}"
