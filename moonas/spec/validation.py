"""From plain values to a frozen model, with every complaint worded for the person who wrote the file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Self, TypeVar, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo

from moonas.errors import SpecError, UnknownNameError, choose_from, did_you_mean
from moonas.registry import Registry
from moonas.spec.document import Document, Location
from moonas.spec.wording import shown, wrong_type

Mistake = tuple[Location, str]
"""The location, below the model that finds it, and the sentence."""


class SpecModel(BaseModel):
    """The root of all spec models: frozen, no unknown keys, no silent conversions, no infinities."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, ser_json_inf_nan="constants"
    )

    def mistakes(self) -> Iterator[Mistake]:
        """What is wrong between fields that are right each by itself."""
        return iter(())

    @model_validator(mode="after")
    def _refuse_mistakes(self) -> Self:
        found = list(self.mistakes())
        if found:
            raise MistakesError(found)
        return self


class MistakesError(ValueError):
    """What a model finds wrong between its fields."""

    def __init__(self, found: list[Mistake]):
        super().__init__("; ".join(what for _, what in found))
        self.found = found


Model = TypeVar("Model", bound=SpecModel)


def validate(model: type[Model], tree: Mapping[str, Any], document: Document, at: Location = ()) -> Model:
    """Check `tree`, which stands at location `at` of `document`, against `model`.

    Raises:
        SpecError: with a line for each mistake.
    """
    try:
        return model.model_validate(tree)
    except ValidationError as error:
        found = (mistake for detail in error.errors(include_url=False) for mistake in _mistakes(model, detail))
        lines = [document.mistake(at + location, what) for location, what in found]
        raise SpecError("\n".join(dict.fromkeys(lines))) from error


def _mistakes(model: type[SpecModel], detail: Mapping[str, Any]) -> Iterator[Mistake]:
    location: Location = tuple(part for part in detail["loc"] if part != "[key]")
    cause = (detail.get("ctx") or {}).get("error")
    if isinstance(cause, MistakesError):
        yield from ((location + below, what) for below, what in cause.found)
    else:
        yield location, _sentence(model, detail)


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
        near = did_you_mean(found, expected) if isinstance(found, str) else ""
        return f"must be {allowed}, is {shown(found)}{near}"
    if kind in _COMPARISONS:
        word, limit = _COMPARISONS[kind]
        return f"must be {word} {context[limit]:.12g}, is {shown(found)}"
    if kind in _TYPES:
        return wrong_type(found, _TYPES[kind])
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
    "finite_number": "a finite number",
    "string_type": "text",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "`key: value` pairs",
    "model_type": "`key: value` pairs",
    "model_attributes_type": "`key: value` pairs",
}


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


def _some(items: tuple[Any, ...]) -> tuple[Any, ...]:
    if not items:
        raise ValueError("must hold at least one, is an empty list")
    return items


LISTED = Field(strict=False)
"""For a tuple, which a file writes as a list."""
SOME = AfterValidator(_some)
"""For a list that cannot be empty. Unlike a minimum length, it does not count items that are wrong themselves."""


def named(value: Any) -> Any:
    """Let a bare name stand for a mapping with that name: `device: here`."""
    return {"name": value} if isinstance(value, str) else value


def name_in(registry: Registry) -> AfterValidator:
    """Make the validator of a field that must name something of a registry, or be a dotted path."""

    def check(name: str) -> str:
        try:
            return registry.check(name)
        except UnknownNameError as error:
            raise ValueError(str(error)) from error

    return AfterValidator(check)
