"""From plain values to a frozen model, with every complaint worded for the person who wrote the file."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo

from moonas.errors import SpecError, choose_from
from moonas.spec.document import Document, Location


class SpecModel(BaseModel):
    """The root of all spec models: frozen, no unknown keys, no silent conversions."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


Model = TypeVar("Model", bound=SpecModel)


def validate(model: type[Model], tree: Mapping[str, Any], document: Document, at: Location = ()) -> Model:
    """Check `tree`, which stands at location `at` of `document`, against `model`.

    Raises:
        SpecError: with a line for each mistake.
    """
    try:
        return model.model_validate(tree)
    except ValidationError as error:
        lines = []
        for detail in error.errors(include_url=False):
            if detail["type"] == "too_short" and detail["input"]:
                continue  # it is only its broken items that do not count
            location = at + _own_location(detail)
            lines.append(document.mistake(location, _sentence(model, detail)))
        raise SpecError("\n".join(dict.fromkeys(lines))) from error


def _own_location(detail: Mapping[str, Any]) -> Location:
    """The error's location; a validator that knows better which field is at fault says so in its context."""
    location: Location = tuple(part for part in detail["loc"] if part != "[key]")
    cause = (detail.get("ctx") or {}).get("error")
    return location + cause.at if isinstance(cause, MisplacedError) else location


def _sentence(model: type[SpecModel], detail: Mapping[str, Any]) -> str:
    kind, found, context = detail["type"], detail["input"], detail.get("ctx") or {}
    if kind == "extra_forbidden":
        known = _fields_at(model, detail["loc"][:-1])
        return f"unknown key; {choose_from(str(detail['loc'][-1]), known)}"
    if kind == "missing":
        return "is missing"
    if kind == "literal_error":
        expected = [part.strip("'") for part in context["expected"].replace(" or ", ", ").split(", ")]
        allowed = f"one of {', '.join(expected)}" if len(expected) > 1 else expected[0]
        return f"must be {allowed}, is {shown(found)}{_did_you_mean(found, expected)}"
    if kind in _COMPARISONS:
        word, limit = _COMPARISONS[kind]
        return f"must be {word} {_plain(context[limit])}, is {shown(found)}"
    if kind in _TYPES:
        return wrong_type(found, _TYPES[kind])
    if kind == "too_short":
        return f"must hold at least one, is {shown(found)}"
    if kind in ("finite_number",):
        return f"must be a finite number, is {shown(found)}"
    message: str = detail["msg"]
    return message.removeprefix("Value error, ")


_COMPARISONS = {
    "greater_than_equal": ("at least", "ge"),
    "greater_than": ("more than", "gt"),
    "less_than_equal": ("at most", "le"),
    "less_than": ("less than", "lt"),
}
_TYPES = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "string_type": "text",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "`key: value` pairs",
    "model_type": "`key: value` pairs",
    "model_attributes_type": "`key: value` pairs",
}


def _plain(limit: float) -> str:
    return str(int(limit)) if float(limit).is_integer() else str(limit)


def wrong_type(found: Any, expected: str) -> str:
    """Word that a value is of the wrong type, and name the YAML trap that it fell into, if any."""
    return f"must be {expected}, is {shown(found)}{_yaml_trap(found, expected)}"


def shown(value: Any) -> str:
    """A value as messages show it: with its type where that is what matters."""
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        text = value.replace("\n", "\\n")
        return f"the text '{text}'" if len(text) <= 60 else f"the text '{text[:59]}…'"
    if isinstance(value, list | tuple):
        return (
            "an empty list"
            if not value
            else f"the list {yaml.safe_dump(list(value), default_flow_style=True, width=10**6).strip()}"
        )
    if isinstance(value, Mapping):
        return "a mapping"
    return str(value)


def _yaml_trap(found: Any, expected: str) -> str:
    if isinstance(found, str) and "number" in expected:
        try:
            number = float(found.replace("_", ""))
        except ValueError:
            return ""
        if not math.isfinite(number) or ("whole" in expected and not number.is_integer()):
            return ""
        plain = f"{number:.0f}" if number.is_integer() and abs(number) < 1e15 else f"{number:.6f}".rstrip("0")
        return f"; YAML takes that for text, write {plain}"
    if isinstance(found, bool) and expected == "text":
        return "; YAML takes on, off, yes and no for true and false: put it in quotes"
    return ""


def _did_you_mean(found: Any, expected: Iterable[str]) -> str:
    if not isinstance(found, str):
        return ""
    _, question, near = choose_from(found, expected).partition("; did you mean ")
    return question + near


def _fields_at(model: type[SpecModel], location: tuple[str | int, ...]) -> list[str]:
    """The field names of the model that sits at `location` below `model`."""
    current: type[BaseModel] = model
    for part in location:
        field = current.model_fields.get(str(part)) if isinstance(part, str) else None
        inner = _model_in(field) if field else None
        if inner is not None:
            current = inner
    return list(current.model_fields)


def _model_in(field: FieldInfo) -> type[BaseModel] | None:
    pending: list[Any] = [field.annotation]
    while pending:
        annotation = pending.pop()
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            return annotation
        pending.extend(get_args(annotation))
    return None


class MisplacedError(ValueError):
    """A mistake that a validator finds in a field below the one it guards."""

    def __init__(self, at: Location, message: str):
        super().__init__(message)
        self.at = at


def named(value: Any) -> Any:
    """Let a bare name stand for a mapping with that name: `device: here`."""
    return {"name": value} if isinstance(value, str) else value


def choices(item: Callable[[Any], str | None]) -> Callable[[Any], Any]:
    """Make the validator of a field that may be a gene: a scalar is fixed, a list is a gene.

    Args:
        item: says what is wrong with one choice, or None.
    """

    def check(value: Any) -> Any:
        listed = isinstance(value, list | tuple)
        if listed and not value:
            raise ValueError("an empty list offers no choice; give at least one value")
        for choice in value if listed else [value]:
            wrong = item(choice)
            if wrong:
                raise ValueError(wrong)
        if listed and len({repr(choice) for choice in value}) < len(value):
            twice = next(choice for choice in value if list(value).count(choice) > 1)
            raise ValueError(f"offers {twice} twice; keep one")
        return tuple(value) if listed else value

    return check


def whole(minimum: int, maximum: int | None = None, *, odd: bool = False) -> Callable[[Any], str | None]:
    """The check of a choice that must be a whole number within limits."""
    kind = "an odd number" if odd else "a whole number"
    limits = f"{kind} from {minimum} to {maximum}" if maximum is not None else f"{kind} of at least {minimum}"

    def check(value: Any) -> str | None:
        if isinstance(value, bool) or not isinstance(value, int):
            return wrong_type(value, limits)
        inside = value >= minimum and (maximum is None or value <= maximum)
        return None if inside and (not odd or value % 2) else f"must be {limits}, is {value}"

    return check


def one_of(*allowed: str) -> Callable[[Any], str | None]:
    """The check of a choice that must be one of some words."""

    def check(value: Any) -> str | None:
        if isinstance(value, str) and value in allowed:
            return None
        return f"must be one of {', '.join(allowed)}, is {shown(value)}{_did_you_mean(value, allowed)}"

    return check
