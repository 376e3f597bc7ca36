"""Classifiers within a network, which only its training has."""

from __future__ import annotations

from typing import Any, TypeVar

import torch
from torch import nn

Module = TypeVar("Module", bound=nn.Module)


class AuxiliaryHead(nn.Module):
    """A classifier by the features of a middle layer (Szegedy et al., 2014, arXiv:1409.4842).

    In training it keeps its logits, which `weighted_logits` collects; otherwise it does nothing.
    """

    def __init__(self, layers: nn.Module, weight: float):
        """Wrap `layers`, features -> logits, whose loss counts `weight` times."""
        super().__init__()
        self.layers = layers
        self.weight = weight
        self.logits: torch.Tensor | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the logits, whose history can be neither copied nor pickled."""
        return {**vars(self), "logits": None}

    def forward(self, features: torch.Tensor) -> None:
        """Classify a batch of features, in training."""
        if self.training:
            self.logits = self.layers(features)


def weighted_logits(module: nn.Module, inputs: torch.Tensor) -> list[tuple[float, torch.Tensor]]:
    """Run a network in training mode.

    Returns:
        Weights in the loss, and logits (batch, classes): the network's own first, then its auxiliary heads'.
    """
    heads = [part for part in module.modules() if isinstance(part, AuxiliaryHead)]
    for head in heads:
        head.logits = None
    logits: torch.Tensor = module(inputs)
    return [(1.0, logits), *((head.weight, head.logits) for head in heads if head.logits is not None)]


def without_auxiliary_heads(module: Module) -> Module:
    """Take the auxiliary heads off a network, which is then as it will be deployed."""
    for part in list(module.modules()):
        for name, child in part.named_children():
            if isinstance(child, AuxiliaryHead):
                setattr(part, name, nn.Identity())
    return module
