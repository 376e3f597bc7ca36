"""What an encoding file of the family `transformer` may say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from moonas.spec.family import EncodingSpec
from moonas.spec.gene import gene, number, one_of, whole
from moonas.spec.staged_cnn import Chance, Width
from moonas.spec.validation import LISTED, SOME, Mistake, SpecModel

POOLINGS = ("class_token", "mean")


class LayerSpec(SpecModel):
    """One layer: attention, then a perceptron of `mlp_ratio` times the embedding width."""

    heads: Annotated[Any, gene(whole(1, 256))]
    mlp_ratio: Annotated[Any, gene(number(0.25, 16))] = 4


class TransformerSpec(EncodingSpec):
    """The whole of an encoding file of the family `transformer`.

    Attributes:
        patch: pixels of a side of a patch, or steps of a sequence.
        width: of the embedding.
        head_width: of each head, whatever the embedding's.
        depth: layers.
        layers: one, of which all layers are; or as many as the greatest depth, each with genes of its own.
    """

    family: Literal["transformer"]
    patch: Annotated[Any, gene(whole(1, 256))]
    width: Width
    head_width: Annotated[Any, gene(whole(1, 1024))] = 64
    depth: Annotated[Any, gene(whole(1, 200))]
    layers: Annotated[tuple[LayerSpec, ...], LISTED, SOME]
    pooling: Annotated[Any, gene(one_of(*POOLINGS))] = "class_token"
    dropout: Chance = 0
    drop_path: Chance = 0

    def tree(self) -> dict[str, Any]:
        """The choices; see `EncodingSpec.tree`."""
        tree = super().tree()
        return {**tree, "layers": list(tree["layers"])}

    def narrowed(self, choices: Mapping[str, Sequence[Any]]) -> Self:
        """The same, but for the choices of some genes; layers beyond the greatest depth go."""
        deepest = max(choices.get("depth", (len(self.layers),)))
        return super(TransformerSpec, self.model_copy(update={"layers": self.layers[:deepest]})).narrowed(choices)

    def mistakes(self) -> Iterator[Mistake]:
        """Refuse layers that are neither one nor as many as there may be."""
        deepest = max(self.depth) if isinstance(self.depth, tuple) else self.depth
        if len(self.layers) not in (1, deepest):
            yield (
                ("layers",),
                f"must hold one layer for all, or {deepest}, the greatest depth; holds {len(self.layers)}",
            )
