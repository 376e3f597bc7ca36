"""From a name to the search space, or the known network, that goes by it."""

from __future__ import annotations

from pathlib import Path

from moonas.encoding.encoding import Encoding
from moonas.encoding.tree import TreeEncoding
from moonas.errors import SpecError, one_line, place_in_users_code
from moonas.network.architecture import Architecture
from moonas.registry import ENCODINGS
from moonas.spec.encoding import load_encoding
from moonas.spec.family import EncodingSpec


def encoding_of(spec: EncodingSpec) -> Encoding:
    """Make the encoding that a file spells out.

    Raises:
        SpecError: if its family is one of the user's own, and gives none.
    """
    family, what = ENCODINGS.load(spec.family), f"encoding family {spec.family}"
    if not isinstance(family, type) or not issubclass(family, TreeEncoding):
        raise SpecError(f"{what}: must be a subclass of moonas.TreeEncoding, is {family!r}")
    try:
        encoding = family(spec.tree())
        _ = encoding.genes  # which a class has that forgets to call its parent's __init__
    except (Exception, SystemExit) as error:  # whatever a class of the user's own raises
        raise SpecError(f"{what}: {one_line(error)}{place_in_users_code(error)}") from error
    return encoding


def search_space(name: str | Path) -> Encoding:
    """Return a search space by its name, as `mobile`; `moonas list encodings` lists them.

    Args:
        name: of a shipped file, of one in ./encodings, or a path.

    Raises:
        UnknownNameError: if there is no such file.
        SpecError: if it is wrong.
    """
    return encoding_of(load_encoding(str(name)))


def architecture(name: str | Path) -> Architecture:
    """Return a network that everybody knows, as `resnet18`; `moonas list architectures` lists them.

    A known network is an encoding file without genes, so a file of your own serves as well.

    Args:
        name: of a shipped file, or a path.

    Raises:
        UnknownNameError: if there is no such file.
        SpecError: if it is wrong, or leaves a choice.
    """
    encoding = encoding_of(load_encoding(str(name), kind="architectures"))
    if encoding.genes:
        gene = encoding.genes[0]
        raise SpecError(f"{name}, {gene.name}: an architecture has one value here, and no list; keep one")
    return encoding.decode(())
