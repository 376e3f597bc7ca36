"""The abstraction of a search space: genes, and the way between genotypes and architectures."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from moonas.errors import EncodingError
from moonas.network.architecture import Architecture

Genotype = tuple[int, ...]
"""For each gene, the index of one of its choices."""


@dataclass(frozen=True)
class Gene:
    """One decision.

    Attributes:
        name: a column of the CSVs.
        choices: what may be chosen, numbers or words.
        ordered: whether neighbouring choices are alike, so that a mutation may step.
    """

    name: str
    choices: tuple[Any, ...]
    ordered: bool = False


class Encoding(ABC):
    """A search space.

    Laws, checked by `moonas.testing.check_encoding`: `decode` is total; `decode(encode(a)) == a`; genotypes that differ
    only in inactive genes decode to equal architectures.
    """

    @property
    @abstractmethod
    def genes(self) -> tuple[Gene, ...]:
        """The genes, in the order of the genotype."""

    @abstractmethod
    def decode(self, genotype: Genotype) -> Architecture:
        """Turn a genotype into the architecture that it stands for."""

    @abstractmethod
    def encode(self, architecture: Architecture) -> Genotype:
        """Return the one canonical genotype of an architecture.

        Raises:
            EncodingError: if the architecture lies outside of the space.
        """

    def active(self, genotype: Genotype) -> tuple[bool, ...]:
        """Tell for each gene whether changing it alone can change the architecture."""
        return (True,) * len(genotype)

    @cached_property
    def sizes(self) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """The number of choices of each gene, (genes,)."""
        return np.array([len(gene.choices) for gene in self.genes], dtype=np.int64)

    @property
    def extent(self) -> str:
        """How many genotypes there are, in words."""
        exponent = float(np.log10(self.sizes.astype(float)).sum())
        count = f"{10**exponent:,.0f}" if exponent < 6 else f"10^{exponent:.1f}"
        return f"{count} genotype{'s' * (count != '1')}"

    def canonical(self, genotype: Genotype) -> Genotype:
        """The canonical genotype of the same architecture."""
        return self.encode(self.decode(genotype))

    def sample(self, random: np.random.Generator) -> Genotype:
        """Draw a genotype, each choice of each gene being equally likely."""
        return tuple(int(index) for index in random.integers(self.sizes))

    def values(self, genotype: Genotype) -> dict[str, Any]:
        """The choice that each gene stands for, by the gene's name."""
        return {gene.name: gene.choices[index] for gene, index in zip(self.genes, genotype, strict=True)}

    def check(self, genotype: Genotype) -> None:
        """Raise EncodingError unless `genotype` has one valid index for each gene."""
        if len(genotype) != len(self.genes):
            raise EncodingError(f"a genotype of this encoding has {len(self.genes)} genes, not {len(genotype)}")
        for gene, index in zip(self.genes, genotype, strict=True):
            if not 0 <= index < len(gene.choices):
                raise EncodingError(f"gene {gene.name} has choices 0 to {len(gene.choices) - 1}, not {index}")
