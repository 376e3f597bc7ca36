"""A bundle holds what a local profile times, once, and is small."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import onnx
import pytest
import torch
from boards import planned
from torch import nn

from moonas.errors import MoonasError
from moonas.hardware.kernel_times import together
from moonas.hardware.runtime import to_onnx
from moonas.network.architecture import Task
from moonas.profiling import find_kernels, minutes, plan
from moonas.remote import measure
from moonas.remote.bundle import Bundle, fill_weights, write_bundle


def test_a_bundle_holds_every_model_once_and_the_program(bundle: Bundle) -> None:
    with zipfile.ZipFile(bundle.path) as file:
        names = file.namelist()
        models = {name: file.read(name) for name in names if name.startswith("models/")}
    assert len(set(names)) == len(names)
    assert set(names) - set(models) == {"manifest.json", "measure.py"}
    assert {bundle.manifest.rest, *(name for group in bundle.manifest.groups for name in group.files)} == set(models)
    assert len({hashlib.sha256(model).digest() for model in models.values()}) == len(models)


def test_a_bundle_times_what_a_local_profile_times(bundle: Bundle, tmp_path: Path) -> None:
    made = planned(tmp_path)
    space = find_kernels(made)
    groups = list(together(space.kernels))
    kernels = [group for group in bundle.manifest.groups if group.kind == "kernels"]
    assert len(kernels) == len(groups)
    for group, local in zip(kernels, groups, strict=True):
        assert len(group.files) == len(local.modules) + group.networks
        assert group.files[len(local.modules) :] == bundle.manifest.groups[-1].files[:5]
        assert [(c.key, c.whole, c.less) for c in group.comparisons] == [
            (c.key, c.whole, c.less) for c in local.comparisons
        ]
    assert len(bundle.manifest.groups[-1].files) == 25
    assert bundle.manifest.networks == tuple(
        tuple(each.key for each in made.kernels(network)) for network in made.proof()
    )
    assert {each.key for each in space.kernels} <= set(bundle.manifest.works)
    assert bundle.manifest.profile.space is not None
    assert bundle.manifest.profile.space.weight_bytes == space.weight_bytes


def test_the_same_command_makes_the_same_bundle(bundle: Bundle, tmp_path: Path) -> None:
    again = write_bundle(planned(bundle.path.parent), tmp_path / "again.zip")
    assert again.digest == bundle.digest


class Twins(nn.Module):
    """Layers of one shape, whose weights an exporter would merge if they were equal."""

    def __init__(self) -> None:
        super().__init__()
        layers = [nn.Sequential(nn.Conv2d(64, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU()) for _ in range(12)]
        self.layers = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 64))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.layers(images)
        return logits


def test_filled_networks_have_as_many_weights_as_others_and_numbers_near_one(tmp_path: Path) -> None:
    images = torch.rand(1, 64, 8, 8) + 0.5
    module = Twins().eval()
    before = onnx.load_from_string(to_onnx(module, images)).graph
    fill_weights(module)
    after = onnx.load_from_string(to_onnx(module, images)).graph
    assert [each.op_type for each in after.node] == [each.op_type for each in before.node]
    assert sorted(tuple(each.dims) for each in after.initializer) == sorted(
        tuple(each.dims) for each in before.initializer
    )
    seen: list[torch.Tensor] = []
    for layer in module.modules():
        layer.register_forward_hook(lambda _, __, result: seen.append(result))
    with torch.no_grad():
        module(images)
    assert len(seen) > 30
    assert all(each.abs().min() > 0.01 and each.abs().max() < 10 for each in seen)


def test_models_take_little_room_in_a_zip(tmp_path: Path) -> None:
    module = Twins().eval()
    fill_weights(module)
    exported = to_onnx(module, torch.rand(1, 64, 8, 8))
    with zipfile.ZipFile(tmp_path / "one.zip", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("model", exported)
        assert len(exported) > 100 * file.infolist()[0].compress_size


def test_a_bundle_is_for_onnx_runtime(tmp_path: Path) -> None:
    (tmp_path / "few.yaml").write_text(
        "family: staged_cnn\nstem: {width: 4}\nstages: [{block: plain, width: 4, depth: 1}]\n"
    )
    made = plan("x", str(tmp_path / "few.yaml"), Task((1, 8, 8), 3), changes={"runtime": "torch"})
    with pytest.raises(MoonasError, match="a bundle is measured with ONNX Runtime; --runtime torch measures here"):
        write_bundle(made, tmp_path / "x.zip")
    assert not (tmp_path / "x.zip").exists()


def test_it_takes_as_long_there_as_is_said_here(bundle: Bundle, tmp_path: Path) -> None:
    made = planned(tmp_path)
    timed, device = sum(len(group.files) for group in bundle.manifest.groups), made.device
    seconds = timed * (device.rounds * device.round_ms / 1000 + measure.SECONDS_TO_LOAD) + measure.UP_TO_S
    there = seconds / 60
    assert minutes(made, find_kernels(made)) == pytest.approx(there)
