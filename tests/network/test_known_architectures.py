"""The networks that everybody knows have their published sizes."""

from __future__ import annotations

import re

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import moonas
from moonas import content
from moonas.encoding.catalogue import encoding_of
from moonas.errors import MoonasError, UnknownNameError
from moonas.spec.encoding import load_encoding

# Parameters for 1000 classes, and millions of multiply-adds for an image of so many pixels, as torchvision documents
# them for its own networks (mobilenet_v1: pytorchcv). They count products of matrices, and no normalisation.
PUBLISHED = {
    "resnet18": (11_689_512, 1814, 224),
    "resnet34": (21_797_672, 3664, 224),
    "resnet50": (25_557_032, 4089, 224),
    "resnet101": (44_549_160, 7801, 224),
    "resnext50_32x4d": (25_028_904, 4230, 224),
    "mobilenet_v1": (4_231_976, 569, 224),
    "mobilenet_v2": (3_504_872, 301, 224),
    "mobilenet_v3_large": (5_483_032, 217, 224),
    "mobilenet_v3_small": (2_542_856, 57, 224),
    "efficientnet_b0": (5_288_548, 386, 224),
    "efficientnet_b1": (7_794_184, 687, 240),
    "efficientnet_b2": (9_109_994, 1088, 288),
    "efficientnet_b3": (12_233_232, 1827, 300),
    "efficientnet_b4": (19_341_616, 4394, 380),
    "regnet_x_400mf": (5_495_976, 414, 224),
    "regnet_x_800mf": (7_259_656, 800, 224),
    "regnet_x_1_6gf": (9_190_136, 1603, 224),
    "regnet_x_3_2gf": (15_296_552, 3177, 224),
    "regnet_y_400mf": (4_344_144, 402, 224),
    "regnet_y_800mf": (6_432_512, 834, 224),
    "regnet_y_1_6gf": (11_202_430, 1612, 224),
    "regnet_y_3_2gf": (19_436_338, 3176, 224),
    "vit_b_16": (86_567_656, 17_564, 224),
}


def test_every_shipped_architecture_is_checked_here() -> None:
    elsewhere = {"darts_v2"}  # test_darts_network.py: it is for small images
    assert content.available("architectures").keys() == PUBLISHED.keys() | elsewhere


@pytest.mark.parametrize(("name", "published"), PUBLISHED.items())
def test_a_known_network_has_its_published_parameters_and_multiply_adds(
    name: str, published: tuple[int, int, int]
) -> None:
    params, millions, side = published
    with torch.device("meta"):  # shapes only: no memory, no arithmetic
        module = moonas.architecture(name).build(moonas.Task((3, side, side), 1000)).eval()
        with FlopCounterMode(display=False) as counter:  # PyTorch's own: two for each multiply-add, no normalisation
            module(torch.empty(1, 3, side, side))
    assert sum(parameter.numel() for parameter in module.parameters()) == params
    assert counter.get_total_flops() / 2e6 == pytest.approx(millions, rel=0.01)


@pytest.mark.parametrize("name", content.available("architectures"))
def test_the_comment_of_a_known_network_counts_its_parameters_right(name: str) -> None:
    summary = content.summary(content.available("architectures")[name])
    said = re.search(r": ([\d,]+) parameters for (\d+) classes\. ", summary)
    assert said is not None
    spec = load_encoding(name, kind="architectures")
    shape = spec.task.input_shape if spec.task else (3, 224, 224)
    with torch.device("meta"):
        module = moonas.architecture(name).build(moonas.Task(shape, int(said[2])))
    assert sum(parameter.numel() for parameter in module.parameters()) == int(said[1].replace(",", ""))


@pytest.mark.parametrize("name", content.available("architectures"))
def test_a_known_network_is_a_point_of_its_family(name: str) -> None:
    encoding = encoding_of(load_encoding(name, kind="architectures"))
    assert encoding.genes == ()
    assert encoding.encode(moonas.architecture(name)) == ()


@pytest.mark.parametrize(("encoding", "name"), [("resnet", "resnet50"), ("efficientnet", "efficientnet_b0")])
def test_a_network_outside_of_a_space_is_refused(encoding: str, name: str) -> None:
    """These spaces hold neighbours of the networks, but begin otherwise (zero gamma) or resize their input."""
    with pytest.raises(MoonasError, match="lies outside"):
        encoding_of(load_encoding(encoding)).encode(moonas.architecture(name))


def test_squeeze_excite_and_hard_activations_are_where_the_paper_has_them() -> None:
    """Table 1 of Howard et al., 2019: eight of the fifteen blocks of MobileNetV3-Large squeeze."""
    module = moonas.architecture("mobilenet_v3_large").build(moonas.Task((3, 64, 64), 10))
    kinds = [type(layer).__name__ for layer in module.modules()]
    assert kinds.count("SqueezeExcite") == kinds.count("Hardsigmoid") == 8
    assert module.stem[1].eps == 0.001
    assert module.stem[1].momentum == 0.01


def test_an_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown architecture 'resnet_18'.*did you mean 'resnet18'"):
        moonas.architecture("resnet_18")


def test_a_file_that_leaves_a_choice_is_no_architecture() -> None:
    path = content.shipped_folder("encodings") / "tiny_cnn.yaml"
    with pytest.raises(MoonasError, match=r"stages\.0\.block.*one value"):
        moonas.architecture(path)


@pytest.mark.parametrize(
    ("base", "message"),
    [
        ("regnet_x_400mf", "base: must be of the family staged_cnn; regnet_x_400mf is of regnet"),
        ("efficientnet_b00", "base: unknown architecture 'efficientnet_b00'"),
        (5, "base: must be `key: value` pairs"),
    ],
)
def test_a_base_that_cannot_be_scaled_is_explained(base: object, message: str) -> None:
    problem = {
        "encoding": {"family": "compound_scaling", "base": base, "width": [1, 2]},
        "task": {"input_shape": [3, 32, 32], "classes": 10},
        "objectives": [{"metric": "params"}],
    }
    with pytest.raises(MoonasError, match=message):
        moonas.load(problem)
