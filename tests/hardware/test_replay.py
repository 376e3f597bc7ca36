from __future__ import annotations

import operator
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn
from torch.nn import functional

from moonas.content import shipped_folder
from moonas.encoding.catalogue import encoding_of
from moonas.hardware.device import FUSION
from moonas.hardware.kernels import Kernel, kernels_of
from moonas.hardware.replay import KernelInContext, Nothing, Replayed, Rest, SideBySide, context_of, place_of, straight
from moonas.hardware.runtime import to_onnx
from moonas.hardware.trace import trace
from moonas.network.architecture import Task
from moonas.spec.encoding import load_encoding

SHIPPED = sorted(path.stem for path in shipped_folder("encodings").glob("*.yaml"))
JOINED = FUSION["onnxruntime"]
MOST_OF_A_KIND = 2
"""Kernels that differ in nothing but shapes are alike enough."""


def of_different_kinds(encoding: str, fusion: tuple[str, ...]) -> list[Kernel]:
    """Kernels of two random networks, at most so many of each sequence of operators."""
    space = encoding_of(load_encoding(encoding))
    shape = (50, 6) if encoding == "sequence" else (3, 32, 32)
    found: dict[tuple[str, ...], dict[str, Kernel]] = {}
    for seed in range(2):
        network = space.decode(space.sample(np.random.default_rng(seed))).build(Task(shape, 10))
        for kernel in kernels_of(trace(network, shape), fusion):
            found.setdefault(tuple(step.kind for step in kernel.steps), {})[kernel.key] = kernel
    return [kernel for alike in found.values() for kernel in list(alike.values())[:MOST_OF_A_KIND]]


def computed(module: Replayed) -> Any:
    with torch.no_grad():
        return module.eval()(*module.inputs)


def in_onnxruntime(module: Replayed, optimised: Path | None = None) -> Any:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if optimised:
        options.optimized_model_filepath = str(optimised)
    exported = to_onnx(module.eval(), *module.inputs)
    session = onnxruntime.InferenceSession(exported, options, providers=["CPUExecutionProvider"])
    feed = {each.name: given.numpy() for each, given in zip(session.get_inputs(), module.inputs, strict=True)}
    return session.run(None, feed)


def looked_at(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (*shape[:2], 1, 1) if len(shape) == 4 else shape


@pytest.mark.parametrize("fusion", [JOINED, ()], ids=["joined", "apart"])
@pytest.mark.parametrize("encoding", SHIPPED)
def test_kernels_run_in_context_alike_in_both_runtimes(encoding: str, fusion: tuple[str, ...]) -> None:
    for kernel in of_different_kinds(encoding, fusion):
        module = KernelInContext(kernel)
        result = computed(module)
        assert tuple(result.shape) == looked_at(kernel.steps[-1].output_shape), kernel.key
        with warnings.catch_warnings():
            warnings.simplefilter("error", torch.jit.TracerWarning)
            (found,) = in_onnxruntime(module)
        largest = float(result.abs().max())
        np.testing.assert_allclose(found, result.numpy(), rtol=1e-3, atol=1e-4 * max(1, largest), err_msg=kernel.key)


@pytest.mark.parametrize("encoding", SHIPPED)
def test_plain_calls_compute_the_same_and_hand_over_all_of_it(encoding: str) -> None:
    for kernel in of_different_kinds(encoding, ()):
        module = SideBySide([KernelInContext(kernel) for _ in range(2)])
        plain, shape = straight(module), kernel.steps[-1].output_shape
        with torch.no_grad():
            found = plain(*module.inputs)
        assert [tuple(each.shape) for each in found] == [shape, shape]
        pixels = tuple(slice(0, size) for size in looked_at(shape))
        for whole, looked in zip(found, computed(module), strict=True):
            torch.testing.assert_close(whole[pixels], looked, msg=kernel.key)


@pytest.mark.parametrize(
    ("kind", "called"),
    [
        (nn.Conv2d(8, 4, 3), [operator.getitem, "Conv2d", functional.conv2d]),
        (nn.BatchNorm2d(8), [operator.getitem, "Conv2d", "MaxPool2d", "Step"]),
        (nn.ReLU(), [operator.getitem, "Conv2d", "MaxPool2d", torch.ops.aten.relu.default]),
    ],
)
def test_plain_calls_are_those_of_operators_and_modules_alone(kind: nn.Module, called: list[Any]) -> None:
    """What Python does around them would be taken for time of the kernel."""
    plain = straight(KernelInContext(only(kind, ())))
    calls = [node for node in plain.graph.nodes if node.op.startswith("call")]
    named = [type(plain.get_submodule(n.target)).__name__ if n.op == "call_module" else n.target for n in calls]
    assert named == called


@pytest.mark.parametrize("encoding", ["resnet", "sequence"])
def test_contexts_make_what_the_kernels_read(encoding: str) -> None:
    for kernel in of_different_kinds(encoding, JOINED):
        context = context_of(place_of(kernel))
        results = computed(context)
        if kernel.outside_shapes:
            assert [tuple(each.shape) for each in results] == [looked_at(each) for each in kernel.outside_shapes]
            assert [each.shape for each in context.inputs] == [each.shape for each in KernelInContext(kernel).inputs]
        else:
            assert isinstance(context, Nothing)
        in_onnxruntime(context)


def only(module: nn.Module, fusion: tuple[str, ...] = JOINED) -> Kernel:
    """The kernel of a module that stands behind a pooling, as the last of a network."""
    return kernels_of(trace(nn.Sequential(nn.MaxPool2d(1), module), (8, 6, 6)), fusion)[-1]


def test_a_kernel_computes_what_its_module_computes() -> None:
    module = nn.Sequential(nn.Conv2d(8, 5, 3, stride=2, padding=1), nn.BatchNorm2d(5), nn.ReLU()).eval()
    replayed = KernelInContext(only(module))
    weight, bias, *norm = [weight for step in replayed.steps for weight in step.weights]
    with torch.no_grad():
        module[0].weight.copy_(weight)
        module[0].bias.copy_(bias)
        for own, given in zip((module[1].weight, module[1].bias, *module[1].buffers()), norm, strict=False):
            own.copy_(given)
        expected = module(replayed.prefixes[0](*replayed.inputs))[..., :1, :1]
    torch.testing.assert_close(computed(replayed), expected)


@pytest.mark.parametrize(
    "module",
    [
        nn.BatchNorm2d(8, affine=False),
        nn.BatchNorm2d(8, track_running_stats=False),
        nn.InstanceNorm2d(8),
        nn.GroupNorm(2, 8),
        nn.LayerNorm(6),
        nn.PReLU(8),
        nn.PReLU(),
        nn.Upsample(scale_factor=2),
        nn.Upsample(scale_factor=2, mode="bilinear"),
        nn.Upsample(size=(9, 9), mode="bicubic"),
        nn.AdaptiveAvgPool2d(2),
        nn.ConvTranspose2d(8, 4, 2, stride=2),
        nn.AvgPool2d(2),
        nn.MaxPool2d(2),
        nn.Softmax(1),
        nn.GELU(),
        nn.Mish(),
        nn.GLU(1),
    ],
    ids=repr,
)
def test_kernels_of_usual_layers_are_replayed_in_both_runtimes(module: nn.Module) -> None:
    for fusion in ((), JOINED):
        for kernel in kernels_of(trace(nn.Sequential(nn.Conv2d(8, 8, 1), module), (8, 6, 6)), fusion):
            replayed = KernelInContext(kernel)
            result = computed(replayed)
            np.testing.assert_allclose(in_onnxruntime(replayed)[0], result.numpy(), rtol=1e-3, atol=1e-4)
            with torch.no_grad():
                found = straight(replayed)(*replayed.inputs)
            torch.testing.assert_close(found[tuple(slice(0, size) for size in result.shape)], result)


def operators(module: Replayed, tmp_path: Path) -> list[str]:
    """Of the graph that ONNX Runtime computes, once it is optimised."""
    onnx = pytest.importorskip("onnx")
    in_onnxruntime(module, tmp_path / "optimised.onnx")
    names = [node.op_type for node in onnx.load(str(tmp_path / "optimised.onnx")).graph.node]
    return [name for name in names if name not in ("ReorderInput", "ReorderOutput")]


def test_what_is_joined_is_one_operator_there(tmp_path: Path) -> None:
    kernel = only(nn.Sequential(nn.Conv2d(8, 16, 3, bias=False), nn.BatchNorm2d(16), nn.ReLU()))
    found = operators(KernelInContext(kernel), tmp_path)
    assert [name.replace("Fused", "") for name in found] == ["Conv", "Conv", "MaxPool"]


def test_an_activation_alone_is_not_computed_with_its_context(tmp_path: Path) -> None:
    found = operators(KernelInContext(only(nn.ReLU())), tmp_path)
    assert found == ["Conv", "MaxPool", "Relu", "MaxPool"]


def test_the_networks_own_input_is_given_as_it_is(tmp_path: Path) -> None:
    (kernel,) = kernels_of(trace(nn.Conv2d(3, 8, 3), (3, 6, 6)), JOINED)
    module = KernelInContext(kernel)
    assert [tuple(each.shape) for each in module.inputs] == [(1, 3, 6, 6)]
    assert operators(module, tmp_path) == ["Conv", "MaxPool"]


def test_a_reshaped_result_is_read_in_its_new_shape() -> None:
    module = nn.Sequential(nn.Linear(6, 4), nn.ReLU())
    kernel = only(module)
    assert [step.kind for step in kernel.steps] == ["addmm", "relu"]
    assert computed(KernelInContext(kernel)).shape == (1, 8, 1, 1)


@pytest.mark.parametrize("weight_bytes", [1, 4096, 1_000_000])
def test_the_rest_reads_about_as_many_weights(weight_bytes: int) -> None:
    rest = Rest(weight_bytes)
    stored = sum(4 * each.numel() for each in rest.parameters())
    assert abs(stored - max(weight_bytes, 4096)) < 4096
    assert computed(rest).shape == (1, stored // 4096, 1, 1)


def test_kernels_of_one_place_read_alike_and_need_the_same_distance() -> None:
    first, second, activation = only(nn.Conv2d(8, 4, 3)), only(nn.Conv2d(8, 9, 1)), only(nn.ReLU())
    assert place_of(first) == place_of(second) != place_of(activation)
