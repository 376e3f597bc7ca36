"""The kernels of a search space, found by drawing networks until hardly any comes up that is not known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from torch import nn

from moonas.hardware.kernels import Kernel

_FEWEST, _MOST = 30, 1000
_UNSEEN = 0.005


@dataclass(frozen=True)
class KernelSpace:
    """What a table has to know of a search space.

    Attributes:
        kernels: all that were found.
        networks: that were drawn.
        unseen: estimated share, among the kernels of another network, of those that are not here: the share of
            those seen once (I. J. Good, Biometrika 40, 1953).
        weight_bytes: median of the networks.
    """

    kernels: tuple[Kernel, ...]
    networks: int
    unseen: float
    weight_bytes: int


def kernel_space(
    networks: Iterable[nn.Module],
    trace: Callable[[nn.Module], list[Kernel]],
    *,
    progress: Callable[[int, int], None] = lambda networks, kernels: None,
) -> KernelSpace:
    """Draw networks until no more than 1 in 200 of their kernels is new, at least 30 and at most 1,000.

    Args:
        networks: drawn at random, as many as are asked for.
        trace: lists the kernels of one.
        progress: told how many networks were drawn, and how many different kernels they have.
    """
    seen: Counter[Kernel] = Counter()
    weights: list[int] = []
    unseen = 1.0
    for network in networks:
        seen.update(trace(network))
        weights.append(sum(each.numel() * each.element_size() for each in network.parameters()))
        unseen = sum(count == 1 for count in seen.values()) / max(1, seen.total())
        progress(len(weights), len(seen))
        if len(weights) >= _MOST or (len(weights) >= _FEWEST and unseen <= _UNSEEN):
            break
    return KernelSpace(tuple(seen), len(weights), unseen, sorted(weights)[len(weights) // 2])
