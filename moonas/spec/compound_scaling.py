"""What an encoding file of the family `compound_scaling` may say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from moonas.spec.family import EncodingSpec
from moonas.spec.gene import gene, number, whole
from moonas.spec.staged_cnn import StagedCNNSpec
from moonas.spec.validation import Mistake

Factor = Annotated[Any, gene(number(0.1, 10))]


class CompoundScalingSpec(EncodingSpec):
    """The whole of an encoding file of the family `compound_scaling`.

    Attributes:
        base: a known network, which the file may name instead.
        width: factors of the channels.
        depth: factors of the blocks of a stage.
        resolution: pixels of the shorter side of the input; 0 takes it as it is.
    """

    family: Literal["compound_scaling"]
    base: StagedCNNSpec
    width: Factor = 1
    depth: Factor = 1
    resolution: Annotated[Any, gene(whole(0, 4096))] = 0

    def tree(self) -> dict[str, Any]:
        """The choices; see `EncodingSpec.tree`."""
        return {**super().tree(), "base": self.base.tree()}

    def mistakes(self) -> Iterator[Mistake]:
        """Refuse a base that leaves a choice."""
        yield from _lists(self.base.tree(), ("base",))


def _lists(tree: Any, location: tuple[str | int, ...]) -> Iterator[Mistake]:
    if isinstance(tree, tuple):
        yield location, "the base is one network, so this has one value, and no list; keep one"
    below = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in below:
        yield from _lists(value, (*location, key))
