"""From a name, a path or a dict to a `ProblemSpec`, with the files it names read in."""

from __future__ import annotations

import os.path
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from moonas import content
from moonas.errors import SpecError
from moonas.registry import Named, name_of
from moonas.spec.device import HERE
from moonas.spec.document import HEADER, Document, read_document
from moonas.spec.family import FactorySpec
from moonas.spec.metric import Cost, Goal
from moonas.spec.overrides import apply_overrides
from moonas.spec.parts import resolve_device, resolve_devices, resolve_encoding
from moonas.spec.plain import plain
from moonas.spec.problem import ProblemSpec
from moonas.spec.validation import validate


def load_problem(
    problem: str | Path | Mapping[str, Any],
    *,
    overrides: Mapping[str, Any] | None = None,
    label: str = "--set",
    labels: Mapping[str, str] = MappingProxyType({}),
) -> ProblemSpec:
    """Read and check a problem.

    Args:
        problem: a path, a shipped name, or the content of such a file, in which functions may stand for dotted paths.
        overrides: dotted path -> value, laid over it.
        label: what messages call the overrides.
        labels: what they call those of some paths.

    Raises:
        SpecError: if something in it is wrong; one line for each mistake.
        UnknownNameError: if there is no such problem.
    """
    functions: dict[str, Any] = {}
    document = _problem_document(problem, functions)
    places = {path: labels.get(path, f"{label} {path}") for path in overrides or {}}
    given = {path: plain(value, places[path], functions) for path, value in (overrides or {}).items()}
    apply_overrides(document, given, places)
    _resolve_paths(document)
    document.tree.setdefault("device", HERE)
    document.tree.setdefault("devices", {})
    tree, wrong = dict(document.tree), []
    for key, (resolve, stand_in) in _RESOLVED.items():
        if key in tree:
            try:
                tree[key] = resolve(document)
            except SpecError as error:
                wrong.append(str(error))
                tree[key] = stand_in
    try:
        spec = validate(ProblemSpec, tree, document)
    except SpecError as error:
        raise SpecError("\n".join([*wrong, str(error)])) from error
    if wrong:
        raise SpecError("\n".join(wrong))
    return spec


def objective(
    function: Callable[..., float],
    *,
    goal: Goal | None = None,
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
        goal: "maximize" or "minimize"; an objective needs it, a constraint takes none.
        name: the column's name, with its unit; the function's own if not given.
        at_most: the largest value allowed.
        at_least: the smallest value allowed.
        reference: the worst value that counts in the hypervolume.
        cost: "cheap" ones are measured before any training; "dear" ones after, on the trained module.
    """
    named_function = function if name is None else Named(function, name)
    name_of(named_function)  # there is one, or it is asked for here
    entry = {
        "metric": named_function,
        "goal": goal,
        "cost": cost,
        "at_most": at_most,
        "at_least": at_least,
        "reference": reference,
    }
    return {key: value for key, value in entry.items() if value is not None}


def _problem_document(problem: str | Path | Mapping[str, Any], functions: dict[str, Any]) -> Document:
    if isinstance(problem, Mapping):
        document = Document("<python>", plain(problem, "<python>", functions))
        document.tree.setdefault("name", "search")
        return document
    path = content.find("problems", str(problem))
    document = read_document(path)
    document.tree.setdefault("name", path.stem)
    return document


def _resolve_paths(document: Document) -> None:
    """Make data.path and table.path absolute.

    Raises:
        SpecError: if one cannot be a path, or is of the current folder and not, as it should be, of the file's.
    """
    for part in ("data", "table"):
        given, at = document.tree.get(part), (part, "path")
        if isinstance(given, dict) and isinstance(given.get("path"), str):
            home = os.path.expanduser(given["path"])  # noqa: PTH111  # Path.expanduser raises for an unknown user
            try:
                path = document.folder(at) / home
                if not os.path.exists(path) and os.path.exists(home):  # noqa: PTH110  # Path.exists raises more
                    what = f"there is no {path}, but there is {home} in the current folder"
                    hint = f"paths in a file are relative to it; --set {part}.path={home} is relative to where you are"
                    raise SpecError(document.mistake(at, f"{what}; {hint}"))
                given["path"] = str(path.resolve())
            except (OSError, RuntimeError, ValueError) as error:  # a loop of links, a null character
                raise SpecError(document.mistake(at, f"cannot be a path: {error}")) from error


# What is read in from other files, and a valid value that stands in for it while the rest of the problem is checked.
_RESOLVED: dict[str, tuple[Callable[[Document], Any], Any]] = {
    "encoding": (resolve_encoding, FactorySpec(name="")),
    "device": (resolve_device, {}),
    "devices": (resolve_devices, {}),
}


def to_yaml(spec: ProblemSpec) -> str:
    """The problem in full, defaults and all, as a file that can be run again."""
    tree = spec.model_dump(mode="json", exclude_none=True)
    text: str = yaml.safe_dump(tree, sort_keys=False, allow_unicode=True, width=110, default_flow_style=None)
    return f"{HEADER}\n{text}"
