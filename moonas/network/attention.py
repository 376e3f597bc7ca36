"""The PyTorch modules of transformers. Tokens are (batch, tokens, width) throughout."""

from __future__ import annotations

from collections import OrderedDict
from math import ceil, prod

import torch
from torch import nn
from torch.nn import functional

from moonas.network.architecture import Task
from moonas.network.layers import DropPath
from moonas.network.transformer import Transformer

_EPS = 1e-6


class Attention(nn.Module):
    """Multi-head self-attention, spelled out as matrix products: that is what fvcore counts and runtimes fuse."""

    def __init__(self, width: int, heads: int, head_width: int):
        super().__init__()
        self.heads, self.scale = heads, head_width**-0.5
        self.query_key_value = nn.Linear(width, 3 * heads * head_width)
        self.project = nn.Linear(heads * head_width, width)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Shape stays."""
        split = self.query_key_value(tokens).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        query, key, value = split.unbind(0)  # each (batch, heads, tokens, head_width)
        weights = torch.softmax(query @ key.transpose(-2, -1) * self.scale, dim=-1)
        projected: torch.Tensor = self.project((weights @ value).transpose(1, 2).flatten(2))
        return projected


class EncoderLayer(nn.Module):
    """Attention and a perceptron, each normalised before and added to its input."""

    def __init__(self, network: Transformer, index: int):
        super().__init__()
        layer, width = network.layers[index], network.width
        hidden = max(1, round(width * layer.mlp_ratio))
        self.attend = nn.Sequential(
            nn.LayerNorm(width, eps=_EPS),
            Attention(width, layer.heads, network.head_width),
            nn.Dropout(network.dropout),
        )
        self.think = nn.Sequential(
            nn.LayerNorm(width, eps=_EPS),
            nn.Linear(width, hidden),
            nn.GELU(),
            nn.Dropout(network.dropout),
            nn.Linear(hidden, width),
            nn.Dropout(network.dropout),
        )
        self.drop_path = DropPath(network.drop_path * index / max(1, len(network.layers) - 1))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Shape stays."""
        tokens = tokens + self.drop_path(self.attend(tokens))
        thought: torch.Tensor = tokens + self.drop_path(self.think(tokens))
        return thought


class Embedding(nn.Module):
    """Patches as tokens, a class token before them if there is one, and where they lie."""

    def __init__(self, network: Transformer, shape: tuple[int, ...]):
        """Embed inputs of `shape`, (channels, height, width) or (length, channels)."""
        super().__init__()
        self.is_sequence = len(shape) == 2
        channels, sides = (shape[1], shape[:1]) if self.is_sequence else (shape[0], shape[1:])
        counts = [ceil(side / network.patch) for side in sides]
        missing = [count * network.patch - side for count, side in zip(counts, sides, strict=True)]
        self.padding = [amount for each in reversed(missing) for amount in (0, each)]
        convolution = nn.Conv1d if self.is_sequence else nn.Conv2d
        self.patches = convolution(channels, network.width, network.patch, stride=network.patch)
        with_class = network.pooling == "class_token"
        self.class_token = nn.Parameter(torch.zeros(1, 1, network.width)) if with_class else None
        self.positions = nn.Parameter(torch.empty(1, prod(counts) + with_class, network.width))
        self.dropout = nn.Dropout(network.dropout)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """(batch, *shape) -> (batch, tokens, width)."""
        if self.is_sequence:
            inputs = inputs.transpose(1, 2)  # (batch, channels, length)
        if any(self.padding):
            inputs = functional.pad(inputs, self.padding)
        tokens = self.patches(inputs).flatten(2).transpose(1, 2)
        if self.class_token is not None:
            tokens = torch.cat([self.class_token.expand(tokens.shape[0], -1, -1), tokens], dim=1)
        embedded: torch.Tensor = self.dropout(tokens + self.positions)
        return embedded


class Pool(nn.Module):
    """One token for all."""

    def __init__(self, pooling: str):
        super().__init__()
        self.pooling = pooling

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """(batch, tokens, width) -> (batch, width)."""
        return tokens[:, 0] if self.pooling == "class_token" else tokens.mean(dim=1)


def build_transformer(network: Transformer, task: Task) -> nn.Sequential:
    """Build the module: (batch, *task.input_shape) -> logits (batch, task.classes)."""
    layers = OrderedDict[str, nn.Module]()
    layers["embedding"] = Embedding(network, task.input_shape)
    for i in range(len(network.layers)):
        layers[f"layer{i}"] = EncoderLayer(network, i)
    layers["norm"] = nn.LayerNorm(network.width, eps=_EPS)
    layers["pool"] = Pool(network.pooling)
    layers["classifier"] = nn.Linear(network.width, task.classes)
    module = nn.Sequential(layers)
    _initialise(module)
    return module


def _initialise(module: nn.Module) -> None:
    """Draw from a normal distribution of deviation 0.02, as Touvron et al., 2020, arXiv:2012.12877, do; biases zero."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d):
            nn.init.trunc_normal_(layer.weight, std=0.02)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, Embedding):
            nn.init.trunc_normal_(layer.positions, std=0.02)
            if layer.class_token is not None:
                nn.init.trunc_normal_(layer.class_token, std=0.02)
