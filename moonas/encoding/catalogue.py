"""From a name to the search space, or the known network, that goes by it."""

from __future__ import annotations

from pathlib import Path

from moonas.encoding.encoding import Encoding
from moonas.errors import SpecError
from moonas.network.architecture import Architecture
from moonas.registry import ENCODINGS
from moonas.spec.encoding import load_encoding
from moonas.spec.family import EncodingSpec


def encoding_of(spec: EncodingSpec) -> Encoding:
    """Make the encoding that a file spells out."""
    encoding: Encoding = ENCODINGS.load(spec.family)(spec.tree())
    return encoding


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
