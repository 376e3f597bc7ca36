"""The search space of compound scaling."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

from moonas.encoding.staged_cnn import StagedCNNEncoding
from moonas.encoding.tree import TreeEncoding
from moonas.errors import EncodingError
from moonas.network.architecture import Architecture
from moonas.network.compound_scaling import scaled
from moonas.network.staged_cnn import StagedCNN

_FACTORS = ("width", "depth")


class CompoundScalingEncoding(TreeEncoding):
    """One base network, scaled. Of factors that round to the same network, the first ones are canonical."""

    def __init__(self, tree: Mapping[str, Any]):
        """Take the tree of an encoding file: `base`, the tree of one staged CNN, and what scales it."""
        super().__init__({name: value for name, value in tree.items() if name != "base"})
        self._base = StagedCNNEncoding(tree["base"]).describe(tree["base"])

    def describe(self, chosen: Mapping[str, Any]) -> StagedCNN:
        """Scale the base."""
        return scaled(self._base, **chosen)

    def choose(self, architecture: Architecture) -> dict[str, int] | None:
        """Find the first factors that give a network."""
        if not isinstance(architecture, StagedCNN):
            raise EncodingError(f"{type(architecture).__name__} is not a staged CNN")
        resolution = self.fit("", self.tree, {"resolution": architecture.resolution})
        factors = self._scaled.get(replace(architecture, resolution=0))
        return None if resolution is None or factors is None else resolution | factors

    @cached_property
    def _scaled(self) -> dict[StagedCNN, dict[str, int]]:
        """All networks less their resolution, and the first choices of width and depth that give them."""
        widths, depths = (self._offered(name) for name in _FACTORS)
        found: dict[StagedCNN, dict[str, int]] = {}
        for i, width in enumerate(widths):
            for j, depth in enumerate(depths):
                found.setdefault(scaled(self._base, width=width, depth=depth), {"width": i, "depth": j})
        return found

    def _offered(self, name: str) -> tuple[Any, ...]:
        offered = self.tree[name]
        return offered if isinstance(offered, tuple) else (offered,)
