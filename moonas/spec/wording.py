"""How messages show what the user wrote, and name the traps that YAML sets."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import yaml

LONGEST = 60


def cut(text: str) -> str:
    """The text, or its beginning if it is too long for a message."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def on_one_line(text: str) -> str:
    """The text with what would break or garble a line written as an escape."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def shown(value: Any) -> str:
    """A value as messages show it: with its type where that is what matters."""
    if value is None:
        return "empty"
    if isinstance(value, str):
        return f"the text '{cut(value)}'"
    if isinstance(value, list | tuple):
        return f"the list {cut(_flow(value))}" if value else "an empty list"
    if isinstance(value, Mapping):
        return "a mapping"
    return cut(_flow(value))


def _flow(value: Any, depth: int = 0) -> str:
    """A value much as YAML writes it, as deep as a message can show."""
    if depth > LONGEST:
        return "…"
    if isinstance(value, list | tuple):
        return f"[{', '.join(_flow(item, depth + 1) for item in value)}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key}: {_flow(item, depth + 1)}' for key, item in value.items())}}}"
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return str(value)


def wrong_type(found: Any, expected: str) -> str:
    """Word that a value is of the wrong type, and name the YAML trap that it fell into, if any."""
    return f"must be {expected}, is {shown(found)}{_yaml_trap(found, expected)}"


def _yaml_trap(found: Any, expected: str) -> str:
    if isinstance(found, str) and "number" in expected:
        try:
            number = float(found.replace("_", ""))
        except ValueError:
            return ""
        whole = number.is_integer()
        if not math.isfinite(number) or (expected != "a number" and not whole):
            return ""
        plain = f"{number:.0f}" if whole and abs(number) < 1e15 else yaml.safe_dump(number).split()[0]
        return f"; YAML takes that for text, write {plain}"
    if isinstance(found, bool) and expected == "text":
        return "; YAML takes on, off, yes and no for true and false: put it in quotes"
    return ""
