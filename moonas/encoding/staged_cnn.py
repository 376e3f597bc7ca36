"""The search space of staged CNNs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from moonas.encoding.encoding import Genotype
from moonas.encoding.tree import TreeEncoding, merged
from moonas.errors import EncodingError
from moonas.network.architecture import Architecture
from moonas.network.staged_cnn import UNUSED, Head, Norm, Squeeze, Stage, StagedCNN, Stem
from moonas.spec.staged_cnn import USES

_WHOLE = ("resolution", "drop_path", "zero_gamma")


class StagedCNNEncoding(TreeEncoding):
    """Staged CNNs whose description is a tree of choices.

    Stages of depth 0 are left out, and with them all their other genes become inactive, as do genes of what a kind of
    block does not use. Where several slots could hold the same stages, the earliest ones are canonical.
    """

    def describe(self, chosen: Mapping[str, Any]) -> StagedCNN:
        """Turn the tree, each gene replaced by a choice, into a network."""
        return StagedCNN(
            Stem(**chosen["stem"]),
            tuple(_stage(fields) for fields in chosen["stages"] if fields["depth"] > 0),
            Head(**chosen["head"]),
            **{name: chosen[name] for name in _WHOLE},
            norm=Norm(**chosen["norm"]),
            squeeze=Squeeze(**chosen["squeeze"]),
        )

    def choose(self, architecture: Architecture) -> dict[str, int] | None:
        """Fit a network into the tree; see `TreeEncoding.choose`."""
        if not isinstance(architecture, StagedCNN):
            raise EncodingError(f"{type(architecture).__name__} is not a staged CNN")
        parts = [
            self.fit("", self.tree, {name: getattr(architecture, name) for name in _WHOLE}),
            *(self.fit(name, self.tree[name], vars(getattr(architecture, name))) for name in ("stem", "head")),
            *(self.fit(name, self.tree[name], vars(getattr(architecture, name))) for name in ("norm", "squeeze")),
            self._place(architecture.stages),
        ]
        return merged(parts)

    def active(self, genotype: Genotype) -> tuple[bool, ...]:
        """Genes of absent stages are inactive, but for the depth; so are those that the kind of block does not use."""
        values = self.values(genotype)
        inactive = set()
        for slot, stage in enumerate(self.tree["stages"]):
            at = f"stages.{slot}"
            if values.get(f"{at}.depth", stage["depth"]) == 0:
                unused = stage.keys() - {"depth"}
            else:
                unused = UNUSED.keys() - USES[values.get(f"{at}.block", stage["block"])]
            inactive |= {f"{at}.{field}" for field in unused}
        return tuple(gene.name not in inactive for gene in self.genes)

    def _place(self, stages: Sequence[Stage]) -> dict[str, int] | None:
        """Fit `stages` into slots, the earliest possible ones, leaving out what may be.

        Returns:
            The index of the choice of each gene that it takes, by the gene's name; None if they do not fit.
        """
        slots = self.tree["stages"]

        @cache  # slots that look alike would be tried over and over
        def place(slot: int, stage: int) -> dict[str, int] | None:
            if slot == len(slots):
                return {} if stage == len(stages) else None
            present = [(_fields(each), stage + 1) for each in stages[stage : stage + 1]]
            for fields, following in [*present, ({"depth": 0}, stage)]:
                here = self.fit(f"stages.{slot}", slots[slot], fields)
                rest = None if here is None else place(slot + 1, following)
                if here is not None and rest is not None:
                    return here | rest
            return None

        return place(0, 0)


def _fields(stage: Stage) -> dict[str, Any]:
    """The fields of a stage that a slot must offer."""
    unused = UNUSED.keys() - USES[stage.block]
    return {name: value for name, value in vars(stage).items() if name not in unused}


def _stage(fields: Mapping[str, Any]) -> Stage:
    return Stage(**{**fields, **{name: UNUSED[name] for name in UNUSED.keys() - USES[fields["block"]]}})
