"""What every description of a network can do: name itself, be written as JSON, be built."""

from __future__ import annotations

import hashlib
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import MISSING, Field, asdict, dataclass, fields, is_dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, ClassVar, get_args, get_origin, get_type_hints

from moonas.errors import EncodingError, MoonasError, one_line
from moonas.registry import FAMILIES

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Task:
    """What a network takes and gives.

    Attributes:
        input_shape: of one input, (channels, height, width) of an image or (length, channels) of a sequence.
        classes: number of outputs.
    """

    input_shape: tuple[int, ...]
    classes: int

    @property
    def side(self) -> int:
        """The shorter side of an image, in pixels.

        Raises:
            EncodingError: if the inputs are no images.
        """
        if len(self.input_shape) != 3:
            raise EncodingError(
                f"networks of this family take images (channels, height, width), not {self.input_shape}"
            )
        return min(self.input_shape[1:])


@dataclass(frozen=True)
class Architecture(ABC):
    """A network described. Subclasses are frozen dataclasses of plain values, equal if they mean the same network."""

    family: ClassVar[str]

    @abstractmethod
    def build(self, task: Task) -> nn.Module:
        """Build the network with fresh weights.

        Returns:
            A module that maps (batch, *task.input_shape) to logits (batch, task.classes).

        Raises:
            EncodingError: if the network makes no sense for the task, as when its strides outgrow the input.
        """

    @cached_property
    def key(self) -> str:
        """The identity: the family and a digest of the content, as in `staged_cnn-4f2a9c01b7de`.

        Fields that have their default stay out of the digest: a family may get a new field, whose default means what
        was before, and all keys stay. Hence a default, once given, must never change.
        """
        if not isinstance(getattr(self, "family", None), str):
            raise EncodingError(f"{type(self).__name__} must say its family, as in family = 'my_module:MyClass'")
        try:
            text = json.dumps([self.family, _distinctive(self)], sort_keys=True, separators=(",", ":"))
        except TypeError as error:
            raise EncodingError(f"{type(self).__name__} holds what cannot be written as JSON: {error}") from error
        return f"{re.sub(r'[^A-Za-z0-9]+', '_', self.family)}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"

    def to_dict(self) -> dict[str, Any]:
        """The description as JSON-ready values; `architecture_from_dict` reads it back.

        Families whose parts are of one type or another override this and `from_dict`, and say which is which.
        """
        return {"family": self.family, **asdict(self)}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Architecture:
        """Rebuild the description from `to_dict` less its family: parts and tuples as the fields are annotated."""
        read: Architecture = _read_parts(cls, fields)
        return read


def _read_parts(kind: Any, fields: Mapping[str, Any]) -> Any:
    hints = _hints(kind)
    return kind(**{name: _read(hints.get(name), value) for name, value in fields.items()})


def _read(hint: Any, value: Any) -> Any:
    """What JSON made a mapping or a list of, as the annotation says that it was."""
    if is_dataclass(hint) and isinstance(value, Mapping):
        return _read_parts(hint, value)
    if get_origin(hint) is tuple and isinstance(value, list | tuple):
        of_each = get_args(hint)
        hints = of_each[:1] * len(value) if of_each[1:] == (...,) else of_each
        return tuple(_read(each, item) for each, item in zip(hints, value, strict=True))
    return value


@cache
def _hints(kind: Any) -> dict[str, Any]:
    try:
        return get_type_hints(kind)
    except NameError:  # of a class within a function, whose names nobody else knows
        return {}


def _distinctive(value: Any) -> Any:
    """A description as JSON-ready values, less the fields that have their defaults, at any depth.

    Parts carry the name of their class: two kinds of parts may have the same fields.
    """
    if is_dataclass(value):
        own = {field.name: getattr(value, field.name) for field in fields(value)}
        defaults = {field.name: _default(field) for field in fields(value)}
        telling = {name: _distinctive(each) for name, each in own.items() if each != defaults[name]}
        return telling if isinstance(value, Architecture) else [type(value).__name__, telling]
    if isinstance(value, Mapping):
        return {key: _distinctive(below) for key, below in value.items()}
    if isinstance(value, list | tuple):
        return [_distinctive(below) for below in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value  # 4.0 == 4, so their keys agree


def _default(field: Field[Any]) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


def architecture_from_dict(description: Mapping[str, Any]) -> Architecture:
    """Read back what `Architecture.to_dict` wrote.

    Raises:
        MoonasError: if it names no family, or does not fit the one it names.
        UnknownNameError: if no such family is known.
    """
    fields = dict(description)
    if not isinstance(fields.get("family"), str):
        raise MoonasError("an architecture must say its family")
    family: type[Architecture] = FAMILIES.load(fields.pop("family"))
    try:
        return family.from_dict(fields)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise MoonasError(f"not the description of a {description['family']}: {one_line(error)}") from error
