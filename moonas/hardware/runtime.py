"""A module made ready to run on a device: a call that does one inference and returns when it is done."""

from __future__ import annotations

import copy
import io
import warnings
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import torch
from torch import nn

from moonas.errors import MoonasError
from moonas.hardware.device import DeviceProfile
from moonas.hardware.replay import Replayed, straight

Inference = Callable[[], Any]


def prepare(module: nn.Module, input_shape: Sequence[int], device: DeviceProfile) -> Inference:
    """Load a module into the device's runtime.

    Args:
        module: takes (batch, *input_shape).
        input_shape: of one input, as (channels, height, width).
        device: where and how it will run.

    Returns:
        A call without arguments for one inference on fixed random inputs of (device.batch, *input_shape).
    """
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(device.batch, *input_shape, generator=generator)
    if device.runtime == "onnxruntime":
        return _in_onnxruntime(to_onnx(module.eval(), images), (images,), device)
    return _in_torch(module.eval(), (images,), device)


def prepare_parts(
    module: Replayed, inputs: Sequence[torch.Tensor], device: DeviceProfile, *, copies: int
) -> list[Inference]:
    """Load a module as often as wanted, to be run as a part of a network.

    Each copy has weights of its own. Results stay with the runtime, and all parts use the same working memory.

    Args:
        module: takes the inputs.
        inputs: batches included.
        device: where and how it will run.
        copies: how many.
    """
    module.eval()
    if device.runtime == "onnxruntime":
        exported = to_onnx(module, *inputs)
        return [_in_onnxruntime(exported, inputs, device, is_part=True) for _ in range(copies)]
    plain = straight(module)
    return [_in_torch(copy.deepcopy(plain), inputs, device) for _ in range(copies)]


def to_onnx(module: nn.Module, *inputs: torch.Tensor) -> bytes:
    """Export a module in evaluation mode to ONNX, with inputs of the shapes of these.

    The TorchScript exporter takes milliseconds where the newer one takes seconds, and a search exports every candidate.
    """
    buffer: Any = io.BytesIO()  # which the exporter takes, but does not say so
    names = ["input", *(f"input_{i}" for i in range(1, len(inputs)))]
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.filterwarnings("ignore", "ONNX export mode", UserWarning)  # of norms by statistics of what comes
        warnings.filterwarnings("ignore", "Constant folding", UserWarning)  # padding; onnxruntime folds what is left
        torch.onnx.export(module, inputs, buffer, dynamo=False, input_names=names, output_names=["logits"])
    exported: bytes = buffer.getvalue()
    return exported


def _in_onnxruntime(
    exported: bytes, inputs: Sequence[torch.Tensor], device: DeviceProfile, *, is_part: bool = False
) -> Inference:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = device.threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    if device.threads == 1:
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # nobody to wait for
    if is_part:
        _share_memory()
        options.add_session_config_entry("session.use_env_allocators", "1")
    session = onnxruntime.InferenceSession(exported, options, providers=["CPUExecutionProvider"])
    feed = {each.name: tensor.numpy() for each, tensor in zip(session.get_inputs(), inputs, strict=True)}
    if not is_part:
        return lambda: session.run(None, feed)
    binding = session.io_binding()
    for name, array in feed.items():
        binding.bind_cpu_input(name, array)
    for output in session.get_outputs():
        binding.bind_output(output.name, "cpu")
    return lambda: session.run_with_iobinding(binding)


@cache
def _share_memory() -> None:
    """Make the allocator that sessions may share; ONNX Runtime knows one for each process."""
    import onnxruntime

    kind, place = onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, onnxruntime.OrtMemType.DEFAULT
    memory = onnxruntime.OrtMemoryInfo("Cpu", kind, 0, place)
    onnxruntime.create_and_register_allocator(memory, onnxruntime.OrtArenaCfg(0, -1, -1, -1))


def _in_torch(module: nn.Module, inputs: Sequence[torch.Tensor], device: DeviceProfile) -> Inference:
    if device.processor == "cuda" and not torch.cuda.is_available():
        raise MoonasError("device.processor is cuda, but PyTorch sees no GPU here")
    module = module.to(device.processor)
    given = [each.to(device.processor) for each in inputs]

    def infer() -> None:
        with torch.inference_mode():
            module(*given)

    return infer
