"""A built network, layer by layer: shapes, parameters, multiply-adds."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from moonas.evaluation.static import analyse_flops

if TYPE_CHECKING:
    from torch import nn

_FEW = 5
"""So many parts are named one by one."""


def layer_table(module: nn.Module, input_shape: Sequence[int], *, depth: int = 2) -> pd.DataFrame:
    """List the layers of a network.

    Args:
        module: is run once, in evaluation mode.
        input_shape: of one input, (channels, height, width) or (length, channels).
        depth: levels of nested modules that are taken apart.

    Returns:
        A row for each layer, in the order in which they are built: `layer, kind, output` (shape without the batch),
        `params, flops` (fvcore's, one a multiply-add). Layers that are not run are left out. What a module that is
        taken apart has or does beside its parts is in a row of its own, so that columns add up to the whole.
    """
    shapes = _output_shapes(module.eval(), input_shape)
    analysis = analyse_flops(module, input_shape)
    flops = analysis.by_module()
    rows = []
    for name, part, children in _layers(module, depth, shapes.keys()):
        params = sum(parameter.numel() for parameter in part.parameters(recurse=not children))
        multiply_adds = int(flops[name] - sum(flops[child] for child in children))
        if not children or params or multiply_adds:
            kind = f"{type(part).__name__}, beside its parts" if children else _kind(part)
            rows.append((name, kind, shapes[name], params, multiply_adds))
    return pd.DataFrame(rows, columns=["layer", "kind", "output", "params", "flops"])


def _layers(
    module: nn.Module, depth: int, run: Container[str], name: str = ""
) -> Iterator[tuple[str, nn.Module, list[str]]]:
    """Name and module of each row, and the names of its parts if they have rows of their own.

    A list of modules is not `run` itself, and no level.
    """
    parts = {f"{name}.{child}".lstrip("."): part for child, part in module.named_children()}
    if name in run and depth < (2 if _is_plain_sequence(module) else 1):
        parts = {}
    if name in run:
        yield name, module, list(parts)
    for part_name, part in parts.items():
        yield from _layers(part, depth - (name in run), run, part_name)


def _is_plain_sequence(module: nn.Module) -> bool:
    """Whether a module is a few layers, one after the other: they are best seen as one."""
    from torch import nn

    return (
        isinstance(module, nn.Sequential)
        and len(module) <= _FEW
        and not any(True for part in module for _ in part.children())
    )


def _kind(module: nn.Module) -> str:
    """Say in a few words what a module is."""
    from torch import nn

    name = type(module).__name__
    if isinstance(module, nn.Conv1d | nn.Conv2d):
        return f"{name} {_convolution(module)}"
    if _is_plain_sequence(module):
        return ", ".join(_kind(part) for part in module.children())
    convolving = list(_convolving(module))
    return f"{name} of {', '.join(convolving)}" if 0 < len(convolving) <= _FEW else name


def _convolving(module: nn.Module) -> Iterator[str]:
    """The convolutions within a module, in sequences and lists taken apart; other modules that have some, by name."""
    from torch import nn

    for part in module.children():
        if isinstance(part, nn.Conv1d | nn.Conv2d):
            yield _convolution(part)
        elif isinstance(part, nn.Sequential | nn.ModuleList | nn.ModuleDict):
            yield from _convolving(part)
        elif any(_convolving(part)):
            yield type(part).__name__


def _convolution(module: Any) -> str:
    """As `3x3 /2 in 32 groups`."""
    kernel = "x".join(map(str, module.kernel_size))
    stride = f" /{module.stride[0]}" if module.stride[0] > 1 else ""
    return f"{kernel}{stride}" + (f" in {module.groups} groups" if module.groups > 1 else "")


def _output_shapes(module: nn.Module, input_shape: Sequence[int]) -> dict[str, tuple[int, ...]]:
    """The shape of the output of each module that is run, by name."""
    import torch

    shapes: dict[str, tuple[int, ...]] = {}

    def remember(name: str) -> Any:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            if isinstance(output, torch.Tensor):
                shapes[name] = tuple(output.shape[1:])

        return hook

    handles = [part.register_forward_hook(remember(name)) for name, part in module.named_modules()]
    try:
        with torch.inference_mode():
            module(torch.zeros(1, *input_shape))
    finally:
        for handle in handles:
            handle.remove()
    return shapes
