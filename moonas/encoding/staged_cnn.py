"""The search space of staged CNNs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from moonas.encoding.encoding import Genotype
from moonas.encoding.tree import TreeEncoding, choices_of, merged
from moonas.errors import EncodingError
from moonas.network.architecture import Architecture
from moonas.network.staged_cnn import UNUSED, Head, Norm, Squeeze, Stage, StagedCNN, Stem, bottleneck_width
from moonas.spec.staged_cnn import USES

_WHOLE = ("resolution", "drop_path", "zero_gamma")
_PARTS = ("stem", "norm", "squeeze")


class StagedCNNEncoding(TreeEncoding):
    """Staged CNNs whose description is a tree of choices.

    Stages of depth 0 are left out, and with them all their other genes become inactive, as do genes of what a kind of
    block, or a head, does not use. A stage that only goes on with the one before is part of it, and ratios that round
    to the same channels are one. Where several slots could hold the same stages, the earliest ones are canonical.
    """

    def describe(self, chosen: Mapping[str, Any]) -> StagedCNN:
        """Turn the tree, each gene replaced by a choice, into a network."""
        written = as_written(chosen)
        return replace(written, stages=tuple(_joined(written.stages)))

    def choose(self, architecture: Architecture) -> dict[str, int] | None:
        """Fit a network into the tree; see `TreeEncoding.choose`."""
        if not isinstance(architecture, StagedCNN):
            raise EncodingError(f"{type(architecture).__name__} is not a staged CNN")
        fields: dict[str, Any] = {name: getattr(architecture, name) for name in _WHOLE}
        fields |= {name: vars(getattr(architecture, name)) for name in _PARTS}
        head = {name: value for name, value in vars(architecture.head).items() if name not in _idle(architecture.head)}
        return merged(
            [self.fit("", self.tree, {**fields, "head": head}), self._place(tuple(_joined(architecture.stages)))]
        )

    def active(self, genotype: Genotype) -> tuple[bool, ...]:
        """Genes of absent stages are inactive, but for the depth; so are those of what is not used."""
        values = self.values(genotype)
        inactive = set()
        for slot, stage in enumerate(self.tree["stages"]):
            at = f"stages.{slot}"
            if values.get(f"{at}.depth", stage["depth"]) == 0:
                unused = stage.keys() - {"depth"}
            else:
                unused = UNUSED.keys() - USES[values.get(f"{at}.block", stage["block"])]
            inactive |= {f"{at}.{field}" for field in unused}
        head = Head(**{name: values.get(f"head.{name}", value) for name, value in self.tree["head"].items()})
        inactive |= {f"head.{field}" for field in _idle(head)}
        return tuple(gene.name not in inactive for gene in self.genes)

    def _place(self, stages: Sequence[Stage]) -> dict[str, int] | None:
        """Fit `stages` into slots, the earliest possible ones, leaving out what may be.

        Returns:
            The index of the choice of each gene that it takes, by the gene's name; None if they do not fit.
        """
        slots = self.tree["stages"]

        @cache  # slots that look alike would be tried over and over
        def place(slot: int, stage: int, placed: int) -> dict[str, int] | None:
            """From this slot on, the blocks from this stage on, of which so many are placed."""
            if slot == len(slots):
                return {} if stage == len(stages) else None
            held: list[tuple[Stage | None, int, int]] = [(None, stage, placed)]  # what it may hold; where to go on
            if stage < len(stages):
                whole = stages[stage]
                left = replace(whole, depth=whole.depth - placed, stride=1 if placed else whole.stride)
                shorter = sorted(depth for depth in choices_of(slots[slot]["depth"]) if 0 < depth < left.depth)
                held += [(replace(left, depth=depth), stage, placed + depth) for depth in shorter]
                held.append((left, stage + 1, 0))
            for part, *following in reversed(held):
                fitting = self._hold(slot, part)
                rest = None if fitting is None else place(slot + 1, *following)
                if fitting is not None and rest is not None:
                    return fitting | rest
            return None

        return place(0, 0, 0)

    def _hold(self, slot: int, stage: Stage | None) -> dict[str, int] | None:
        """The choices with which a slot holds a stage, or none."""
        at, offered = f"stages.{slot}", self.tree["stages"][slot]
        if stage is None:
            return self.fit(at, offered, {"depth": 0})
        unused = UNUSED.keys() - USES[stage.block]
        fields = {name: value for name, value in vars(stage).items() if name not in unused}
        if "bottleneck_ratio" in fields:
            rounded = {
                _ratio(stage.width, ratio, stage.groups): ratio
                for ratio in choices_of(offered["bottleneck_ratio"])[::-1]
            }
            fields["bottleneck_ratio"] = rounded.get(stage.bottleneck_ratio, stage.bottleneck_ratio)
        return self.fit(at, offered, fields)


def as_written(chosen: Mapping[str, Any]) -> StagedCNN:
    """The network that a tree without genes spells out, stage by stage."""
    head = Head(**chosen["head"])
    return StagedCNN(
        Stem(**chosen["stem"]),
        tuple(_stage(fields) for fields in chosen["stages"] if fields["depth"] > 0),
        replace(head, **{name: getattr(Head(), name) for name in _idle(head)}),
        **{name: chosen[name] for name in _WHOLE},
        norm=Norm(**chosen["norm"]),
        squeeze=Squeeze(**chosen["squeeze"]),
    )


def _idle(head: Head) -> frozenset[str]:
    """The fields of a head that have no effect."""
    return frozenset() if head.width or head.hidden else frozenset({"activation"})


def _joined(stages: Sequence[Stage]) -> Iterator[Stage]:
    """The stages, each with those that only go on with it."""
    last: Stage | None = None
    for stage in stages:
        if last is not None and stage == replace(last, depth=stage.depth, stride=1):
            last = replace(last, depth=last.depth + stage.depth)
            continue
        if last is not None:
            yield last
        last = stage
    if last is not None:
        yield last


def _stage(fields: Mapping[str, Any]) -> Stage:
    used = {**fields, **{name: UNUSED[name] for name in UNUSED.keys() - USES[fields["block"]]}}
    if "bottleneck_ratio" in USES[fields["block"]]:
        used["bottleneck_ratio"] = _ratio(fields["width"], fields["bottleneck_ratio"], fields["groups"])
    return Stage(**used)


def _ratio(width: int, ratio: float, groups: int) -> float:
    """The ratio of the channels to which a ratio rounds."""
    return bottleneck_width(width, ratio, groups) / width
