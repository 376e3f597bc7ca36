from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import nn

import moonas
from moonas.benchmark.published import FUSION, read_works
from moonas.hardware.kernels import Kernel, kernels_of
from moonas.hardware.roofline import Roofline, Work, work_of
from moonas.hardware.trace import trace

NETWORKS = Path(__file__).parents[3] / "shared" / "data" / "ncnn_networks.csv"
PIXELS = 8 * 8


def kernels(module: nn.Module, *shape: int, fusion: tuple[str, ...] = FUSION) -> list[Kernel]:
    return kernels_of(trace(module, shape), fusion)


@pytest.mark.parametrize(
    ("module", "kind", "count"),
    [
        (nn.Conv2d(4, 6, 3, padding=1), "dense", PIXELS * 6 * 4 * 9),
        (nn.Conv2d(4, 6, 3, padding=1, groups=2), "dense", PIXELS * 6 * 2 * 9),
        (nn.Conv2d(4, 6, (1, 3), padding=(0, 1)), "dense", PIXELS * 6 * 4 * 3),
        (nn.Conv2d(4, 6, 1), "pointwise", PIXELS * 6 * 4),
        (nn.Conv2d(4, 6, 1, groups=2), "pointwise", PIXELS * 6 * 2),
        (nn.Conv2d(4, 4, 3, padding=1, groups=4), "depthwise", PIXELS * 4 * 9),
        (nn.Conv2d(4, 8, 3, padding=1, groups=4), "depthwise", PIXELS * 8 * 9),
        (nn.Sequential(nn.Flatten(), nn.Linear(4 * PIXELS, 3)), "linear", 4 * PIXELS * 3),
    ],
)
def test_multiply_adds_are_counted_by_kind(module: nn.Module, kind: str, count: int) -> None:
    work = work_of(kernels(module, 4, 8, 8))
    assert {each: getattr(work, each) for each in ("dense", "pointwise", "depthwise", "linear")} == {
        "dense": 0,
        "pointwise": 0,
        "depthwise": 0,
        "linear": 0,
        kind: count,
    }


def test_a_convolution_of_one_channel_is_not_depthwise() -> None:
    assert work_of(kernels(nn.Conv2d(1, 6, 3, padding=1), 1, 8, 8)).dense == PIXELS * 6 * 9


def test_a_pointwise_convolution_of_a_single_pixel_is_a_matrix_product() -> None:
    work = work_of(kernels(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(4, 6, 1)), 4, 8, 8))
    assert (work.pointwise, work.linear) == (0, 24)


def test_a_network_costs_the_sum_of_its_parts() -> None:
    work = Work(calls=1, kernels=3, dense=5000, pointwise=7000, depthwise=11_000, linear=13_000, bytes=17_000)
    roofline = Roofline(2, 3, 10, 20, 30, 40, 50)
    picoseconds = 5000 * 10 + 7000 * 20 + 11_000 * 30 + 13_000 * 40 + 17_000 * 50
    assert roofline.work_ms(work) == pytest.approx(0.002 + 0.009 + 1e-9 * picoseconds)
    network = kernels(nn.Conv2d(4, 6, 3), 4, 8, 8)
    assert roofline.latency_ms(network) == roofline.work_ms(work_of(network))


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        inputs = inputs + inputs
        return torch.relu(inputs + torch.relu(self.norm(self.first(inputs))))


def test_activations_join_convolutions_and_not_sums() -> None:
    kinds = [[step.kind for step in kernel.steps] for kernel in kernels(Residual(), 4, 8, 8)]
    assert kinds == [["add"], ["convolution", "native_batch_norm", "relu"], ["add"], ["relu"]]


# Against counts that were made of ncnn's own files


@pytest.fixture(scope="module")
def published() -> dict[str, Work]:
    if not NETWORKS.exists():
        pytest.skip("the counts of ncnn's networks are development data, and not here")
    return read_works(NETWORKS)


def ours(name: str) -> Work:
    module = moonas.architecture(name).build(moonas.Task((3, 224, 224), 1000))
    return work_of(kernels(module, 3, 224, 224))


@pytest.mark.parametrize(
    ("name", "there", "more_convolutions"),
    [
        ("mobilenet_v1", "mobilenet", 0),
        ("efficientnet_b0", "efficientnet_b0", 0),
        ("regnet_y_400mf", "regnety_400m", 0),
        ("mobilenet_v2", "mobilenet_v2", 1),  # an expansion in its first block
        ("resnet18", "resnet18", 1),  # a projection in its first block
    ],
)
def test_work_means_the_same_as_where_costs_come_from(
    published: dict[str, Work], name: str, there: str, more_convolutions: int
) -> None:
    work, theirs = ours(name), published[there]
    assert work.kernels == theirs.kernels - more_convolutions
    assert work.pointwise == theirs.pointwise - more_convolutions * 12_845_056
    assert (work.dense, work.depthwise, work.linear) == (theirs.dense, theirs.depthwise, theirs.linear)
    assert work.bytes == pytest.approx(theirs.bytes, rel=0.005 + 0.04 * more_convolutions)


def test_a_network_counted_for_a_single_pixel_is_left_out(published: dict[str, Work]) -> None:
    assert "FastestDet" not in published
    assert len(published) == len(pd.read_csv(NETWORKS)) - 1
