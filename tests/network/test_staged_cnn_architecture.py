"""What descriptions of staged CNNs can be built, and for which tasks."""

from __future__ import annotations

import pytest
import torch

from moonas.errors import EncodingError, MoonasError
from moonas.network.architecture import Task, architecture_from_dict
from moonas.network.staged_cnn import Stage, StagedCNN, Stem


def halving(times: int) -> StagedCNN:
    return StagedCNN(Stem(4), tuple(Stage("plain", 1, 4, 3, 2) for _ in range(times)))


@pytest.mark.parametrize(("side", "times"), [(2, 1), (3, 2), (8, 3), (9, 4), (28, 5)])
def test_strides_may_bring_an_input_down_to_one_pixel(side: int, times: int) -> None:
    module = halving(times).build(Task((1, side, side), 2)).eval()
    assert module[: times + 1](torch.randn(1, 1, side, side)).shape[2:] == (1, 1)


@pytest.mark.parametrize(("side", "times"), [(1, 1), (2, 2), (8, 4), (9, 5), (28, 6)])
def test_strides_that_outgrow_the_input_are_refused(side: int, times: int) -> None:
    with pytest.raises(EncodingError, match=f"{side} pixels.*stage {times - 1}.*stride is 2"):
        halving(times).build(Task((1, side, side), 2))


def test_a_stem_that_outgrows_the_input_is_refused() -> None:
    with pytest.raises(EncodingError, match="stem"):
        StagedCNN(Stem(4, stride=3), ()).build(Task((1, 2, 2), 2))


@pytest.mark.parametrize("shape", [(1, 4, 100), (1, 100, 4)])
def test_the_smaller_side_counts(shape: tuple[int, int, int]) -> None:
    halving(2).build(Task(shape, 2))
    with pytest.raises(EncodingError, match="4 pixels"):
        halving(3).build(Task(shape, 2))


@pytest.mark.parametrize("block", ["plain", "residual", "separable"])
def test_an_expansion_that_no_block_uses_makes_no_other_network(block: str) -> None:
    """Architectures are equal if they mean the same network; so this is refused, or the same as without it."""
    fields = {"block": block, "depth": 1, "width": 4, "kernel": 3, "stride": 1}
    description = {
        "family": "staged_cnn",
        "stem": {"width": 4},
        "stages": [{**fields, "expansion": 4}],
        "head": {"width": 0},
    }
    try:
        read = architecture_from_dict(description)
    except MoonasError:
        return
    assert read.key == StagedCNN(Stem(4), (Stage(**fields),)).key


@pytest.mark.parametrize(
    ("field", "value"),
    [("depth", 0), ("block", "plian"), ("block", "Residual"), ("kernel", 4), ("width", 0), ("stride", 0)],
)
def test_a_description_that_means_no_network_is_refused_not_built_as_another(field: str, value: object) -> None:
    """As an architecture.json edited by hand may hold: depth 0 must not become one block, nor an error be torch's."""
    fields = {"block": "plain", "depth": 1, "width": 4, "kernel": 3, "stride": 1, "expansion": 1, field: value}
    description = {"family": "staged_cnn", "stem": {"width": 4}, "stages": [fields], "head": {"width": 0}}
    with pytest.raises(MoonasError, match=field):
        architecture_from_dict(description).build(Task((1, 8, 8), 2))


@pytest.mark.parametrize(
    "change",
    [{"stem": None}, {"stages": None}, {"stem": {"width": 4, "colour": 3}}, {"stages": [{"block": "plain"}]}],
    ids=["no stem", "no stages", "unknown field", "missing fields"],
)
def test_a_malformed_description_is_refused_as_a_mistake_of_the_user(change: dict[str, object]) -> None:
    description: dict[str, object] = {"family": "staged_cnn", "stem": {"width": 4}, "stages": [], "head": {"width": 0}}
    description |= change
    description = {name: value for name, value in description.items() if value is not None}
    with pytest.raises(MoonasError):
        architecture_from_dict(description)
