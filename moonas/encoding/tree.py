"""Trees of choices, as encoding files give them: tuples are genes, scalars are fixed, dicts and lists are structure."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from moonas.encoding.encoding import Encoding, Gene, Genotype
from moonas.errors import EncodingError
from moonas.network.architecture import Architecture


def find_genes(tree: Any, path: tuple[str, ...] = ()) -> Iterator[Gene]:
    """All genes of a tree in reading order, named by their dotted path."""
    if isinstance(tree, tuple):
        yield Gene(".".join(path), tree, _is_ordered(tree))
    elif isinstance(tree, Mapping):
        for key, below in tree.items():
            yield from find_genes(below, (*path, str(key)))
    elif isinstance(tree, list):
        for i, below in enumerate(tree):
            yield from find_genes(below, (*path, str(i)))


def _is_ordered(choices: tuple[Any, ...]) -> bool:
    """Numbers that rise or fall are neighbours; words, truth values and shuffled numbers are not."""
    numeric = all(isinstance(choice, int | float) and not isinstance(choice, bool) for choice in choices)
    return numeric and list(choices) in (sorted(choices), sorted(choices, reverse=True))


def choices_of(value: Any) -> tuple[Any, ...]:
    """What a value of a tree offers: the choices of a gene, or the one value that is fixed."""
    return value if isinstance(value, tuple) else (value,)


def fill(tree: Any, choices: Iterator[Any]) -> Any:
    """The tree with each gene replaced by the next of `choices`, in the order of `find_genes`."""
    if isinstance(tree, tuple):
        return next(choices)
    if isinstance(tree, Mapping):
        return {key: fill(below, choices) for key, below in tree.items()}
    if isinstance(tree, list):
        return [fill(below, choices) for below in tree]
    return tree


class TreeEncoding(Encoding):
    """A search space that a tree of choices spells out, as an encoding file gives it.

    Subclasses say how a tree, chosen from, becomes an architecture (`describe`), and the way back (`choose`).
    """

    def __init__(self, tree: Mapping[str, Any]):
        """Take the tree: tuples are genes, lists are sequences, dicts are structure, all else is fixed.

        Raises:
            EncodingError: if two genes get the same name.
        """
        self.tree = tree
        self._genes = tuple(find_genes(tree))
        names = [gene.name for gene in self._genes]
        for name in names:
            if names.count(name) > 1:
                raise EncodingError(f"two genes are called {name}; rename one")

    @property
    def genes(self) -> tuple[Gene, ...]:
        """The genes in the order in which the file lists them."""
        return self._genes

    @abstractmethod
    def describe(self, chosen: Mapping[str, Any]) -> Architecture:
        """Turn the tree, each gene replaced by one of its choices, into an architecture."""

    @abstractmethod
    def choose(self, architecture: Architecture) -> dict[str, int] | None:
        """Find the choices that stand for an architecture.

        Returns:
            The index of the choice by the gene's name; genes that do not matter may be left out. None if the
            architecture lies outside of the space.

        Raises:
            EncodingError: if it is of another family.
        """

    def decode(self, genotype: Genotype) -> Architecture:
        """Turn a genotype into an architecture."""
        self.check(genotype)
        architecture = self.describe(fill(self.tree, iter(self.values(genotype).values())))
        if not isinstance(architecture, Architecture):
            raise EncodingError(f"describe must give a moonas.Architecture, gives {architecture!r}")
        return architecture

    def encode(self, architecture: Architecture) -> Genotype:
        """Return the canonical genotype: inactive genes take their first choice."""
        chosen = self.choose(architecture)
        if chosen is None:
            raise EncodingError(f"{architecture.key} lies outside of this search space")
        unknown = chosen.keys() - {gene.name for gene in self._genes}
        if unknown:
            raise EncodingError(f"choose names {', '.join(sorted(unknown))}, which is no gene of this search space")
        return tuple(chosen.get(gene.name, 0) for gene in self._genes)

    def of_genes(self, choices: Mapping[str, int]) -> dict[str, int]:
        """Those of the choices that are of genes, and not of what is fixed."""
        return {gene.name: choices[gene.name] for gene in self._genes if gene.name in choices}

    def fit(self, at: str, part: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, int] | None:
        """The choices with which a part of the tree takes the values of `fields`.

        Args:
            at: the dotted path of the part; empty for the tree itself.
            part: the part.
            fields: the values wanted of it, by name; mappings for what is a mapping there, and a list of mappings, not
                longer, for what is a list of mappings.

        Returns:
            The index of the choice by the gene's name; None if some value is neither fixed nor to be chosen.
        """
        return merged(self._fit(f"{at}.{name}" if at else name, part[name], value) for name, value in fields.items())

    def _fit(self, at: str, offered: Any, value: Any) -> dict[str, int] | None:
        if isinstance(offered, Mapping) and isinstance(value, Mapping):
            return self.fit(at, offered, value)
        if isinstance(offered, list) and isinstance(value, list | tuple):
            if len(value) > len(offered):
                return None
            return merged(self._fit(f"{at}.{i}", *pair) for i, pair in enumerate(zip(offered, value, strict=False)))
        if isinstance(offered, tuple):
            return {at: offered.index(value)} if value in offered else None
        return {} if offered == value else None


def merged(parts: Iterable[Mapping[str, int] | None]) -> dict[str, int] | None:
    """The choices of all parts; None if some part has none."""
    chosen: dict[str, int] = {}
    for part in parts:
        if part is None:
            return None
        chosen |= part
    return chosen
