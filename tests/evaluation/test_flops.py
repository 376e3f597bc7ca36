"""Multiply-adds read off a trace, held against fvcore."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from moonas.content import shipped_folder
from moonas.encoding.catalogue import encoding_of
from moonas.evaluation.flops import flops_of
from moonas.evaluation.static import count_flops
from moonas.hardware.trace import trace
from moonas.network.architecture import Task
from moonas.spec.encoding import load_encoding

SHIPPED = sorted(path.stem for path in shipped_folder("encodings").glob("*.yaml"))
SHAPE = (4, 6, 8)


class Computed(nn.Module):
    def __init__(self, forward: Callable[[torch.Tensor], torch.Tensor]):
        super().__init__()
        self._forward = forward

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self._forward(images)


@pytest.mark.parametrize("name", SHIPPED)
@pytest.mark.parametrize("seed", [0, 1])
def test_a_trace_of_a_shipped_space_gives_what_fvcore_counts(name: str, seed: int) -> None:
    encoding = encoding_of(load_encoding(name))
    task = Task((3, 32, 32), 10)
    module = encoding.decode(encoding.sample(np.random.default_rng(seed))).build(task).eval()
    assert flops_of(trace(module, task.input_shape)) == count_flops(module, task.input_shape)


LAYERS: dict[str, nn.Module] = {
    "a plain norm": nn.BatchNorm2d(4, affine=False),
    "a transposed convolution": nn.ConvTranspose2d(4, 3, 3, stride=2),
    "a plain layer norm": nn.LayerNorm(8, elementwise_affine=False),
    "a linear layer of rows": nn.Linear(8, 5),
    "one without bias": nn.Linear(8, 5, bias=False),
    "pooling to four": nn.AdaptiveAvgPool2d(2),
    "pooling to one": nn.AdaptiveAvgPool2d(1),
    "a mean": Computed(lambda x: x.mean((2, 3))),
    "nearest pixels": nn.Upsample(scale_factor=2),
    "straight lines": nn.Upsample(scale_factor=2, mode="bilinear"),
    "a product": Computed(lambda x: x @ x.transpose(2, 3)),
}


@pytest.mark.parametrize("what", LAYERS)
def test_a_trace_of_a_layer_gives_what_fvcore_counts(what: str) -> None:
    module = LAYERS[what].eval()
    assert flops_of(trace(module, SHAPE)) == count_flops(module, SHAPE)


def test_of_operators_that_fvcore_may_see_otherwise_nothing_is_said() -> None:
    def attention(x: torch.Tensor) -> torch.Tensor:
        return nn.functional.scaled_dot_product_attention(x, x, x)

    assert flops_of(trace(Computed(attention), SHAPE)) is None
    assert flops_of(trace(nn.GroupNorm(2, 4), SHAPE)) is None
    assert flops_of(trace(nn.InstanceNorm2d(4), SHAPE)) is None
    assert flops_of(trace(nn.BatchNorm2d(4, track_running_stats=False), SHAPE)) is None
    assert flops_of(trace(nn.AdaptiveAvgPool1d(1), (4, 6))) is None
    assert flops_of(trace(nn.AdaptiveAvgPool1d(3), (4, 6))) is None
