"""The search space of transformers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moonas.encoding.encoding import Genotype
from moonas.encoding.tree import TreeEncoding
from moonas.errors import EncodingError
from moonas.network.architecture import Architecture
from moonas.network.transformer import Layer, Transformer

_WHOLE = ("patch", "width", "head_width", "pooling", "dropout", "drop_path")


class TransformerEncoding(TreeEncoding):
    """Transformers, of equal layers or of layers that differ; genes of layers beyond the depth are inactive."""

    def describe(self, chosen: Mapping[str, Any]) -> Transformer:
        """Turn the tree, each gene replaced by a choice, into a network."""
        layers = [Layer(**layer) for layer in chosen["layers"]]
        repeated = layers * chosen["depth"] if len(layers) == 1 else layers[: chosen["depth"]]
        return Transformer(layers=tuple(repeated), **{name: chosen[name] for name in _WHOLE})

    def choose(self, architecture: Architecture) -> dict[str, int] | None:
        """Fit a network into the tree; see `TreeEncoding.choose`."""
        if not isinstance(architecture, Transformer):
            raise EncodingError(f"{type(architecture).__name__} is not a transformer")
        layers, offered = architecture.layers, self.tree["layers"]
        if len(offered) == 1 and len(set(layers)) > 1:
            return None
        whole = {name: getattr(architecture, name) for name in _WHOLE}
        described = [vars(layer) for layer in layers[: len(offered)]]
        return self.fit("", self.tree, {**whole, "depth": len(layers), "layers": described})

    def active(self, genotype: Genotype) -> tuple[bool, ...]:
        """Genes of layers beyond the depth are inactive."""
        depth = self.values(genotype).get("depth", self.tree["depth"])
        beyond = tuple(f"layers.{i}." for i in range(max(1, depth), len(self.tree["layers"])))
        return tuple(not gene.name.startswith(beyond) for gene in self.genes)
