"""Gradients of depthwise convolutions by our ways, held against PyTorch's own in 64 bits."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from moonas.training.depthwise import fast_depthwise

pytestmark = pytest.mark.usefixtures("one_thread")


def gradients(layer: nn.Module, images: torch.Tensor, *, fast: bool) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Output, gradient of the images, gradient of the weight, for a loss that weighs all outputs differently."""
    images = images.clone().requires_grad_()
    layer.zero_grad()
    if fast:
        with fast_depthwise(layer):
            output = layer(images)
    else:
        output = layer(images)
    weights = torch.sin(torch.arange(output.numel(), dtype=torch.float64)).reshape(output.shape)
    (output * weights).sum().backward()
    assert images.grad is not None
    return output.detach(), images.grad, layer.get_parameter("weight").grad.clone()  # type: ignore[union-attr]


def distance(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((found.double() - wanted).norm() / wanted.norm().clamp(min=1e-9))


@settings(deadline=None, max_examples=120)
@given(
    kernel=st.tuples(st.integers(1, 13), st.integers(1, 13)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    sides=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    channels=st.integers(2, 5),
    bias=st.booleans(),
    same=st.booleans(),
)
def test_gradients_are_those_of_pytorch(
    kernel: tuple[int, int], stride: tuple[int, int], sides: tuple[int, int], channels: int, bias: bool, same: bool
) -> None:
    padding = (kernel[0] // 2, kernel[1] // 2) if same else (0, 0)
    if any(side + 2 * pad < k for side, pad, k in zip(sides, padding, kernel, strict=True)):
        return
    torch.manual_seed(0)
    layer = nn.Conv2d(channels, channels, kernel, stride, padding, groups=channels, bias=bias)
    images = torch.randn(3, channels, *sides).contiguous(memory_format=torch.channels_last)
    found = gradients(layer, images, fast=True)
    exact = gradients(layer.double(), images.double(), fast=False)
    assert all(distance(one, other) < 1e-5 for one, other in zip(found, exact, strict=True))


@pytest.mark.parametrize("kernel", [3, 5, 7])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("side", [2, 7, 16])
def test_bfloat16_rounds_and_nothing_else(kernel: int, stride: int, side: int) -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(8, 8, kernel, stride, kernel // 2, groups=8, bias=False)
    images = torch.randn(4, 8, side, side).contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = gradients(layer, images, fast=True)
    assert found[0].dtype == torch.bfloat16
    assert found[2].dtype == torch.float32
    exact = gradients(layer.double(), images.double(), fast=False)
    assert all(distance(one, other) < 0.01 for one, other in zip(found, exact, strict=True))


def test_other_layers_are_left_alone_and_all_are_as_before_in_the_end() -> None:
    module = nn.Sequential(
        nn.Conv2d(4, 4, 3, groups=4),
        nn.Conv2d(4, 8, 3),
        nn.Conv2d(8, 8, 3, groups=2),
        nn.Conv2d(8, 8, 3, groups=8, dilation=2),
    )
    with fast_depthwise(module):
        assert ["forward" in vars(layer) for layer in module] == [True, False, False, False]
    assert not any("forward" in vars(layer) for layer in module)
    with pytest.raises(ValueError, match="midway"), fast_depthwise(module):
        raise ValueError("midway")
    assert not any("forward" in vars(layer) for layer in module)
