from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from torch import nn

from moonas.hardware.device import FUSION
from moonas.hardware.kernels import Kernel, kernels_of
from moonas.hardware.space import kernel_space
from moonas.hardware.trace import trace


class Urn:
    """Networks whose kernels are drawn by known odds; a network is a layer as wide as its number."""

    def __init__(self, odds: list[float], each: int = 5):
        total = sum(odds)
        self.odds = np.array([one / total for one in odds])
        (usual,) = kernels_of(trace(nn.ReLU(), (4,)), FUSION["torch"])
        self.kernels = [Kernel((replace(usual.steps[0], bytes=number),)) for number in range(len(odds))]
        self._random, self._each = np.random.default_rng(0), each

    def networks(self) -> Iterator[nn.Module]:
        while True:
            yield nn.Linear(4, 8, bias=False)

    def trace(self, network: nn.Module) -> list[Kernel]:
        return [self.kernels[i] for i in self._random.choice(len(self.odds), self._each, p=self.odds)]

    def unseen(self, found: tuple[Kernel, ...]) -> float:
        """The truth: how probable it is that the next kernel is none of these."""
        known = set(found)
        return float(sum(p for kernel, p in zip(self.kernels, self.odds, strict=True) if kernel not in known))


def test_a_small_space_ends_after_the_fewest_networks() -> None:
    urn = Urn([1.0] * 6)
    space = kernel_space(urn.networks(), urn.trace)
    assert space.networks == 30
    assert set(space.kernels) == set(urn.kernels)
    assert space.unseen == 0
    assert space.weight_bytes == 4 * 32


@pytest.mark.parametrize("count", [50, 150])
def test_it_ends_when_hardly_anything_is_new_and_knows_how_much_is_not_seen(count: int) -> None:
    urn = Urn([1 / (1 + rank) for rank in range(count)])
    told: list[tuple[int, int]] = []
    space = kernel_space(urn.networks(), urn.trace, progress=lambda networks, kernels: told.append((networks, kernels)))
    assert 30 < space.networks < 1000
    assert space.unseen <= 0.005
    assert abs(space.unseen - urn.unseen(space.kernels)) < 0.01
    assert told[-1] == (space.networks, len(space.kernels))
    assert len(told) == space.networks


def test_an_endless_space_ends_after_the_most_networks_and_says_what_is_missing() -> None:
    urn = Urn([1.0] * 3000, each=2)
    space = kernel_space(urn.networks(), urn.trace)
    assert space.networks == 1000
    assert space.unseen == pytest.approx(urn.unseen(space.kernels), abs=0.05)
    assert space.unseen > 0.3


def test_a_kernel_that_a_network_repeats_is_not_known_for_that() -> None:
    urn = Urn([1 / (1 + rank) for rank in range(150)])
    space = kernel_space(urn.networks(), lambda network: [kernel for kernel in urn.trace(network) for _ in range(3)])
    assert space.networks > 100
    assert abs(space.unseen - urn.unseen(space.kernels)) < 0.01
