"""A network laid out by layers adds up to the whole, as fvcore and PyTorch count it."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from torch import nn

import moonas
from moonas.evaluation.layers import layer_table
from moonas.evaluation.static import count_flops

TASK = moonas.Task((3, 64, 64), 10)
NETWORKS = ["resnet18", "mobilenet_v3_small", "vit_b_16", "darts_v2", "regnet_y_400mf"]


@cache
def built(name: str) -> nn.Module:
    return moonas.architecture(name).build(TASK).eval()


@cache
def multiply_adds(name: str) -> int:
    return count_flops(built(name), TASK.input_shape)


@pytest.mark.parametrize("depth", [1, 2, 3, 9])
@pytest.mark.parametrize("name", NETWORKS)
def test_the_rows_add_up_to_the_network(name: str, depth: int) -> None:
    module = built(name)
    layers = layer_table(module, TASK.input_shape, depth=depth)
    assert layers["params"].sum() == sum(parameter.numel() for parameter in module.parameters())
    assert layers["flops"].sum() == multiply_adds(name)
    assert layers["layer"].is_unique
    assert layers["output"].iloc[-1] == (10,)


def test_the_layers_of_a_known_network() -> None:
    layers = layer_table(moonas.architecture("resnet18").build(moonas.Task((3, 224, 224), 1000)), (3, 224, 224))
    rows = layers.set_index("layer")
    assert rows.loc["stem", "kind"] == "Conv2d 7x7 /2, BatchNorm2d, ReLU"
    assert rows.loc["stem", "output"] == (64, 112, 112)
    assert rows.loc["stem", "params"] == 64 * 3 * 49 + 2 * 64
    assert rows.loc["stage1.0", "kind"] == "Block of 3x3 /2, 3x3, 1x1 /2"
    assert rows.loc["stage1.0", "output"] == (128, 28, 28)
    assert rows.loc["classifier", "flops"] == 512_000


class Scaled(nn.Module):
    """Has a parameter and does a product of its own, beside a layer; has another layer that it never runs."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(4, 4)
        self.matrix = nn.Parameter(torch.ones(4, 3))
        self.idle = nn.Linear(2, 2)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.inner(inputs.flatten(1)) @ self.matrix


def test_what_a_module_does_beside_its_parts_has_a_row() -> None:
    layers = layer_table(nn.Sequential(Scaled()), (2, 2), depth=9).set_index("layer")
    assert list(layers.index) == ["0", "0.inner"]
    assert layers.loc["0", "kind"] == "Scaled, beside its parts"
    assert layers.loc["0", ["params", "flops"]].tolist() == [12, 12]
    assert layers.loc["0.inner", "output"] == (4,)


def test_a_module_in_training_mode_keeps_its_statistics() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten())
    before = module[1].running_mean.clone()
    layer_table(module.train(), (3, 8, 8))
    assert torch.equal(module[1].running_mean, before)
    assert not any(part._forward_hooks for part in module.modules())
