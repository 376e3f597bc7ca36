"""Nesterov SGD under a one-cycle schedule, and one step of it: plain, or replayed from a CUDA graph."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import nn

from moonas.spec.training import TrainingSpec

Loss = Callable[[torch.Tensor, torch.Tensor], list[torch.Tensor]]
"""From inputs and labels to the losses to be added up, the main one first."""
Step = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""One step on a batch; gives the main loss before it."""
_START = 1 / 25
"""The first learning rate as a share of the peak."""
_WARM_UPS = 3
"""Steps before a CUDA graph is captured, as PyTorch wants it."""


def one_cycle(step: int, *, steps: int) -> float:
    """The learning rate of a step as a share of the peak: up in the first quarter, down to zero, both as cosines."""
    peak = 0.25 * steps
    if step < peak:
        return _START + (1 - _START) * (1 - math.cos(math.pi * step / peak)) / 2
    return (1 + math.cos(math.pi * min(step - peak, steps - peak) / (steps - peak))) / 2


def sgd(module: nn.Module, recipe: TrainingSpec) -> torch.optim.SGD:
    """The optimizer of a recipe: what multiplies decays, the rest does not."""
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in parameters if _multiplies(p)], "weight_decay": recipe.weight_decay},
        {"params": [p for p in parameters if not _multiplies(p)], "weight_decay": 0.0},
    ]
    return torch.optim.SGD(
        [group for group in groups if group["params"]],
        # A graph holds addresses, not values: there the learning rate is a tensor, to be written into.
        lr=torch.tensor(0.0, device="cuda") if any(p.is_cuda for p in parameters) else 0.0,
        momentum=recipe.momentum,
        nesterov=recipe.momentum > 0,
        fused=True,
    )


def _multiplies(parameter: torch.Tensor) -> bool:
    """Whether a parameter is a matrix or a kernel: neither a vector nor tokens or positions, (1, tokens, width)."""
    return parameter.ndim > 1 and not (parameter.ndim == 3 and len(parameter) == 1)


def set_learning_rate(optimizer: torch.optim.SGD, rate: float) -> None:
    """Set the learning rate of the next step."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], torch.Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


def plain_step(loss: Loss, optimizer: torch.optim.SGD) -> Step:
    """A step as everybody writes it."""

    def step(inputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        optimizer.zero_grad()
        main, *others = loss(inputs, labels)
        sum(others, main).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return main.detach()

    return step


def graphed_step(
    module: nn.Module, loss: Loss, optimizer: torch.optim.SGD, inputs: torch.Tensor, labels: torch.Tensor
) -> Step:
    """A step captured in a CUDA graph: one launch in place of hundreds, which small networks wait for most of the time.

    Args:
        module: on a GPU; its weights are after this as they were before.
        loss: without anything that the CPU must know, as sizes that depend on data.
        optimizer: of its parameters, with a tensor for a learning rate.
        inputs: a batch of the only size that the step will take.
        labels: of the batch.

    Raises:
        RuntimeError: if it cannot be captured; module and optimizer are then as they were, too.
    """
    inputs, labels = inputs.clone(), labels.clone()
    step, before = plain_step(loss, optimizer), copy.deepcopy(module.state_dict())
    set_learning_rate(optimizer, 0.0)
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    side.wait_stream(torch.cuda.current_stream())
    try:
        with torch.cuda.stream(torch.cuda.current_stream()):  # a capture that fails would leave its own as current
            with torch.cuda.stream(side), _without_waiting():
                for _ in range(_WARM_UPS):
                    step(inputs, labels)
            torch.cuda.current_stream().wait_stream(side)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                main = step(inputs, labels)
    except BaseException:
        torch.cuda.synchronize()  # the warm-ups may still be writing
        optimizer.state.clear()
        raise
    finally:
        module.load_state_dict(before)
    for state in optimizer.state.values():  # momentum of nothing is none
        state["momentum_buffer"].zero_()

    def replay(new_inputs: torch.Tensor, new_labels: torch.Tensor) -> torch.Tensor:
        inputs.copy_(new_inputs)
        labels.copy_(new_labels)
        graph.replay()
        return main.clone()

    return replay


@contextmanager
def _without_waiting() -> Iterator[None]:
    """Refuse what makes the CPU wait for the GPU: in a capture that would fail, too, but leave generators in it."""
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode(before)
