"""The search space of staged CNNs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from moonas.encoding.encoding import Encoding, Gene, Genotype
from moonas.encoding.tree import fill, find_genes
from moonas.errors import EncodingError
from moonas.network.architecture import Architecture
from moonas.network.staged_cnn import Stage, StagedCNN, Stem


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
        stem = self._choose("stem", self._tree["stem"], vars(architecture.stem))
        head = self._choose("head", self._tree["head"], {"width": architecture.head_width})
        stages = self._place(architecture.stages)
        if stem is None or head is None or stages is None:
            raise EncodingError(f"{architecture.key} lies outside of this search space")
        chosen = stem | stages | head
        return tuple(chosen.get(gene.name, 0) for gene in self._genes)

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

    def _place(self, stages: Sequence[Stage]) -> dict[str, int] | None:
        """Fit `stages` into slots, the earliest possible ones, leaving out what may be.

        Returns:
            The index of the choice of each gene that it takes, by the gene's name; None if they do not fit.
        """
        slots = self._tree["stages"]

        @cache  # slots that look alike would be tried over and over
        def place(slot: int, stage: int) -> dict[str, int] | None:
            if slot == len(slots):
                return {} if stage == len(stages) else None
            present = [(_fields(each), stage + 1) for each in stages[stage : stage + 1]]
            for fields, following in [*present, ({"depth": 0}, stage)]:
                here = self._choose(f"stages.{slot}", slots[slot], fields)
                rest = None if here is None else place(slot + 1, following)
                if here is not None and rest is not None:
                    return here | rest
            return None

        return place(0, 0)

    def _choose(self, at: str, part: dict[str, Any], fields: dict[str, Any]) -> dict[str, int] | None:
        """The choices, by the gene's name, with which a part of the tree takes the values of `fields`; None if none."""
        chosen = {}
        for name, value in fields.items():
            choices = part[name]
            if not isinstance(choices, tuple):
                if choices != value:
                    return None
            elif value in choices:
                chosen[f"{at}.{name}"] = choices.index(value)
            else:
                return None
        return chosen


def _fields(stage: Stage) -> dict[str, Any]:
    """The fields of a stage that a slot must offer."""
    fields = dict(vars(stage))
    if stage.block != "inverted_residual":
        del fields["expansion"]
    return fields


def _stage(*, block: str, expansion: int, **fields: int) -> Stage:
    return Stage(block=block, expansion=expansion if block == "inverted_residual" else 1, **fields)
