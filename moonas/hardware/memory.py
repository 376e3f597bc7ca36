"""Peak memory: how much a network's activations take at once during one inference."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence

from torch import nn

from moonas.hardware.held import held_bytes
from moonas.hardware.kernels import divide
from moonas.hardware.trace import INPUT, Operation, trace

_FLOAT_BYTES = 4


def peak_activation_bytes(
    module: nn.Module,
    input_shape: Sequence[int],
    *,
    runtime: str,
    fusion: Collection[str] = (),
    batch: int = 1,
    trace: Callable[..., Sequence[Operation]] = trace,
) -> int:
    """The most bytes of activations that one inference holds at once, by what its runtime keeps and for how long.

    Eager PyTorch keeps what its Python code names, see `held_bytes`; others what is still needed, see `needed_bytes`.
    Left out are the work buffers inside an operator (of a convolution: copies in other layouts, columns, transformed
    weights), channels padded to whole blocks, what an allocator rounds up, and the runtime's own code and data. With 8
    bits in place of 32, activations take a quarter.

    Args:
        module: takes (batch, *input_shape); stays as it is.
        input_shape: of one input, as (channels, height, width).
        runtime: `torch` is eager PyTorch.
        fusion: kinds of operations that another runtime computes with the one before.
        batch: inputs of one inference.
        trace: lists the operations, as `moonas.hardware.trace.trace` does.
    """
    if runtime == "torch":
        return held_bytes(module, input_shape, batch=batch)
    operations = trace(module, input_shape, batch=batch)
    return needed_bytes(operations, fusion, input_bytes=_FLOAT_BYTES * batch * math.prod(input_shape))


def needed_bytes(operations: Sequence[Operation], fusion: Collection[str], *, input_bytes: int) -> int:
    """The most bytes of activations, in 32 bits each, that are needed at once in the order of the trace.

    A result is kept from the kernel that makes it through the last that reads it, the network's own to the end, and its
    input always, as it is the caller's. While a kernel is computed there are its inputs, its result and all that later
    ones read: the "operator breadth" of Pisarchyk and Lee (2020, arXiv 2001.03288), whose maximum no way of placing
    buffers can undercut. Other orders might need less, which Liberis and Lane make use of (2019, arXiv 1910.05110).

    Nothing is made by what works in place, nor between operations that are computed as one. A sum that joins a
    convolution is written over what it adds, if nobody else needs that, as ONNX Runtime does.

    Args:
        operations: as `trace` gives them.
        fusion: kinds of operations that the runtime computes with the one before; see `divide`.
        input_bytes: of the network's input.
    """
    operations, kernels = divide(operations, fusion)
    kernels.sort(key=lambda kernel: kernel[-1])  # each when all that it reads is there
    last_use = _last_uses(operations, kernels)
    kept, most = {INPUT: input_bytes}, input_bytes
    for step, kernel in enumerate(kernels):
        result, size = kernel[-1], _FLOAT_BYTES * math.prod(operations[kernel[-1]].output_shape)
        free = (made for made in kept if last_use[made] == step and kept[made] == size)
        overwritten = next((made for made in free if made in _written_over(operations, kernel)), None)
        if overwritten is not None:
            del kept[overwritten]
        kept[result] = size
        most = max(most, sum(kept.values()))
        kept = {made: taken for made, taken in kept.items() if last_use[made] > step}
    return most


def _last_uses(operations: Sequence[Operation], kernels: Sequence[Sequence[int]]) -> dict[int | None, int]:
    """Which kernel reads a result last: its own if none does, none if it is the network's, or its input."""
    uses: dict[int | None, int] = {kernel[-1]: step for step, kernel in enumerate(kernels)}
    for step, kernel in enumerate(kernels):
        uses.update((made, step) for number in kernel for made in operations[number].inputs)
    given_back = (number for number, operation in enumerate(operations) if operation.is_result)
    return uses | dict.fromkeys([INPUT, *given_back], len(kernels))


def _written_over(operations: Sequence[Operation], kernel: Sequence[int]) -> set[int | None]:
    """What is read by operations in place, or by those that join others, and by nothing else of the kernel."""
    writers = {number for number in kernel if number != kernel[0] or operations[number].kind.endswith("_")}
    read, read_elsewhere = (
        {made for number in numbers for made in operations[number].inputs} for numbers in (writers, {*kernel} - writers)
    )
    return read - read_elsewhere
