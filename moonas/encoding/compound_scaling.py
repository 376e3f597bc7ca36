"""The search space of compound scaling."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any, TypeVar

from moonas.encoding.staged_cnn import as_written
from moonas.encoding.tree import TreeEncoding, choices_of, merged
from moonas.errors import EncodingError
from moonas.network.architecture import Architecture
from moonas.network.compound_scaling import scaled
from moonas.network.staged_cnn import StagedCNN

Seen = TypeVar("Seen")


class CompoundScalingEncoding(TreeEncoding):
    """One base network, scaled. Of factors that round to the same network, the first ones are canonical."""

    def __init__(self, tree: Mapping[str, Any]):
        """Take the tree of an encoding file: `base`, the tree of one staged CNN, and what scales it."""
        super().__init__({name: value for name, value in tree.items() if name != "base"})
        self._base = as_written(tree["base"])

    def describe(self, chosen: Mapping[str, Any]) -> StagedCNN:
        """Scale the base."""
        return scaled(self._base, **chosen)

    def choose(self, architecture: Architecture) -> dict[str, int] | None:
        """Find the first factors that give a network."""
        if not isinstance(architecture, StagedCNN):
            raise EncodingError(f"{type(architecture).__name__} is not a staged CNN")
        parts = [
            self.fit("", self.tree, {"resolution": architecture.resolution}),
            self._widths.get(_even(architecture)),
            self._depths.get(_depths(architecture)),
        ]
        return merged(parts)

    @cached_property
    def _widths(self) -> dict[StagedCNN, dict[str, int]]:
        """The base in each width, and the first factor that gives it."""
        return self._scaled("width", _even)

    @cached_property
    def _depths(self) -> dict[tuple[int, ...], dict[str, int]]:
        """The depths of the stages, and the first factor that gives them."""
        return self._scaled("depth", _depths)

    def _scaled(self, name: str, seen: Callable[[StagedCNN], Seen]) -> dict[Seen, dict[str, int]]:
        """What is seen of the base scaled by each factor, and the first factor that gives it."""
        found: dict[Seen, dict[str, int]] = {}
        for i, factor in enumerate(choices_of(self.tree[name])):
            found.setdefault(seen(scaled(self._base, **{name: factor})), self.of_genes({name: i}))
        return found


def _even(network: StagedCNN) -> StagedCNN:
    """A network less its depths and its resolution."""
    return replace(network, stages=tuple(replace(stage, depth=1) for stage in network.stages), resolution=0)


def _depths(network: StagedCNN) -> tuple[int, ...]:
    return tuple(stage.depth for stage in network.stages)
