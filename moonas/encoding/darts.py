"""The search space of DARTS."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from moonas.encoding.encoding import Genotype
from moonas.encoding.tree import TreeEncoding, choices_of, merged
from moonas.errors import EncodingError
from moonas.network.architecture import Architecture
from moonas.network.darts import DARTS, WITHOUT_WEIGHTS, Cell, Node, Nodes, node_of, orders
from moonas.spec.darts import sources

_CELLS = ("normal", "reduction")
_WHOLE = ("channels", "cells", "auxiliary", "drop_path")
_MAY_VANISH = WITHOUT_WEIGHTS | {"none"}


class DARTSEncoding(TreeEncoding):
    """Networks of a normal and a reduction cell. Decoded cells are simplified: equal graphs are one architecture."""

    def describe(self, chosen: Mapping[str, Any]) -> DARTS:
        """Turn the tree, each gene replaced by a choice, into a network."""
        normal, reduction = (tuple(_node(part) for part in chosen[name]) for name in _CELLS)
        return DARTS(normal, reduction, **{name: chosen[name] for name in _WHOLE}).simplified

    def choose(self, architecture: Architecture) -> dict[str, int] | None:
        """Find choices whose cells simplify to those of a network."""
        if not isinstance(architecture, DARTS):
            raise EncodingError(f"{type(architecture).__name__} is not a network of DARTS")
        network = architecture.simplified
        parts = [
            self.fit("", self.tree, {name: getattr(network, name) for name in _WHOLE}),
            *(_fit_cell(name, self.tree[name], getattr(network, name)) for name in _CELLS),
        ]
        chosen = merged(parts)
        return None if chosen is None else self.of_genes(chosen)

    def active(self, genotype: Genotype) -> tuple[bool, ...]:
        """The inputs of a node neither of whose operations reads them are inactive."""
        values = self.values(genotype)
        idle = {
            f"{name}.{i}.inputs"
            for name in _CELLS
            for i, part in enumerate(self.tree[name])
            if all(values.get(f"{name}.{i}.{at}", part[at]) == "none" for at in ("first", "second"))
        }
        return tuple(gene.name not in idle for gene in self.genes)


def _node(chosen: Mapping[str, Any]) -> Node:
    return node_of(_edges(chosen["inputs"], chosen["first"], chosen["second"]))


def _edges(inputs: str, first: str, second: str) -> list[tuple[int, str]]:
    return list(zip(sources(inputs), (first, second), strict=True))


def _fit_cell(name: str, offered: Sequence[Mapping[str, Any]], cell: Cell) -> dict[str, int] | None:
    """The choices for a cell, its nodes in the first order for which there are any."""
    if len(offered) != len(cell):
        return None
    for order in orders(cell):
        nodes = Nodes(reduces=name == "reduction")
        parts: list[dict[str, int] | None] = []
        for i, (part, node) in enumerate(zip(offered, order, strict=True)):
            parts.append(_fit_node(f"{name}.{i}", part, node, nodes))
            nodes.add(node)
        fitted = merged(parts)
        if fitted is not None:
            return fitted
    return None


def _fit_node(at: str, offered: Mapping[str, Any], node: Node, nodes: Nodes) -> dict[str, int] | None:
    """The first choices for a node that comes after `nodes`."""
    wanted = {how for _, how in node}
    likely = [
        [(i, how) for i, how in enumerate(choices_of(offered[name])) if how in wanted or how in _MAY_VANISH]
        for name in ("first", "second")
    ]
    for i, inputs in enumerate(choices_of(offered["inputs"])):
        for (j, first), (k, second) in itertools.product(*likely):
            if nodes.live(_edges(inputs, first, second)) == node:
                return {f"{at}.inputs": i, f"{at}.first": j, f"{at}.second": k}
    return None
