"""The search space of NAS-Bench-201."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from moonas.encoding.encoding import Genotype
from moonas.encoding.tree import TreeEncoding, choices_of
from moonas.errors import EncodingError
from moonas.network.architecture import Architecture
from moonas.network.nas_bench_201 import EDGES, Form, NASBench201, form

_NAMES = tuple(f"from_{source}_to_{target}" for source, target in EDGES)
_OUTPUT = 3


class NASBench201Encoding(TreeEncoding):
    """Cells of NAS-Bench-201. Decoded cells are simplified: cells that compute the same are one architecture."""

    def describe(self, chosen: Mapping[str, Any]) -> NASBench201:
        """Turn the tree, each gene replaced by a choice, into a network."""
        cell = tuple(chosen["edges"][name] for name in _NAMES)
        return NASBench201(cell, chosen["channels"], chosen["cells"]).simplified

    def choose(self, architecture: Architecture) -> dict[str, int] | None:
        """Find the first cell of this space that computes the same."""
        if not isinstance(architecture, NASBench201):
            raise EncodingError(f"{type(architecture).__name__} is not a network of NAS-Bench-201")
        frame = {"channels": architecture.channels, "cells": architecture.cells}
        fitting, edges = self.fit("", self.tree, frame), self._first.get(form(architecture.cell))
        return None if fitting is None or edges is None else fitting | edges

    def active(self, genotype: Genotype) -> tuple[bool, ...]:
        """Edges into nodes from which no edges lead to the output are inactive."""
        values = {**self.tree["edges"], **self._chosen_edges(genotype)}
        useful = {_OUTPUT}
        for (source, target), name in reversed(list(zip(EDGES, _NAMES, strict=True))):  # targets before their sources
            if target in useful and values[name] != "none":
                useful.add(source)
        idle = {f"edges.{name}" for (_, target), name in zip(EDGES, _NAMES, strict=True) if target not in useful}
        return tuple(gene.name not in idle for gene in self.genes)

    def _chosen_edges(self, genotype: Genotype) -> dict[str, Any]:
        values = self.values(genotype).items()
        return {name.removeprefix("edges."): value for name, value in values if name.startswith("edges.")}

    @cached_property
    def _first(self) -> Mapping[Form, dict[str, int]]:
        """What the cells of this space compute, and the first choices that do."""
        offered = [choices_of(self.tree["edges"][name]) for name in _NAMES]
        first: dict[Form, dict[str, int]] = {}
        for numbered in itertools.product(*(tuple(enumerate(choices)) for choices in offered)):
            indices = {f"edges.{name}": index for name, (index, _) in zip(_NAMES, numbered, strict=True)}
            first.setdefault(form([operation for _, operation in numbered]), self.of_genes(indices))
        return first
