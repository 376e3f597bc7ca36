"""The operations of a network, traced without computing them."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry


@dataclass(frozen=True)
class Operation:
    """One operator call of a forward pass.

    Attributes:
        kind: the name of the ATen operator, as `convolution`, `addmm`, `relu_`.
        input_shape: of its first tensor, batch included.
        output_shape: of its first result, batch included.
        multiply_adds: of convolutions and matrix products; 0 for the rest.
        bytes: moved at least: all tensors read, weights included, and the first result written.
    """

    kind: str
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    multiply_adds: int
    bytes: int


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations: list[Operation] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        inputs, outputs = _tensors(args), _tensors((result,))
        if inputs and outputs and not func.is_view:  # what only allocates is no operation
            count = flop_registry.get(func.overloadpacket)
            flops = count(*args, **(kwargs or {}), out_val=result) if count else 0
            self.operations.append(
                Operation(
                    kind=func.overloadpacket.__name__,
                    input_shape=tuple(inputs[0].shape),
                    output_shape=tuple(outputs[0].shape),
                    multiply_adds=flops // 2,  # PyTorch counts a multiply-add as two
                    bytes=sum(math.prod(t.shape) * t.element_size() for t in (*inputs, outputs[0])),
                )
            )
        return result


def _tensors(values: Sequence[Any]) -> list[torch.Tensor]:
    found: list[torch.Tensor] = []
    for value in values:
        if isinstance(value, torch.Tensor):
            found.append(value)
        elif isinstance(value, list | tuple):
            found += _tensors(value)
    return found


def trace(module: nn.Module, input_shape: Sequence[int], *, batch: int = 1) -> tuple[Operation, ...]:
    """List the operations of one forward pass in evaluation mode.

    The module is copied to PyTorch's meta device, so nothing is computed and its state stays as it is.

    Args:
        module: takes (batch, *input_shape).
        input_shape: of one input, as (channels, height, width).
        batch: inputs of the pass.
    """
    twin = copy.deepcopy(module).to("meta").eval()
    images = torch.empty(batch, *input_shape, device="meta")
    with torch.no_grad(), torch.device("meta"), _Recorder() as recorder:  # tensors it makes itself go there, too
        twin(images)
    return tuple(recorder.operations)
