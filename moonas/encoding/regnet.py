"""The RegNet design space."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from moonas.encoding.tree import TreeEncoding, choices_of, merged
from moonas.errors import EncodingError
from moonas.network.architecture import Architecture
from moonas.network.regnet import regnet_stages
from moonas.network.staged_cnn import Stage, StagedCNN, Stem

_LINE = ("initial_width", "group_width", "slope", "width_multiplier")
_STEM = ("width", "kernel", "stride")


class RegNetEncoding(TreeEncoding):
    """RegNets by their four numbers. Of numbers that quantise to the same stages, the first ones are canonical."""

    def describe(self, chosen: Mapping[str, Any]) -> StagedCNN:
        """Lay out the stages."""
        stages = regnet_stages(**{name: chosen[name] for name in (*_LINE, "depth", "squeeze_ratio")})
        return StagedCNN(Stem(**chosen["stem"]), stages, resolution=chosen["resolution"])

    def choose(self, architecture: Architecture) -> dict[str, int] | None:
        """Find the first numbers that give a network."""
        if not isinstance(architecture, StagedCNN):
            raise EncodingError(f"{type(architecture).__name__} is not a staged CNN")
        stem = {name: getattr(architecture.stem, name) for name in _STEM}
        plain = StagedCNN(Stem(**stem), architecture.stages, resolution=architecture.resolution)
        if architecture != plain or not architecture.stages:
            return None
        whole = {
            "depth": sum(stage.depth for stage in architecture.stages),
            "squeeze_ratio": architecture.stages[0].squeeze_ratio,
            "resolution": architecture.resolution,
        }
        fixed = merged([self.fit("", self.tree, whole), self.fit("stem", self.tree["stem"], stem)])
        return fixed if fixed is None else merged([fixed, self._line(architecture.stages)])

    def _line(self, stages: tuple[Stage, ...]) -> dict[str, int] | None:
        """The first of the numbers that lay out `stages`, depth and squeeze-excite aside."""
        offered = ({value: i for i, value in enumerate(choices_of(self.tree[name]))} for name in _LINE)
        initial_widths, group_widths, slopes, multipliers = offered
        total: dict[str, Any] = {
            "depth": sum(stage.depth for stage in stages),
            "squeeze_ratio": stages[0].squeeze_ratio,
        }
        for initial_width, group_width in itertools.product(initial_widths, group_widths):
            first = {"initial_width": initial_width, "group_width": group_width}
            (begun,) = regnet_stages(**{**total, "depth": 1}, **first, slope=0, width_multiplier=2)
            if (begun.width, begun.groups) != (stages[0].width, stages[0].groups):
                continue  # the first stage has the initial width, whatever the slope: most combinations end here
            for slope, multiplier in itertools.product(slopes, multipliers):
                if regnet_stages(**total, **first, slope=slope, width_multiplier=multiplier) == stages:
                    indices = {
                        "initial_width": initial_widths[initial_width],
                        "group_width": group_widths[group_width],
                        "slope": slopes[slope],
                        "width_multiplier": multipliers[multiplier],
                    }
                    return self.of_genes(indices)
        return None
