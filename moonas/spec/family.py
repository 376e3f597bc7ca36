"""What all encoding files have in common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

import yaml
from pydantic import ConfigDict, Field

from moonas.spec.data import TaskSpec
from moonas.spec.document import Location
from moonas.spec.gene import repeated
from moonas.spec.validation import Mistake, SpecModel
from moonas.spec.wording import shown


class EncodingSpec(SpecModel):
    """An encoding file; each family has a subclass with its own choices.

    Attributes:
        name: the file's, unless it says otherwise.
        family: the kind of networks that it describes.
        task: what its networks are published for, or made for; any other serves as well.
    """

    name: str
    family: str
    task: TaskSpec | None = None

    def tree(self) -> dict[str, Any]:
        """The choices as nested dicts: tuples are genes, scalars are fixed, lists are sequences."""
        return self.model_dump(exclude={"name", "family", "task"})

    def narrowed(self, choices: Mapping[str, Sequence[Any]]) -> Self:
        """The same, but for the choices of some genes.

        Args:
            choices: gene name -> what it may still choose; a single choice is fixed.
        """
        return type(self).model_validate(_narrowed(self.model_dump(), choices))

    def to_yaml(self) -> str:
        """The content of a file that says the same, defaults left out."""
        tree = self.model_dump(mode="json", exclude={"name"}, exclude_defaults=True)
        text: str = yaml.safe_dump(tree, sort_keys=False, allow_unicode=True, width=110, default_flow_style=None)
        return text


def _narrowed(tree: Any, choices: Mapping[str, Sequence[Any]], path: tuple[str, ...] = ()) -> Any:
    if isinstance(tree, Mapping):
        return {key: _narrowed(below, choices, (*path, str(key))) for key, below in tree.items()}
    if isinstance(tree, list | tuple):
        kept = choices.get(".".join(path))
        if kept is not None:
            return kept[0] if len(kept) == 1 else list(kept)
        return [_narrowed(below, choices, (*path, str(i))) for i, below in enumerate(tree)]
    return tree


class OwnFamilySpec(EncodingSpec):
    """An encoding file of a family that moonas does not ship: any tree of choices, which that family's class reads."""

    model_config = ConfigDict(extra="allow")

    def tree(self) -> dict[str, Any]:
        """The choices; see `EncodingSpec.tree`."""
        return {key: _genes_as_tuples(value) for key, value in super().tree().items()}

    def mistakes(self) -> Iterator[Mistake]:
        """Refuse lists that are neither genes nor sequences."""
        yield from _wrong_lists(self.model_extra or {}, ())


def _genes_as_tuples(tree: Any) -> Any:
    if isinstance(tree, Mapping):
        return {key: _genes_as_tuples(below) for key, below in tree.items()}
    if isinstance(tree, list | tuple):
        below = [_genes_as_tuples(item) for item in tree]
        return below if isinstance(tree[0], Mapping) else tuple(below)
    return tree


def _wrong_lists(tree: Any, location: Location) -> Iterator[Mistake]:
    if isinstance(tree, Mapping):
        for key, below in tree.items():
            yield from _wrong_lists(below, (*location, key))
    elif isinstance(tree, list | tuple):
        mappings = [isinstance(item, Mapping) for item in tree]
        if not tree:
            yield location, "an empty list offers no choice; give at least one value"
        elif all(mappings):
            for i, below in enumerate(tree):
                yield from _wrong_lists(below, (*location, i))
        elif any(mappings) or any(isinstance(item, list | tuple) for item in tree):
            yield location, f"must hold choices (numbers, words, true, false) or mappings, is {shown(tree)}"
        elif twice := repeated(tree):
            yield location, f"offers {twice[0]} twice; keep one"
    elif tree is None:
        yield location, "is empty; give a value, or a list of values to choose from"


class FactorySpec(SpecModel):
    """An encoding of the user's own: `name` is the dotted path of what makes it, `options` its arguments."""

    name: str
    options: dict[str, Any] = Field(default_factory=dict)
