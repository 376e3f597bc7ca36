"""How channel counts are rounded."""

from __future__ import annotations


def round_to_multiple(value: float, divisor: int) -> int:
    """The multiple of `divisor` nearest to `value`, but never less than nine tenths of it.

    The rule of MobileNets and EfficientNets (Sandler et al., 2018, arXiv:1801.04381, in their published code).
    """
    nearest = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return nearest if nearest >= 0.9 * value else nearest + divisor
