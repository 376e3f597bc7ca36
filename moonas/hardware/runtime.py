"""A module made ready to run on a device: a call that does one inference and returns when it is done."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from moonas.errors import MoonasError
from moonas.hardware.device import DeviceProfile

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
        return _prepare_onnxruntime(module.eval(), images, device)
    return _prepare_torch(module.eval(), images, device)


def to_onnx(module: nn.Module, images: torch.Tensor) -> bytes:
    """Export a module in evaluation mode to ONNX, with inputs of the shape of `images`.

    The TorchScript exporter takes milliseconds where the newer one takes seconds, and a search exports every candidate.
    """
    buffer: Any = io.BytesIO()  # which the exporter takes, but does not say so
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.filterwarnings("ignore", "Constant folding", UserWarning)  # padding; onnxruntime folds what is left
        torch.onnx.export(module, (images,), buffer, dynamo=False, input_names=["input"], output_names=["logits"])
    exported: bytes = buffer.getvalue()
    return exported


def _prepare_onnxruntime(module: nn.Module, images: torch.Tensor, device: DeviceProfile) -> Inference:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = device.threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    if device.threads == 1:
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # nobody to wait for
    session = onnxruntime.InferenceSession(to_onnx(module, images), options, providers=["CPUExecutionProvider"])
    feed = {"input": images.numpy()}
    return lambda: session.run(None, feed)


def _prepare_torch(module: nn.Module, images: torch.Tensor, device: DeviceProfile) -> Inference:
    if device.processor == "cuda" and not torch.cuda.is_available():
        raise MoonasError("device.processor is cuda, but PyTorch sees no GPU here")
    module, images = module.to(device.processor), images.to(device.processor)

    def infer() -> None:
        with torch.inference_mode():
            module(images)

    return infer
