from __future__ import annotations

from typing import Any, Literal

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from moonas.content import shipped_folder
from moonas.encoding.catalogue import encoding_of
from moonas.errors import MoonasError
from moonas.hardware.device import DeviceProfile
from moonas.hardware.runtime import prepare, to_onnx
from moonas.network.architecture import Task
from moonas.spec.encoding import load_encoding

TASK = Task((3, 16, 16), 10)
SHIPPED = sorted(path.stem for path in shipped_folder("encodings").glob("*.yaml"))
FOR_SEQUENCES = ("sequence", "vit_tiny")


def device(
    runtime: Literal["onnxruntime", "torch"] = "onnxruntime",
    *,
    threads: int = 1,
    batch: int = 1,
    processor: Literal["cpu", "cuda"] = "cpu",
) -> DeviceProfile:
    return DeviceProfile("here", "measured", processor, runtime, threads, batch, 2, 1.0)


def used_module(seed: int, *, encoding: str = "small_cnn", task: Task = TASK) -> nn.Module:
    """A random network whose batch normalisation has seen something, in training mode as after a training."""
    space = encoding_of(load_encoding(encoding))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = space.decode(space.sample(np.random.default_rng(seed))).build(task)
        with torch.no_grad():
            module.train()(3 * torch.randn(8, *task.input_shape) + 1)
    return module


class Watch:
    """What goes into a module and comes out of it."""

    def __init__(self, module: nn.Module):
        self.inputs: list[torch.Tensor] = []
        self.outputs: list[torch.Tensor] = []
        module.register_forward_hook(self._see)

    def _see(self, _: nn.Module, inputs: Any, output: Any) -> None:
        self.inputs.append(inputs[0].detach().clone())
        self.outputs.append(output.detach().clone())


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("encoding", "input_shape"),
    [*((name, (3, 45, 64)) for name in SHIPPED), *((name, (50, 6)) for name in SHIPPED if name in FOR_SEQUENCES)],
)
def test_an_exported_network_computes_what_pytorch_computes(
    encoding: str, input_shape: tuple[int, ...], seed: int
) -> None:
    task = Task(input_shape, 10)
    module = used_module(seed, encoding=encoding, task=task).eval()
    images = torch.randn(4, *task.input_shape, generator=torch.Generator().manual_seed(9))
    session = onnxruntime.InferenceSession(to_onnx(module, images), providers=["CPUExecutionProvider"])
    (logits,) = session.run(["logits"], {"input": images.numpy()})
    with torch.no_grad():
        expected = module(images).numpy()
    assert logits.shape == (4, 10)
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def test_an_export_changes_nothing() -> None:
    module = used_module(0).eval()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    to_onnx(module, torch.zeros(1, *TASK.input_shape))
    assert all(torch.equal(module.state_dict()[name], tensor) for name, tensor in before.items())
    assert not module.training


@pytest.mark.parametrize("batch", [1, 3])
def test_onnxruntime_computes_what_pytorch_computes_on_its_inputs(batch: int) -> None:
    module = used_module(1)
    watch = Watch(module)
    inference = prepare(module, TASK.input_shape, device(batch=batch))
    images = watch.inputs[0]  # the export runs the module once, on what it will be timed on
    (logits,) = inference()
    with torch.no_grad():
        expected = module.eval()(images).numpy()
    assert logits.shape == (batch, 10)
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("batch", [1, 3])
def test_torch_computes_what_the_module_computes(batch: int) -> None:
    module = used_module(2)
    watch = Watch(module)
    prepare(module, TASK.input_shape, device("torch", batch=batch))()
    (images,), (logits,) = watch.inputs, watch.outputs
    assert images.shape == (batch, *TASK.input_shape)
    with torch.no_grad():
        assert torch.equal(logits, module.eval()(images))


@pytest.mark.parametrize("runtime", ["onnxruntime", "torch"])
def test_every_inference_is_on_the_same_images(runtime: Any) -> None:
    seen = []
    for _ in range(2):
        module = used_module(3)
        watch = Watch(module)
        inference = prepare(module, TASK.input_shape, device(runtime))
        inference()
        inference()
        seen += watch.inputs
    assert all(torch.equal(images, seen[0]) for images in seen)
    assert seen[0].std() > 0.5  # images of zeros may be computed faster


@pytest.mark.parametrize("runtime", ["onnxruntime", "torch"])
def test_inferences_do_not_touch_the_statistics_of_batch_normalisation(runtime: Any) -> None:
    module = used_module(4).train()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    inference = prepare(module, TASK.input_shape, device(runtime))
    for _ in range(3):
        inference()
    assert all(torch.equal(module.state_dict()[name], tensor) for name, tensor in before.items())


@pytest.mark.parametrize("runtime", ["onnxruntime", "torch"])
def test_preparing_leaves_the_global_generator_alone(runtime: Any) -> None:
    module = used_module(0)
    before = torch.get_rng_state()
    prepare(module, TASK.input_shape, device(runtime))()
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("threads", [1, 2])
def test_onnxruntime_gets_the_profiles_threads(monkeypatch: pytest.MonkeyPatch, threads: int) -> None:
    sessions = []
    make = onnxruntime.InferenceSession

    def remembered(*args: Any, **kwargs: Any) -> Any:
        sessions.append(make(*args, **kwargs))
        return sessions[-1]

    monkeypatch.setattr(onnxruntime, "InferenceSession", remembered)
    prepare(used_module(0), TASK.input_shape, device(threads=threads))
    (session,) = sessions
    assert session.get_session_options().intra_op_num_threads == threads
    assert session.get_session_options().inter_op_num_threads == 1
    assert session.get_providers() == ["CPUExecutionProvider"]


def test_cuda_without_a_gpu_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(MoonasError) as caught:
        prepare(used_module(0), TASK.input_shape, device("torch", processor="cuda"))
    message = str(caught.value)
    assert "cuda" in message
    assert "GPU" in message
    assert "\n" not in message


def test_a_network_that_cannot_run_says_so_when_it_is_prepared_or_run() -> None:
    module = nn.Linear(7, 3)  # which does not take images of (3, 16, 16)
    with pytest.raises(RuntimeError, match="shapes"):
        prepare(module, TASK.input_shape, device("torch"))()
    with pytest.raises(RuntimeError, match="shapes"):
        prepare(module, TASK.input_shape, device("onnxruntime"))()
