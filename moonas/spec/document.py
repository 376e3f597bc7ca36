"""A YAML file as plain values, with the line of every field kept, so that each complaint can say where."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from moonas.errors import SpecError

Location = tuple[str | int, ...]
_PLAIN = "tag:yaml.org,2002:"


@dataclass
class Document:
    """What one file says.

    Attributes:
        source: how messages name it: the path of the file, or `<python>`.
        tree: the values, as nested dicts and lists.
        places: location of a field -> where it was written, as messages say it ("line 7").
    """

    source: str
    tree: dict[str, Any]
    places: dict[Location, str] = field(default_factory=dict)

    def mistake(self, location: Location, what: str) -> str:
        """Word one mistake: file, line, field: what."""
        place = self.place(location)
        dotted = ".".join(str(part) for part in location)
        where = ", ".join(part for part in (self.source, place, dotted) if part)
        return f"{where}: {what}"

    def place(self, location: Location) -> str:
        """The place of `location`, or of the nearest field around it that was written."""
        for length in range(len(location), 0, -1):
            if location[:length] in self.places:
                return self.places[location[:length]]
        return ""


def read_document(path: Path) -> Document:
    """Read a YAML file.

    Raises:
        SpecError: if it cannot be read, is not text, is not YAML, repeats a key, or is not a mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise SpecError(f"{path}: is not a text file; a YAML file in UTF-8 is expected") from error
    except OSError as error:
        raise SpecError(f"{path}: cannot be read: {error.strerror}") from error
    return parse_document(text, str(path))


def parse_document(text: str, source: str) -> Document:
    """Parse YAML text; see `read_document`."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        raise SpecError(_syntax_message(error, text, source)) from error
    except yaml.reader.ReaderError as error:
        raise SpecError(f"{source}: is not a text file: it holds the character #x{error.character:04x}") from error
    except RecursionError as error:
        raise SpecError(f"{source}: is nested too deeply to be read") from error
    if not isinstance(node, yaml.MappingNode):
        found = "nothing" if node is None else "a list" if isinstance(node, yaml.SequenceNode) else "a single value"
        raise SpecError(f"{source}: must hold `key: value` pairs, holds {found}")
    document = Document(source, {})
    try:
        document.tree = _construct(node, (), document, frozenset())
    except RecursionError as error:
        raise SpecError(f"{source}: is nested too deeply to be read") from error
    return document


def _syntax_message(error: yaml.MarkedYAMLError, text: str, source: str) -> str:
    mark = error.problem_mark or error.context_mark
    line = mark.line if mark else 0
    lines = text.splitlines()
    if line < len(lines) and "\t" in lines[line][: len(lines[line]) - len(lines[line].lstrip())]:
        return f"{source}, line {line + 1}: a tab indents this line; YAML wants spaces"
    return f"{source}, line {line + 1}: is not YAML: {error.problem or error.context}"


def _construct(node: yaml.Node, location: Location, document: Document, above: frozenset[int]) -> Any:
    """Turn a composed node into plain values, noting the line of every field below `location`."""
    document.places.setdefault(location, f"line {node.start_mark.line + 1}")
    if id(node) in above:
        raise SpecError(document.mistake(location, "an alias that contains itself; write it out"))
    above = above | {id(node)}
    if not isinstance(node, yaml.ScalarNode) and not node.tag.endswith((":map", ":seq")):
        raise SpecError(document.mistake(location, f"the tag {_tag(node)} is not read; write a plain value"))
    if isinstance(node, yaml.MappingNode):
        return _construct_mapping(node, location, document, above)
    if isinstance(node, yaml.SequenceNode):
        return [_construct(item, (*location, i), document, above) for i, item in enumerate(node.value)]
    return _construct_scalar(node, location, document)


def _construct_mapping(
    node: yaml.MappingNode, location: Location, document: Document, above: frozenset[int]
) -> dict[str, Any]:
    mapping: dict[str, Any] = {}
    for key_node, value_node in node.value:
        line = f"line {key_node.start_mark.line + 1}"
        if not isinstance(key_node, yaml.ScalarNode):
            raise SpecError(f"{document.source}, {line}: a key must be a word")
        key = str(key_node.value)
        if key == "<<":
            raise SpecError(f"{document.source}, {line}: merge keys (<<) are not read; write the fields out")
        here = (*location, key)
        if key in mapping:
            first = document.places[here]
            document.places[here] = line
            raise SpecError(document.mistake(here, f"is given twice, first in {first}; keep one"))
        document.places[here] = line
        mapping[key] = _construct(value_node, here, document, above)
    return mapping


def _construct_scalar(node: yaml.Node, location: Location, document: Document) -> Any:
    if node.tag.endswith((":timestamp", ":binary", ":set", ":omap", ":pairs")) or not node.tag.startswith(_PLAIN):
        kind = "a date" if node.tag.endswith(":timestamp") else f"the tag {_tag(node)}"
        mend = f"YAML takes {node.value} for {kind}; put it in quotes"
        raise SpecError(
            document.mistake(location, mend if kind == "a date" else f"{kind} is not read; write a plain value")
        )
    loader = yaml.SafeLoader("")
    if node.tag.endswith((":int", ":float")) and re.fullmatch(
        r"[-+]?(0[0-7_]+|\d[\d_]*(:[0-5]?\d)+(\.\d*)?)", node.value
    ):
        base = "base 60" if ":" in node.value else "base 8"
        value = loader.construct_object(node)
        what = f"YAML takes {node.value} for {value}, a number in {base}; write it out"
        raise SpecError(document.mistake(location, what))
    try:
        return loader.construct_object(node, deep=True)
    except (yaml.YAMLError, ValueError, KeyError, IndexError) as error:
        tag = node.tag.rsplit(":", 1)[-1]
        what = f"cannot be read as a plain value ({tag} {node.value!r})"
        raise SpecError(document.mistake(location, what)) from error


def _tag(node: yaml.Node) -> str:
    """A tag as the file writes it."""
    return str(node.tag).replace(_PLAIN, "!!")


def apply_overrides(document: Document, overrides: Mapping[str, Any], *, label: str = "--set") -> None:
    """Put values at dotted paths of the document, as `--set search.population=8` does.

    A text where a mapping is needed (`device: here`) becomes a mapping with that name first.
    """
    for dotted, value in overrides.items():
        keys = dotted.split(".")
        where: Any = document.tree
        location: Location = ()
        for depth, key in enumerate(keys):
            step = int(key) if isinstance(where, list) and key.isascii() and key.isdigit() else key
            location = (*location, step)
            _check_step(where, step, dotted, label)
            if depth == len(keys) - 1:
                where[step] = value
                _forget_places(document, location)
                document.places[location] = f"{label} {dotted}"
            else:
                where = _descend(where, step)


def _descend(where: Any, step: str | int) -> Any:
    below = where.get(step) if isinstance(where, dict) else where[step]
    if below is None:
        below = {}
    elif isinstance(below, str):
        below = {"name": below}
    where[step] = below
    return below


def _check_step(where: Any, step: str | int, dotted: str, label: str) -> None:
    if isinstance(where, list):
        if not isinstance(step, int) or step >= len(where):
            raise SpecError(f"{label} {dotted}: '{step}' must be a position from 0 to {len(where) - 1}")
    elif not isinstance(where, dict):
        raise SpecError(f"{label} {dotted}: there is a plain value where '{step}' would go")


def _forget_places(document: Document, location: Location) -> None:
    for known in [known for known in document.places if known[: len(location)] == location]:
        del document.places[known]


def parse_value(text: str, label: str) -> Any:
    """Read the value of a `--set` as YAML would: `8`, `true`, `[3, 5]`, `{train: 0.8}`, or text.

    Raises:
        SpecError: if it is no value.
    """
    document = parse_document(f"value: {text}" if text.strip() else "value:", label)
    return document.tree["value"]
