"""Numbers of 32 bits or of 16: chosen by trying both on the machine at hand, and applied to a module."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import nn

from moonas.training.depthwise import computing_by, fast_depthwise

Precision = Literal["float32", "bfloat16"]
_WORTHWHILE = 1.15
"""How much faster bfloat16 must be: it is the less exact."""
_TRIES = 9
_TRIED = (64, 48, 16, 16)
"""What is timed: images, channels, height, width."""
_FEWEST_PIXELS = 8192
"""In a batch: 64 images of 8x8 hold 4,096, of 14x14 12,544."""


def fastest_precision(processor: str, *, pixels: int) -> Precision:
    """Time the training of dense convolutions in both precisions on the CPU, with one thread, and choose.

    What a processor says that it can do does not tell how fast it does it. What is timed is always the same and large
    enough that the answer is the machine's, not the moment's: two runs of one problem shall train alike. Untried stay
    in 32 bits small batches, where conversions cost about what they save, and GPUs, which take longer to prepare for
    bfloat16 than short trainings take.

    Args:
        processor: `cpu` or `cuda`.
        pixels: of all images in a batch.
    """
    if processor != "cpu" or pixels < _FEWEST_PIXELS:
        return "float32"
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            images = torch.randn(_TRIED).to(memory_format=torch.channels_last)
            whole, half = _seconds(images, "float32"), _seconds(images, "bfloat16")
    except RuntimeError:  # not supported
        return "float32"
    finally:
        torch.set_num_threads(threads)
    return "bfloat16" if whole > _WORTHWHILE * half else "float32"


def _seconds(images: torch.Tensor, precision: Precision) -> float:
    """The best time of a forward and a backward pass of dense 1x1 and 3x3 convolutions."""
    channels = images.shape[1]
    layers = nn.Sequential(
        nn.Conv2d(channels, 2 * channels, 1, bias=False), nn.Conv2d(2 * channels, channels, 3, padding=1, bias=False)
    )
    layers.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    times = []
    for _ in range(_TRIES):
        start = time.perf_counter()
        with autocast(images.device, precision):
            output = layers(images)
        output.float().sum().backward()
        times.append(time.perf_counter() - start)
    return min(times[1:])


def autocast(device: torch.device, precision: Precision) -> torch.autocast:
    """The context of forward passes."""
    return torch.autocast(
        device.type, dtype=torch.bfloat16, enabled=precision == "bfloat16", cache_enabled=device.type == "cpu"
    )


@contextmanager
def computing_fast(module: nn.Module, device: torch.device, precision: Precision) -> Iterator[None]:
    """Let a module compute what is slow on a CPU in ways that are not: depthwise and grouped convolutions."""
    if device.type != "cpu":
        yield
        return
    with fast_depthwise(module):
        others = [layer for layer in module.modules() if precision == "bfloat16" and _is_slow(layer)]
        with computing_by(_exactly, others):
            yield


def _is_slow(layer: nn.Module) -> bool:
    """Whether a layer is a grouped convolution with no faster way: oneDNN's gradients in bfloat16 may be far slower."""
    return isinstance(layer, nn.Conv2d) and layer.groups > 1 and "forward" not in vars(layer)


def _exactly(layer: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """What a layer computes in 32 bits."""
    with torch.autocast("cpu", enabled=False):
        output: torch.Tensor = type(layer).forward(layer, images.float())
        return output
