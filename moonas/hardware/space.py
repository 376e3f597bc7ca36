"""The kernels of a search space, found by drawing networks until hardly any comes up that is not known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from torch import nn

from moonas.hardware.kernels import Kernel

_FEWEST, _MOST = 30, 1000
_UNSEEN = 0.0025


@dataclass(frozen=True)
class KernelSpace:
    """What a table has to know of a search space.

    Attributes:
        kernels: all that were found.
        networks: that were drawn.
        unseen: estimated share, among the kernels of another network, of those that are not here: the share of
            those that one network alone has (after I. J. Good, Biometrika 40, 1953; that a network repeats a block is
            no second sight of it).
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
    """Draw networks until no more than 1 in 400 of their kernels is new, at least 30 and at most 1,000.

    Args:
        networks: drawn at random, as many as are asked for.
        trace: lists the kernels of one.
        progress: told how many networks were drawn, and how many different kernels they have.
    """
    seen: Counter[Kernel] = Counter()
    in_networks: Counter[Kernel] = Counter()
    weights: list[int] = []
    unseen = 1.0
    for network in networks:
        kernels = trace(network)
        seen.update(kernels)
        in_networks.update(set(kernels))
        weights.append(sum(each.numel() * each.element_size() for each in network.parameters()))
        lonely = sum(seen[kernel] for kernel, count in in_networks.items() if count == 1)
        unseen = lonely / max(1, seen.total())
        progress(len(weights), len(seen))
        if len(weights) >= _MOST or (len(weights) >= _FEWEST and unseen <= _UNSEEN):
            break
    return KernelSpace(tuple(seen), len(weights), unseen, sorted(weights)[len(weights) // 2])
