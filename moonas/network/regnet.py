"""RegNets: stages whose widths follow a quantised line (Radosavovic et al., 2020, arXiv:2003.13678)."""

from __future__ import annotations

from itertools import groupby
from math import log

from moonas.network.rounding import round_to_multiple
from moonas.network.staged_cnn import Stage

_DIVISOR = 8
_MOST_STAGES = 4


def regnet_stages(
    *,
    depth: int,
    initial_width: int,
    slope: float,
    width_multiplier: float,
    group_width: int,
    squeeze_ratio: float = 0,
) -> tuple[Stage, ...]:
    """Lay out the stages, each of stride 2, of bottleneck blocks that do not narrow.

    Block j wants `initial_width + slope * j` channels (equation 2 of the paper), gets the nearest of `initial_width *
    width_multiplier ** k` (equations 3 and 4), rounded to a multiple of 8 and then of the group width, and blocks of
    one k make a stage. The paper's networks have four stages; here k stops at 3, so that there are never more.

    Args:
        depth: blocks in all.
        initial_width: w_0, channels of the first stage.
        slope: w_a, channels that each block adds.
        width_multiplier: w_m, above 1.
        group_width: channels of a group of the middle convolution; a narrower stage is one group.
        squeeze_ratio: of the squeeze-excite layers; 0 for RegNetX, 0.25 for RegNetY.
    """
    wanted = (initial_width + slope * block for block in range(depth))
    steps = (min(_MOST_STAGES - 1, round(log(width / initial_width) / log(width_multiplier))) for width in wanted)
    widths = (_DIVISOR * round(initial_width * width_multiplier**step / _DIVISOR) for step in steps)
    return tuple(_stage(len(list(blocks)), width, group_width, squeeze_ratio) for width, blocks in groupby(widths))


def _stage(depth: int, width: int, group_width: int, squeeze_ratio: float) -> Stage:
    width = max(_DIVISOR, width)
    group_width = min(group_width, width)
    width = round_to_multiple(width, group_width)
    return Stage(
        "bottleneck",
        depth,
        width,
        kernel=3,
        stride=2,
        bottleneck_ratio=1,
        groups=width // group_width,
        squeeze_ratio=squeeze_ratio,
    )
