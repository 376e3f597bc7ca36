"""A YAML file as plain values, with the line of every field kept, so that each complaint can say where."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import yaml

from moonas.errors import SpecError
from moonas.spec.syntax import explain
from moonas.spec.wording import cut, on_one_line

Location = tuple[str | int, ...]
HEADER = "# Written by moonas: the problem of this run, in full."
"""The first line of a problem that has all files it names read in."""


def dotted(location: Location) -> str:
    """A location as messages and `--set` write it."""
    return ".".join(str(part) for part in location)


@dataclass
class Document:
    """What one file says.

    Attributes:
        source: how messages name it: the path of the file, or `<python>`.
        tree: the values, as nested dicts and lists.
        places: location of a field -> where it was written, as messages say it ("line 7").
        laid_over: locations whose values came from outside of the file.
        is_resolved: whether moonas wrote it, with the files that it names read in.
    """

    source: str
    tree: dict[str, Any]
    places: dict[Location, str] = field(default_factory=dict)
    laid_over: set[Location] = field(default_factory=set)
    is_resolved: bool = False

    def mistake(self, location: Location, what: str) -> str:
        """Word one mistake: file, line, field: what."""
        return self.mistake_at(self.place(location), location, what)

    def mistake_at(self, place: str, location: Location, what: str) -> str:
        """Word one mistake, of which the place is known better."""
        where = ", ".join(part for part in (self.source, place, dotted(location)) if part)
        return on_one_line(f"{where}: {what}")

    def place(self, location: Location) -> str:
        """The place of `location`, or of the nearest field around it that was written."""
        for length in range(len(location), 0, -1):
            if location[:length] in self.places:
                return self.places[location[:length]]
        return ""

    def folder(self, location: Location) -> Path:
        """Where a relative path at `location` begins: beside the file that says it; here, if it came from outside."""
        outside = any(location[:length] in self.laid_over for length in range(1, len(location) + 1))
        return Path() if outside else Path(self.source).parent


def read_document(path: Path) -> Document:
    """Read a YAML file.

    Raises:
        SpecError: if it cannot be read, is not text, is not YAML, repeats a key, or is not a mapping.
    """
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise SpecError(f"{path}: is no file of this kind: it is larger than {_LARGEST_FILE:,} bytes")
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise SpecError(f"{path}: is not a text file; a YAML file in UTF-8 is expected") from error
    except OSError as error:
        raise SpecError(f"{path}: cannot be read: {error.strerror}") from error
    return parse_document(text, str(path))


def parse_document(text: str, source: str) -> Document:
    """Parse YAML text; see `read_document`."""
    document = Document(source, {}, is_resolved=text.startswith(HEADER))
    tree = _Reader(document).read(text)
    if not isinstance(tree, dict):
        found = "nothing" if tree is None else "a list" if isinstance(tree, list) else "a single value"
        raise SpecError(f"{source}: must hold `key: value` pairs, holds {found}")
    document.tree = tree
    return document


def parse_value(text: str, label: str) -> Any:
    """Read the value of a `--set` as YAML would: `8`, `true`, `[3, 5]`, `{train: 0.8}`, or text.

    Raises:
        SpecError: if it is no value.
    """
    return _Reader(Document(label, {}), numbered=False).read(text)


_LARGEST_FILE, _MOST_VALUES, _LARGEST_NUMBER = 1_000_000, 100_000, 10**300
_STANDARD = "tag:yaml.org,2002:"
_TEXT = ("str", "value", "merge")  # the last two are what YAML calls `=` and `<<`
_SCALARS = (*_TEXT, "int", "float", "bool", "null", "timestamp")
_TAGS = {yaml.MappingNode: ("map",), yaml.SequenceNode: ("seq",), yaml.ScalarNode: _SCALARS}


@dataclass(frozen=True)
class _Reader:
    """Turns YAML text into plain values, noting the line of every field.

    Attributes:
        document: where the lines go, and what words the mistakes.
        numbered: whether lines mean anything; they do not in a value from the command line.
    """

    document: Document
    numbered: bool = True
    count: Iterator[int] = field(default_factory=count)

    def read(self, text: str) -> Any:
        try:
            node = yaml.compose(text, Loader=yaml.SafeLoader)
            return None if node is None else self.construct(node, (), frozenset())
        except yaml.MarkedYAMLError as error:
            mark, what = explain(error, text, numbered=self.numbered)
            place = self.line(mark) if mark else ""
            raise SpecError(self.document.mistake_at(place, (), what)) from error
        except yaml.reader.ReaderError as error:
            line = len(text[: error.position + 1].splitlines())
            what = f"is not a text file: it holds the character #x{error.character:04x}"
            raise SpecError(self.document.mistake_at(f"line {line}" if self.numbered else "", (), what)) from error
        except RecursionError as error:
            raise SpecError(f"{self.document.source}: is nested too deeply to be read") from error

    def line(self, mark: yaml.Mark) -> str:
        return f"line {mark.line + 1}" if self.numbered else ""

    def construct(self, node: yaml.Node, location: Location, above: frozenset[int]) -> Any:
        self.document.places.setdefault(location, self.line(node.start_mark))
        if next(self.count) > _MOST_VALUES:
            raise SpecError(f"{self.document.source}: grows to more than {_MOST_VALUES:,} values by its aliases")
        if id(node) in above:
            raise SpecError(self.document.mistake(location, "an alias that contains itself; write it out"))
        above = above | {id(node)}
        if node.tag.removeprefix(_STANDARD) not in _TAGS[type(node)]:
            what = f"the tag {node.tag.replace(_STANDARD, '!!', 1)} is not read; write a plain value"
            raise SpecError(self.document.mistake_at(self.line(node.start_mark), location, what))
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, location, above)
        if isinstance(node, yaml.SequenceNode):
            return [self.construct(item, (*location, i), above) for i, item in enumerate(node.value)]
        return self.scalar(node, location)

    def mapping(self, node: yaml.MappingNode, location: Location, above: frozenset[int]) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        places = self.document.places
        for key_node, value_node in node.value:
            line = self.line(key_node.start_mark)
            if not isinstance(key_node, yaml.ScalarNode):
                raise SpecError(self.document.mistake_at(line, (), "a key must be a word"))
            if key_node.tag == f"{_STANDARD}merge":
                what = "merge keys (<<) are not read; write the fields out"
                raise SpecError(self.document.mistake_at(line, (), what))
            key = str(key_node.value)
            here = (*location, key)
            if key in mapping:
                first = f", first in {places[here]}" if places[here] else ""
                raise SpecError(self.document.mistake_at(line, here, f"is given twice{first}; keep one"))
            places[here] = line
            mapping[key] = self.construct(value_node, here, above)
        return mapping

    def scalar(self, node: yaml.Node, location: Location) -> Any:
        kind, text = node.tag.removeprefix(_STANDARD), str(node.value)
        if any("\ud800" <= letter <= "\udfff" for letter in text):
            raise SpecError(self.document.mistake(location, "holds half of a surrogate pair, which is no character"))
        if kind in _TEXT:
            return text
        if kind == "timestamp":
            raise SpecError(self.document.mistake(location, f"YAML takes {text} for a date; put it in quotes"))
        try:
            value = yaml.SafeLoader("").construct_object(node)
            if isinstance(value, int) and abs(value) >= _LARGEST_NUMBER:
                raise ValueError
        except (yaml.YAMLError, ValueError, LookupError) as error:
            what = f"cannot be read as a plain value ({kind} '{cut(text)}')"
            raise SpecError(self.document.mistake(location, what)) from error
        base = _hidden_base(kind, text)
        if base:
            what = f"YAML takes {text} for {value}, a number in base {base}; write it out"
            raise SpecError(self.document.mistake(location, what))
        return value


def _hidden_base(kind: str, text: str) -> int | None:
    """The base that YAML 1.1 gives a number which nobody meant: 1:30 is 90, and 010 is 8."""
    if kind in ("int", "float") and ":" in text:
        return 60
    return 8 if kind == "int" and re.fullmatch(r"[-+]?0[0-7_]+", text) else None
