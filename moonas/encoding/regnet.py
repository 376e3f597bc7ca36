"""The RegNet design space."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from moonas.encoding.tree import TreeEncoding
from moonas.errors import EncodingError
from moonas.network.architecture import Architecture
from moonas.network.regnet import regnet_stages
from moonas.network.staged_cnn import Stage, StagedCNN, Stem

_LINE = ("depth", "initial_width", "slope", "width_multiplier", "group_width", "squeeze_ratio")
_STEM = ("width", "kernel", "stride")


class RegNetEncoding(TreeEncoding):
    """RegNets by their four numbers. Of numbers that quantise to the same stages, the first ones are canonical."""

    def describe(self, chosen: Mapping[str, Any]) -> StagedCNN:
        """Lay out the stages."""
        stages = regnet_stages(**{name: chosen[name] for name in _LINE})
        return StagedCNN(Stem(**chosen["stem"]), stages, resolution=chosen["resolution"])

    def choose(self, architecture: Architecture) -> dict[str, int] | None:
        """Find the first numbers that give a network."""
        if not isinstance(architecture, StagedCNN):
            raise EncodingError(f"{type(architecture).__name__} is not a staged CNN")
        stem = {name: getattr(architecture.stem, name) for name in _STEM}
        parts = (
            self.fit("", self.tree, {"resolution": architecture.resolution}),
            self.fit("stem", self.tree["stem"], stem),
            self._lines.get(architecture.stages),
        )
        plain = StagedCNN(Stem(**stem), architecture.stages, resolution=architecture.resolution)
        if None in parts or architecture != plain:
            return None
        return {name: choice for part in parts if part is not None for name, choice in part.items()}

    @cached_property
    def _lines(self) -> dict[tuple[Stage, ...], dict[str, int]]:
        """All sequences of stages, and the first choices that give them."""
        offered = (self.tree[name] if isinstance(self.tree[name], tuple) else (self.tree[name],) for name in _LINE)
        found: dict[tuple[Stage, ...], dict[str, int]] = {}
        for numbered in itertools.product(*(tuple(enumerate(choices)) for choices in offered)):
            stages = regnet_stages(**{name: value for name, (_, value) in zip(_LINE, numbered, strict=True)})
            indices = {name: i for name, (i, _) in zip(_LINE, numbered, strict=True)}
            found.setdefault(stages, indices)
        return found
