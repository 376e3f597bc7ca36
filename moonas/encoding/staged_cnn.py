"""The search space of staged CNNs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from moonas.architecture.architecture import Architecture
from moonas.architecture.staged_cnn import Stage, StagedCNN, Stem
from moonas.encoding.encoding import Encoding, Gene, Genotype
from moonas.encoding.tree import fill, find_genes
from moonas.errors import EncodingError


class StagedCNNEncoding(Encoding):
    """Staged CNNs whose description is a tree of choices.

    Stages of depth 0 are left out, and with them all their other genes become inactive; expansion is active in
    inverted residual blocks only. Where several slots could hold the same stages, the earliest ones are canonical.
    """

    def __init__(self, tree: dict[str, Any]):
        """Take the tree of an encoding file: `stem`, `stages`, `head`, tuples being genes."""
        self._tree = tree
        self._genes = tuple(find_genes(tree))
        self._index = {gene.name: i for i, gene in enumerate(self._genes)}

    @property
    def genes(self) -> tuple[Gene, ...]:
        """The genes in the order in which the file lists them."""
        return self._genes

    def decode(self, genotype: Genotype) -> StagedCNN:
        """Turn a genotype into a network."""
        self.check(genotype)
        chosen = fill(self._tree, iter(self.values(genotype).values()))
        stages = (_stage(**fields) for fields in chosen["stages"] if fields["depth"] > 0)
        return StagedCNN(Stem(**chosen["stem"]), tuple(stages), chosen["head"]["width"])

    def encode(self, architecture: Architecture) -> Genotype:
        """Return the canonical genotype: inactive genes take their first choice."""
        if not isinstance(architecture, StagedCNN):
            raise EncodingError(f"{type(architecture).__name__} is not a staged CNN")
        genotype = [0] * len(self._genes)
        found = (
            self._choose(genotype, "stem", self._tree["stem"], vars(architecture.stem))
            and self._choose(genotype, "head", self._tree["head"], {"width": architecture.head_width})
            and self._place(genotype, 0, architecture.stages)
        )
        if not found:
            raise EncodingError(f"{architecture.key} lies outside of this search space")
        return tuple(genotype)

    def active(self, genotype: Genotype) -> tuple[bool, ...]:
        """Genes of absent stages are inactive, but for the depth; so is an expansion that no block uses."""
        values = self.values(genotype)
        active = [True] * len(self._genes)
        for slot, stage in enumerate(self._tree["stages"]):
            block = values.get(f"stages.{slot}.block", stage["block"])
            depth = values.get(f"stages.{slot}.depth", stage["depth"])
            for field in stage:
                i = self._index.get(f"stages.{slot}.{field}")
                if i is not None:
                    present = depth > 0 and (field != "expansion" or block == "inverted_residual")
                    active[i] = field == "depth" or present
        return tuple(active)

    def _place(self, genotype: list[int], slot: int, stages: Sequence[Stage]) -> bool:
        """Fit `stages` into the slots from `slot` on, the earliest possible ones, leaving out what may be."""
        slots = self._tree["stages"]
        if slot == len(slots):
            return not stages
        at = f"stages.{slot}"
        if stages:
            fields = vars(stages[0])
            if stages[0].block != "inverted_residual":
                fields = {name: value for name, value in fields.items() if name != "expansion"}
            before = genotype.copy()
            if self._choose(genotype, at, slots[slot], fields) and self._place(genotype, slot + 1, stages[1:]):
                return True
            genotype[:] = before
        absent = self._choose(genotype, at, slots[slot], {"depth": 0})
        return absent and self._place(genotype, slot + 1, stages)

    def _choose(self, genotype: list[int], at: str, slot: dict[str, Any], fields: dict[str, Any]) -> bool:
        """Set the genes of one part so that it takes the values of `fields`; tell whether it can."""
        for name, value in fields.items():
            choices = slot[name]
            if not isinstance(choices, tuple):
                if choices != value:
                    return False
            elif value in choices:
                genotype[self._index[f"{at}.{name}"]] = choices.index(value)
            else:
                return False
        return True


def _stage(*, block: str, expansion: int, **fields: int) -> Stage:
    return Stage(block=block, expansion=expansion if block == "inverted_residual" else 1, **fields)
