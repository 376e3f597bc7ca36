import io
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from fvcore.nn import FlopCountAnalysis
from torch import nn

import moonas
from moonas import content
from moonas.errors import MoonasError
from moonas.hardware.device import DeviceProfile
from moonas.hardware.runtime import prepare, to_onnx
from moonas.hardware.trace import trace
from moonas.registry import ENCODINGS
from moonas.spec.encoding import load_encoding

SHIPPED = sorted(path.stem for path in content.shipped_folder("encodings").glob("*.yaml"))
TASK = moonas.Task((3, 20, 20), 7)


def random_modules(name: str, count: int) -> list[nn.Module]:
    spec = load_encoding(str(content.shipped_folder("encodings") / f"{name}.yaml"))
    encoding = ENCODINGS.load(spec.family)(spec.tree())
    random = np.random.default_rng(5)
    return [encoding.decode(encoding.sample(random)).build(TASK).eval() for _ in range(count)]


@pytest.mark.parametrize("name", SHIPPED)
def test_multiply_adds_of_convolutions_and_products_are_fvcores(name: str) -> None:
    for module in random_modules(name, 6):
        analysis = FlopCountAnalysis(module, torch.zeros(1, *TASK.input_shape))
        analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        by_operator = analysis.by_operator()
        expected = by_operator["conv"] + by_operator["linear"]
        assert sum(operation.multiply_adds for operation in trace(module, TASK.input_shape)) == expected


def test_bytes_and_shapes_of_a_convolution_by_hand() -> None:
    (operation,) = trace(nn.Conv2d(3, 8, 3, padding=1, bias=False), (3, 10, 12), batch=2)
    assert operation.kind == "convolution"
    assert operation.input_shape == (2, 3, 10, 12)
    assert operation.output_shape == (2, 8, 10, 12)
    assert operation.multiply_adds == 2 * 8 * 10 * 12 * 3 * 9
    assert operation.bytes == 4 * (2 * 3 * 10 * 12 + 8 * 3 * 9 + 2 * 8 * 10 * 12)


def test_functional_calls_and_additions_are_seen() -> None:
    class Net(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.relu(x + x.mean(dim=1, keepdim=True))

    assert [operation.kind for operation in trace(Net(), (3, 4, 4))] == ["mean", "add", "relu"]


def test_tracing_leaves_the_module_as_it_was() -> None:
    module = random_modules("tiny_cnn", 1)[0].train()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    trace(module, TASK.input_shape)
    assert module.training
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert {parameter.device.type for parameter in module.parameters()} == {"cpu"}


def device(**changes: Any) -> DeviceProfile:
    fields: dict[str, Any] = {"name": "d", "kind": "measured", "processor": "cpu", "runtime": "onnxruntime"}
    return DeviceProfile(**fields | {"threads": 1, "batch": 3, "rounds": 2, "round_ms": 1.0} | changes)


@pytest.mark.parametrize("name", SHIPPED)
def test_onnx_runtime_computes_what_pytorch_computes(name: str) -> None:
    images = torch.randn(2, *TASK.input_shape, generator=torch.Generator().manual_seed(1))
    for module in random_modules(name, 4):
        session = onnxruntime.InferenceSession(io.BytesIO(to_onnx(module, images)).getvalue())
        (logits,) = session.run(None, {"input": images.numpy()})
        with torch.no_grad():
            np.testing.assert_allclose(logits, module(images).numpy(), atol=1e-5)


@pytest.mark.parametrize("runtime", ["onnxruntime", "torch"])
def test_a_prepared_module_runs_a_batch_in_evaluation_mode(runtime: str) -> None:
    module = random_modules("tiny_cnn", 1)[0].train()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    prepare(module, TASK.input_shape, device(runtime=runtime))()
    assert not module.training
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_not_there_is_said() -> None:
    with pytest.raises(MoonasError, match=r"device\.processor is cuda, but PyTorch sees no GPU here"):
        prepare(nn.Identity(), (1, 2, 2), device(runtime="torch", processor="cuda"))


def test_a_device_says_how_its_latency_is_to_be_read() -> None:
    assert device(batch=1).describe() == "measured, ONNX Runtime on CPU, 1 thread, batch 1"
    assert device(runtime="torch", threads=2).describe() == "measured, PyTorch on CPU, 2 threads, batch 3"
    assert device(runtime="torch", processor="cuda").describe() == "measured, PyTorch on CUDA, batch 3"
