"""The modules of the staged CNN against hand counts, published networks and what the papers say."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from moonas.network.architecture import Task
from moonas.network.blocks import Block, BlockMaker
from moonas.network.layers import convolution
from moonas.network.staged_cnn import Head, Stage, StagedCNN, Stem

IMAGENET = Task((3, 224, 224), 1000)
CIFAR = Task((3, 32, 32), 10)


def params(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def conv_bn(inputs: int, outputs: int, kernel: int, groups: int = 1) -> int:
    """Weights of a convolution without bias, scale and shift of its batch normalisation."""
    return inputs // groups * outputs * kernel**2 + 2 * outputs


def one_stage(stage: Stage, stem_width: int = 8, head_width: int = 0) -> StagedCNN:
    return StagedCNN(Stem(width=stem_width), (stage,), Head(head_width))


# Stage, from 8 channels -> the count of the stage by hand.
COUNTS = {
    "plain": (Stage("plain", 1, 12, 5, 2), conv_bn(8, 12, 5)),
    "plain, deep": (Stage("plain", 3, 12, 3, 1), conv_bn(8, 12, 3) + 2 * conv_bn(12, 12, 3)),
    "residual with identity": (Stage("residual", 1, 8, 3, 1), 2 * conv_bn(8, 8, 3)),
    "residual with projection for the width": (
        Stage("residual", 1, 12, 3, 1),
        conv_bn(8, 12, 3) + conv_bn(12, 12, 3) + conv_bn(8, 12, 1),
    ),
    "residual with projection for the stride": (
        Stage("residual", 1, 8, 5, 2),
        2 * conv_bn(8, 8, 5) + conv_bn(8, 8, 1),
    ),
    "residual, deep: one projection only": (
        Stage("residual", 3, 12, 3, 2),
        conv_bn(8, 12, 3) + conv_bn(12, 12, 3) + conv_bn(8, 12, 1) + 2 * (2 * conv_bn(12, 12, 3)),
    ),
    "separable": (Stage("separable", 1, 12, 5, 2), conv_bn(8, 8, 5, groups=8) + conv_bn(8, 12, 1)),
    "separable, deep": (
        Stage("separable", 2, 12, 3, 1),
        conv_bn(8, 8, 3, groups=8) + conv_bn(8, 12, 1) + conv_bn(12, 12, 3, groups=12) + conv_bn(12, 12, 1),
    ),
    "inverted residual": (
        Stage("inverted_residual", 1, 12, 3, 2, expansion=4),
        conv_bn(8, 32, 1) + conv_bn(32, 32, 3, groups=32) + conv_bn(32, 12, 1),
    ),
    "inverted residual without expansion": (
        Stage("inverted_residual", 1, 12, 5, 1, expansion=1),
        conv_bn(8, 8, 5, groups=8) + conv_bn(8, 12, 1),
    ),
    "inverted residual with shortcut": (  # which has no weights
        Stage("inverted_residual", 1, 8, 3, 1, expansion=2),
        conv_bn(8, 16, 1) + conv_bn(16, 16, 3, groups=16) + conv_bn(16, 8, 1),
    ),
    "inverted residual, deep": (  # from the second block on, the expansion is of the stage's own width
        Stage("inverted_residual", 2, 12, 3, 2, expansion=2),
        conv_bn(8, 16, 1)
        + conv_bn(16, 16, 3, groups=16)
        + conv_bn(16, 12, 1)
        + conv_bn(12, 24, 1)
        + conv_bn(24, 24, 3, groups=24)
        + conv_bn(24, 12, 1),
    ),
}


@pytest.mark.parametrize(("stage", "count"), COUNTS.values(), ids=COUNTS.keys())
def test_the_parameters_of_a_stage_are_those_counted_by_hand(stage: Stage, count: int) -> None:
    stem = conv_bn(1, 8, 3)
    classifier = stage.width * 10 + 10
    assert params(one_stage(stage).build(Task((1, 28, 28), 10))) == stem + count + classifier


def test_the_head_is_a_pointwise_convolution_before_the_classifier() -> None:
    stage = Stage("plain", 1, 12, 3, 2)
    module = one_stage(stage, head_width=20).build(Task((2, 16, 16), 7))
    assert params(module) == conv_bn(2, 8, 3) + conv_bn(8, 12, 3) + conv_bn(12, 20, 1) + 20 * 7 + 7


def test_a_network_without_stages_is_stem_and_classifier() -> None:
    module = StagedCNN(Stem(width=6, kernel=5, stride=2), ()).build(Task((3, 9, 9), 4))
    assert params(module) == conv_bn(3, 6, 5) + 6 * 4 + 4
    assert module(torch.randn(2, 3, 9, 9)).shape == (2, 4)


MOBILENET_V1 = StagedCNN(
    Stem(32, 3, 2),
    (
        Stage("separable", 1, 64, 3, 1),
        Stage("separable", 2, 128, 3, 2),
        Stage("separable", 2, 256, 3, 2),
        Stage("separable", 6, 512, 3, 2),
        Stage("separable", 2, 1024, 3, 2),
    ),
)
MOBILENET_V2 = StagedCNN(
    Stem(32, 3, 2),
    (
        Stage("inverted_residual", 1, 16, 3, 1, expansion=1),
        Stage("inverted_residual", 2, 24, 3, 2, expansion=6),
        Stage("inverted_residual", 3, 32, 3, 2, expansion=6),
        Stage("inverted_residual", 4, 64, 3, 2, expansion=6),
        Stage("inverted_residual", 3, 96, 3, 1, expansion=6),
        Stage("inverted_residual", 3, 160, 3, 2, expansion=6),
        Stage("inverted_residual", 1, 320, 3, 1, expansion=6),
    ),
    head=Head(1280),
)


def resnet(stem: Stem, depths: tuple[int, ...], width: int) -> StagedCNN:
    stages = [Stage("residual", d, width * 2**i, 3, 1 if i == 0 else 2) for i, d in enumerate(depths)]
    return StagedCNN(stem, tuple(stages))


# Networks that staged CNNs can express; where ours lacks their max pooling, no parameter is lost.
PUBLISHED = {
    "ResNet-18 (torchvision)": (resnet(Stem(64, 7, 2), (2, 2, 2, 2), 64), IMAGENET, 11_689_512),
    "ResNet-34 (torchvision)": (resnet(Stem(64, 7, 2), (3, 4, 6, 3), 64), IMAGENET, 21_797_672),
    "ResNet-20 for CIFAR-10, projections (pytorchcv)": (resnet(Stem(16), (3, 3, 3), 16), CIFAR, 272_474),
    "ResNet-56 for CIFAR-10, projections (pytorchcv)": (resnet(Stem(16), (9, 9, 9), 16), CIFAR, 855_770),
    "MobileNet (pytorchcv mobilenet_w1)": (MOBILENET_V1, IMAGENET, 4_231_976),
    "MobileNetV2 (torchvision)": (MOBILENET_V2, IMAGENET, 3_504_872),
}


@pytest.mark.parametrize(("network", "task", "count"), PUBLISHED.values(), ids=PUBLISHED.keys())
def test_published_networks_have_their_published_parameter_counts(network: StagedCNN, task: Task, count: int) -> None:
    with torch.device("meta"):  # shapes only, no memory
        module = network.build(task)
    assert params(module) == count


def multiply_adds(module: nn.Module, images: torch.Tensor) -> int:
    total = 0

    def count(layer: nn.Module, _: object, output: torch.Tensor) -> None:
        nonlocal total
        assert isinstance(layer, nn.Conv2d | nn.Linear)
        total += output.numel() * layer.weight[0].numel()

    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(count)
    module(images)
    return total


@pytest.mark.parametrize(
    ("network", "millions"),
    # MobileNet: 569 (Howard et al., 2017, table 8), MobileNetV2: 300 (Sandler et al., 2018, table 4; torchvision: 301).
    [(MOBILENET_V1, 569), (MOBILENET_V2, 301)],
    ids=["MobileNet", "MobileNetV2"],
)
def test_published_networks_have_their_published_multiply_adds(network: StagedCNN, millions: int) -> None:
    with torch.device("meta"):
        module = network.build(IMAGENET).eval()
        assert round(multiply_adds(module, torch.empty(1, 3, 224, 224)) / 1e6) == millions


@pytest.mark.parametrize("kernel", [1, 3, 5, 7])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("block", ["plain", "residual", "separable", "inverted_residual"])
def test_a_stage_divides_odd_sizes_by_its_stride_and_rounds_up(block: str, kernel: int, stride: int) -> None:
    module = one_stage(Stage(block, 2, 6, kernel, stride, expansion=2 if block == "inverted_residual" else 1), 4)
    built = module.build(Task((1, 13, 7), 3)).eval()
    features = built.stage0(built.stem(torch.randn(2, 1, 13, 7)))
    assert features.shape == (2, 6, -(-13 // stride), -(-7 // stride))


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 33, 17), (2, 5, 64), (4, 7, 7)])
def test_logits_are_one_per_image_and_class_whatever_the_input(shape: tuple[int, int, int]) -> None:
    stages = (Stage("plain", 1, 8, 3, 2), Stage("residual", 2, 12, 5, 2), Stage("separable", 1, 16, 3, 2))
    module = StagedCNN(Stem(4), stages, Head(24)).build(Task(shape, 5))
    assert module(torch.randn(3, *shape)).shape == (3, 5)


@pytest.mark.parametrize("block", ["plain", "residual", "separable", "inverted_residual"])
def test_every_parameter_learns(block: str) -> None:
    torch.manual_seed(0)
    stage = Stage(block, 2, 8, 3, 2, expansion=3 if block == "inverted_residual" else 1)
    module = one_stage(stage, head_width=12).build(Task((1, 12, 12), 10))
    nn.functional.cross_entropy(module(torch.randn(16, 1, 12, 12)), torch.arange(16) % 10).backward()
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name


def block_of(inputs: int, stride: int, stage: Stage) -> Block:
    block = BlockMaker(StagedCNN(Stem(4), (stage,))).make(inputs, stride, stage)
    assert isinstance(block, Block)
    return block


def residual(inputs: int, outputs: int, stride: int) -> Block:
    return block_of(inputs, stride, Stage("residual", 1, outputs, 3, stride))


def inverted_residual(inputs: int, outputs: int, stride: int, expansion: int) -> Block:
    return block_of(inputs, stride, Stage("inverted_residual", 1, outputs, 3, stride, expansion))


def silence(layer: nn.BatchNorm2d) -> None:
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)


def test_the_shortcut_of_a_residual_block_passes_its_input() -> None:
    block = residual(4, 4, 1)
    silence(block.body[-1][-1])
    features = torch.randn(2, 4, 5, 5)
    assert torch.equal(block(features), features.relu())


def test_the_projection_of_a_residual_block_subsamples() -> None:
    """Option B of He et al.: a 1x1 convolution of the block's stride, with batch normalisation and no activation."""
    block = residual(2, 3, 2).eval()
    silence(block.body[-1][-1])
    features = torch.randn(2, 2, 6, 6)
    projection, normalisation = block.shortcut
    expected = nn.functional.conv2d(features[:, :, ::2, ::2], projection.weight) / (1 + normalisation.eps) ** 0.5
    torch.testing.assert_close(block(features), expected.relu())


def test_an_inverted_residual_block_adds_its_input_where_the_shapes_allow() -> None:
    block = inverted_residual(4, 4, 1, 2)
    silence(block.body[-1][-1])
    features = torch.randn(2, 4, 5, 5)
    assert torch.equal(block(features), features)  # linear: no activation after the sum


@pytest.mark.parametrize(("outputs", "stride"), [(4, 2), (6, 1)])
def test_an_inverted_residual_block_of_another_shape_has_no_shortcut(outputs: int, stride: int) -> None:
    block = inverted_residual(4, outputs, stride, 2)
    silence(block.body[-1][-1])
    assert block(torch.randn(2, 4, 6, 6)).abs().max() == 0


def test_the_bottleneck_of_an_inverted_residual_is_linear() -> None:
    torch.manual_seed(0)
    assert inverted_residual(4, 6, 2, 2)(torch.randn(8, 4, 6, 6)).min() < 0


def test_a_separable_block_keeps_channels_apart_before_it_mixes_them() -> None:
    module = one_stage(Stage("separable", 1, 6, 3, 1), 4).build(Task((1, 8, 8), 2))
    depthwise, pointwise = (layer for layer in module.stage0.modules() if isinstance(layer, nn.Conv2d))
    assert (depthwise.groups, depthwise.kernel_size) == (4, (3, 3))
    assert (pointwise.groups, pointwise.kernel_size) == (1, (1, 1))


def test_a_block_leaves_the_features_it_was_given_alone() -> None:
    """Activations work in place, which must not reach over into the shortcut."""
    for block in (residual(4, 4, 1), inverted_residual(4, 4, 1, 2), inverted_residual(4, 4, 1, 1)):
        features = torch.randn(2, 4, 5, 5)
        before = features.clone()
        block(features)
        assert torch.equal(features, before), block


def test_an_inactive_convolution_ends_with_its_normalisation() -> None:
    assert isinstance(convolution(2, 3, 3, activation=None)[-1], nn.BatchNorm2d)
    assert isinstance(convolution(2, 3, 3)[-1], nn.ReLU)
