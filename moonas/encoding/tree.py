"""Trees of choices, as encoding files give them: tuples are genes, scalars are fixed, dicts and lists are structure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from moonas.encoding.encoding import Gene


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


def fill(tree: Any, choices: Iterator[Any]) -> Any:
    """The tree with each gene replaced by the next of `choices`, in the order of `find_genes`."""
    if isinstance(tree, tuple):
        return next(choices)
    if isinstance(tree, Mapping):
        return {key: fill(below, choices) for key, below in tree.items()}
    if isinstance(tree, list):
        return [fill(below, choices) for below in tree]
    return tree
