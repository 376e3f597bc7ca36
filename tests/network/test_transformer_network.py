"""What transformers read, and what cannot be built."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from moonas.encoding.transformer import TransformerEncoding
from moonas.errors import EncodingError, SpecError
from moonas.network.architecture import Task, architecture_from_dict
from moonas.network.attention import Attention
from moonas.network.transformer import Layer, Transformer
from moonas.spec.load import load_problem
from moonas.spec.transformer import TransformerSpec

SMALL = Transformer(4, 16, (Layer(2, 2), Layer(1, 1)), head_width=8)


@pytest.mark.parametrize("shape", [(3, 28, 30), (1, 4, 4), (50, 9), (4, 1)])
@pytest.mark.parametrize("pooling", ["class_token", "mean"])
def test_images_and_sequences_of_any_size_give_logits(shape: tuple[int, ...], pooling: str) -> None:
    network = Transformer(4, 16, SMALL.layers, head_width=8, pooling=pooling)
    assert network.build(Task(shape, 6))(torch.randn(2, *shape)).shape == (2, 6)


@pytest.mark.parametrize("shape", [(1, 3, 8), (3, 8)])
def test_an_input_smaller_than_a_patch_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(EncodingError, match="3 pixels or steps is too small for patches of 4"):
        SMALL.build(Task(shape, 2))


def test_attention_is_that_of_pytorch() -> None:
    torch.manual_seed(0)
    ours, theirs = Attention(16, 2, 8), torch.nn.MultiheadAttention(16, 2, batch_first=True)
    theirs.in_proj_weight.data = ours.query_key_value.weight.data
    theirs.in_proj_bias.data = ours.query_key_value.bias.data
    theirs.out_proj.load_state_dict(ours.project.state_dict())
    tokens = torch.randn(3, 7, 16)
    torch.testing.assert_close(ours(tokens), theirs(tokens, tokens, tokens)[0])


def test_the_description_is_read_back() -> None:
    assert architecture_from_dict(SMALL.to_dict()) == SMALL


def encoding(**fields: Any) -> TransformerEncoding:
    whole = {"patch": 4, "width": 16, "head_width": 8, "depth": (1, 2), "layers": [{"heads": (1, 2)}] * 2}
    return TransformerEncoding(TransformerSpec(name="space", family="transformer", **{**whole, **fields}).tree())


def test_layers_beyond_the_depth_are_left_out_and_inactive() -> None:
    space = encoding()  # the genes: depth, heads of either layer
    assert space.decode((0, 1, 1)) == Transformer(4, 16, (Layer(2),), head_width=8)
    assert space.active((0, 1, 1)) == (True, True, False)
    assert space.canonical((0, 1, 1)) == (0, 1, 0)


def test_one_layer_stands_for_all() -> None:
    space = encoding(layers=[{"heads": (1, 2)}])
    assert space.decode((1, 1)) == Transformer(4, 16, (Layer(2), Layer(2)), head_width=8)
    with pytest.raises(EncodingError, match="outside"):
        space.encode(Transformer(4, 16, (Layer(2), Layer(1)), head_width=8))


def test_too_few_layers_are_explained() -> None:
    problem = {
        "encoding": {"family": "transformer", "patch": 4, "width": 8, "depth": [2, 3], "layers": [{"heads": 1}] * 2},
        "task": {"input_shape": [50, 9], "classes": 6},
        "objectives": [{"metric": "params"}],
    }
    with pytest.raises(SpecError, match="layers: must hold one layer for all, or 3, the greatest depth; holds 2"):
        load_problem(problem)
