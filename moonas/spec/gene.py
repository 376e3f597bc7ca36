"""The fields of an encoding: a scalar is fixed, a list is a gene."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from pydantic import PlainValidator

from moonas.errors import did_you_mean
from moonas.spec.wording import shown, wrong_type

Check = Callable[[Any], str | None]
"""Says what is wrong with one choice, or None."""


def gene(check: Check) -> PlainValidator:
    """Make the validator of a field that may be a gene.

    Args:
        check: says what is wrong with one choice.
    """

    def validate(value: Any) -> Any:
        listed = isinstance(value, list | tuple)
        if listed and not value:
            raise ValueError("an empty list offers no choice; give at least one value")
        choices = list(value) if listed else [value]
        for choice in choices:
            wrong = check(choice)
            if wrong:
                raise ValueError(wrong)
        if twice := repeated(choices):
            raise ValueError(f"offers {twice[0]} twice; keep one")
        return tuple(choices) if listed else value

    return PlainValidator(validate)


def repeated(choices: Sequence[Any]) -> list[Any]:
    """Those choices that are there more than once; true is not 1."""
    count = Counter((isinstance(choice, bool), choice) for choice in choices)
    return [choice for choice in choices if count[isinstance(choice, bool), choice] > 1]


def whole(minimum: int, maximum: int, *, odd: bool = False) -> Check:
    """The check of a choice that must be a whole number within limits."""
    limits = f"{'an odd' if odd else 'a whole'} number from {minimum} to {maximum}"

    def check(value: Any) -> str | None:
        if isinstance(value, bool) or not isinstance(value, int):
            return wrong_type(value, limits)
        inside = minimum <= value <= maximum
        return None if inside and (not odd or value % 2) else f"must be {limits}, is {shown(value)}"

    return check


def number(minimum: float, maximum: float) -> Check:
    """The check of a choice that must be a number within limits."""
    limits = f"a number from {minimum:g} to {maximum:g}"

    def check(value: Any) -> str | None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return wrong_type(value, limits)
        return None if minimum <= value <= maximum else f"must be {limits}, is {shown(value)}"

    return check


def flag(value: Any) -> str | None:
    """The check of a choice that must be true or false."""
    return None if isinstance(value, bool) else wrong_type(value, "true or false")


def one_of(*allowed: str) -> Check:
    """The check of a choice that must be one of some words."""

    def check(value: Any) -> str | None:
        if isinstance(value, str) and value in allowed:
            return None
        near = did_you_mean(value, allowed) if isinstance(value, str) else ""
        return f"must be one of {', '.join(allowed)}, is {shown(value)}{near}"

    return check
