from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from fvcore.nn import FlopCountAnalysis
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from moonas.content import shipped_folder
from moonas.encoding.catalogue import encoding_of
from moonas.hardware.trace import INPUT, Operation, trace
from moonas.network.architecture import Task
from moonas.spec.encoding import load_encoding

FOR_ANY_SIDE = ("darts", "nas_bench_201", "sequence", "small_cnn", "tiny_cnn")
SHIPPED = sorted(path.stem for path in shipped_folder("encodings").glob("*.yaml"))
FLOAT = 4


def random_module(name: str, seed: int, task: Task) -> nn.Module:
    encoding = encoding_of(load_encoding(name))
    return encoding.decode(encoding.sample(np.random.default_rng(seed))).build(task)


def fvcore_multiply_adds(module: nn.Module, input_shape: tuple[int, ...]) -> int:
    """Convolutions and matrix products alone."""
    analysis: Any = FlopCountAnalysis(module, torch.zeros(1, *input_shape))
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    counts = analysis.by_operator()
    return int(counts["conv"] + counts["linear"] + counts["matmul"])


def only(module: nn.Module, *input_shape: int, batch: int = 1) -> Operation:
    (operation,) = trace(module, input_shape, batch=batch)
    return operation


@pytest.mark.parametrize("name", SHIPPED)
@settings(deadline=None, max_examples=8)
@given(seed=st.integers(0, 10_000), side=st.sampled_from([8, 12, 28, 32]), channels=st.sampled_from([1, 3]))
def test_multiply_adds_are_those_of_fvcore(name: str, seed: int, side: int, channels: int) -> None:
    if name not in FOR_ANY_SIDE:
        side = max(side, 28)  # their strides outgrow smaller images, or their patches do
    task = Task((channels, side, side), 10)
    module = random_module(name, seed, task).eval()
    operations = trace(module, task.input_shape)
    assert sum(operation.multiply_adds for operation in operations) == fvcore_multiply_adds(module, task.input_shape)


@pytest.mark.parametrize("training", [False, True])
def test_tracing_leaves_a_module_as_it_was(training: bool) -> None:
    module = random_module("small_cnn", 3, Task((3, 16, 16), 10)).train(training)
    modes = [part.training for part in module.modules()]
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    trace(module, (3, 16, 16))
    after = module.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    assert all(tensor.device.type == "cpu" for tensor in after.values())
    assert [part.training for part in module.modules()] == modes


def test_a_convolution_counted_by_hand() -> None:
    # 8x8 -> 4x4; each output is a sum over 3 channels of 3x3 pixels.
    operation = only(nn.Conv2d(3, 5, 3, stride=2, padding=1), 3, 8, 8)
    assert operation.kind == "convolution"
    assert operation.input_shape == (1, 3, 8, 8)
    assert operation.output_shape == (1, 5, 4, 4)
    assert operation.multiply_adds == 5 * 4 * 4 * (3 * 3 * 3)
    assert operation.bytes == FLOAT * (3 * 8 * 8 + 5 * 3 * 3 * 3 + 5 + 5 * 4 * 4)


def test_a_depthwise_convolution_counted_by_hand() -> None:
    operation = only(nn.Conv2d(6, 6, 5, padding=2, groups=6, bias=False), 6, 7, 9)
    assert operation.multiply_adds == 6 * 7 * 9 * 5 * 5
    assert operation.bytes == FLOAT * (6 * 7 * 9 * 2 + 6 * 5 * 5)


def test_a_linear_layer_counted_by_hand() -> None:
    operation = only(nn.Linear(7, 5), 7)
    assert operation.multiply_adds == 7 * 5
    assert operation.output_shape == (1, 5)
    assert operation.bytes == FLOAT * (7 + 7 * 5 + 5 + 5)


class Product(nn.Module):
    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return torch.bmm(inputs, inputs.transpose(1, 2))


def test_a_product_of_matrices_counted_by_hand() -> None:
    assert sum(operation.multiply_adds for operation in trace(Product(), (4, 6))) == 4 * 6 * 4


def test_batch_normalisation_reads_its_input_and_four_vectors_and_writes_its_output() -> None:
    operation = only(nn.BatchNorm2d(6), 6, 5, 5)
    assert operation.multiply_adds == 0
    assert operation.bytes == FLOAT * (2 * 6 * 5 * 5 + 4 * 6)


@pytest.mark.parametrize("inplace", [False, True])
def test_an_activation_reads_and_writes_once(inplace: bool) -> None:
    operation = only(nn.ReLU(inplace=inplace), 6, 5, 5)
    assert operation.kind.startswith("relu")
    assert operation.multiply_adds == 0
    assert operation.bytes == FLOAT * 2 * 6 * 5 * 5


class Cat(nn.Module):
    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return torch.cat([inputs, inputs, inputs], dim=1)


def test_tensors_in_lists_are_read_too() -> None:
    operation = only(Cat(), 2, 5)
    assert operation.output_shape == (1, 6, 5)
    assert operation.bytes == FLOAT * (3 * 10 + 30)


def test_views_are_no_operations() -> None:
    assert trace(nn.Flatten(), (2, 5, 5)) == ()


def test_the_operations_are_those_of_the_network_in_order() -> None:
    module = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)
    )
    kinds = [operation.kind for operation in trace(module, (1, 8, 8))]
    assert len(kinds) == 5
    assert kinds[0] == "convolution"
    assert "norm" in kinds[1]
    assert kinds[2] == "relu"
    assert kinds[4] == "addmm"


@pytest.mark.parametrize("batch", [1, 2, 16])
def test_a_batch_multiplies_the_work_and_not_the_weights(batch: int) -> None:
    module = nn.Conv2d(3, 5, 3, padding=1, bias=False)
    operation = only(module, 3, 8, 8, batch=batch)
    assert operation.input_shape == (batch, 3, 8, 8)
    assert operation.output_shape == (batch, 5, 8, 8)
    assert operation.multiply_adds == batch * 5 * 8 * 8 * 27
    weights = FLOAT * 5 * 3 * 3 * 3
    assert operation.bytes == weights + batch * FLOAT * (3 * 8 * 8 + 5 * 8 * 8)


def test_element_sizes_follow_the_kind_of_number() -> None:
    class Half(nn.Module):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return inputs.half() + 1

    operations = trace(Half(), (10,))
    assert [operation.bytes for operation in operations] == [10 * 4 + 10 * 2, 2 * 10 * 2]


def test_nothing_is_computed() -> None:
    # Weights of a hundred thousand million parameters' worth of work: hours on a processor.
    module = nn.Conv2d(64, 64, 3, padding=1)
    operation = only(module, 64, 20_000, 20_000)
    assert operation.multiply_adds == 64 * 64 * 9 * math.prod((20_000, 20_000))


def test_dropout_is_traced_as_in_evaluation() -> None:
    assert trace(nn.Dropout(0.5).train(), (4, 4)) == ()


def test_a_module_may_make_tensors_of_its_own() -> None:
    class Positions(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images + torch.arange(images.shape[-1])

    assert only(Positions(), 3, 4, 5).kind == "add"


# --- who made what


class Block(nn.Module):
    """One layer, used as a test says."""

    def __init__(self, forward: Callable[[nn.Module, torch.Tensor], Any]):
        super().__init__()
        self.layer = nn.Conv2d(4, 4, 1, bias=False)
        self._forward = forward

    def forward(self, images: torch.Tensor) -> Any:
        return self._forward(self, images)


def makers(forward: Callable[[Any, torch.Tensor], Any]) -> list[tuple[str, tuple[int | None, ...], bool]]:
    return [(each.kind, each.inputs, each.is_result) for each in trace(Block(forward), (4, 2, 2))]


def test_a_residual_reads_the_input_and_what_was_made_of_it() -> None:
    found = makers(lambda block, x: x + block.layer(x))
    assert found == [("convolution", (INPUT, None), False), ("add", (INPUT, 0), True)]


@pytest.mark.parametrize("inplace", [False, True])
def test_what_comes_after_an_activation_reads_it(inplace: bool) -> None:
    found = makers(lambda block, x: nn.functional.relu(block.layer(x), inplace=inplace) * 2)
    assert [inputs for _, inputs, _ in found] == [(INPUT, None), (0,), (1,)]


def test_what_was_changed_in_place_is_read_by_its_old_name() -> None:
    def forward(block: nn.Module, x: torch.Tensor) -> torch.Tensor:
        made = block.layer(x)
        made.flatten(1).relu_()
        return made + 1

    assert makers(forward) == [("convolution", (INPUT, None), False), ("relu_", (0,), False), ("add", (1,), True)]


def test_a_result_that_is_written_part_by_part_depends_on_the_parts() -> None:
    def forward(block: nn.Module, x: torch.Tensor) -> torch.Tensor:
        result = torch.empty(1, 8, 2, 2)
        result[:, :4] = block.layer(x)
        result[:, 4:] = x
        return result

    copies = makers(forward)[-2:]
    assert copies == [("copy_", (None, 0), False), ("copy_", (1, INPUT), True)]


def test_views_keep_their_maker() -> None:
    found = makers(lambda block, x: block.layer(x).transpose(2, 3)[:, ::2].unsqueeze(0) * 2)
    assert found == [("convolution", (INPUT, None), False), ("mul", (0,), True)]


def test_products_of_matrices_are_read_through_their_shapes() -> None:
    found = makers(lambda block, x: (x @ x.transpose(2, 3)).softmax(-1))
    assert found == [("bmm", (INPUT, INPUT), False), ("_softmax", (0,), True)]


def test_all_results_are_known_wherever_a_module_puts_them() -> None:
    results = {"a": lambda x: [x.relu(), x.sigmoid()], "b": lambda x: {"one": x.relu(), "two": (x.sigmoid(),)}}
    for make in results.values():
        assert [each for *_, each in makers(lambda block, x, make=make: make(block.layer(x)))] == [False, True, True]  # type: ignore[misc]


def test_what_depends_on_weights_alone_is_of_nobody() -> None:
    found = makers(lambda block, x: x * block.layer.weight.sum())
    assert found == [("sum", (None,), False), ("mul", (INPUT, None), True)]


@pytest.mark.parametrize("name", SHIPPED)
def test_a_remembered_trace_equals_a_fresh_one(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    task = Task((3, 32, 32), 10)
    networks = [random_module(name, seed, task) for seed in range(3)]
    for network in networks:
        trace(network, task.input_shape)
    remembered = [trace(network, task.input_shape) for network in networks]
    for network, before in zip(networks, remembered, strict=True):
        monkeypatch.setattr("moonas.hardware.trace._known", {})
        assert trace(network, task.input_shape) == before


@pytest.mark.parametrize("name", SHIPPED)
def test_makers_come_before_and_have_what_is_read(name: str) -> None:
    task = Task((3, 32, 32), 10)
    operations = trace(random_module(name, 5, task), task.input_shape)
    for number, operation in enumerate(operations):
        assert all(made is None or INPUT <= made < number for made in operation.inputs)
        assert len(operation.inputs) == len(operation.input_shapes)
    assert [each.output_shape for each in operations if each.is_result] == [(1, 10)]


def test_equal_calls_of_different_networks_are_told_apart_by_their_makers() -> None:
    chain = makers(lambda block, x: block.layer(block.layer(x)))
    fork = makers(lambda block, x: (block.layer(x), block.layer(x)))
    assert [inputs for _, inputs, _ in chain] == [(INPUT, None), (0, None)]
    assert [inputs for _, inputs, _ in fork] == [(INPUT, None), (INPUT, None)]


# --- tensors that a module makes itself


def test_numbers_that_a_module_makes_cost_no_random_state_and_stay_where_they_are() -> None:
    constant = torch.ones(4, 1, 1)

    def forward(block: nn.Module, x: torch.Tensor) -> torch.Tensor:
        noise = torch.rand(1, 4, 2, 2, device="cpu")
        constant.mul_(2)
        return block.layer(x + noise + torch.tensor([1.0, 2.0]).to(x.device)) * constant

    module = Block(forward)
    before = torch.random.get_rng_state()
    read = [(each.kind, each.inputs) for each in trace(module, (4, 2, 2)) if {*each.inputs} != {None} and each.inputs]
    assert [kind for kind, _ in read] == ["add", "add", "convolution", "mul"]
    assert torch.equal(torch.random.get_rng_state(), before)
    assert constant.tolist() == [[[1.0]]] * 4


def test_a_trace_leaves_hooks_and_attributes_alone() -> None:
    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.calls, self.seen = 0, list[Any]()
            self.register_buffer("kept", torch.zeros(4))

        def forward(self, given: torch.Tensor) -> torch.Tensor:
            self.calls += 1
            self.seen.append(given)
            self.kept += 1
            self.register_forward_hook(lambda *_: None)
            return given * self.kept

    module = Counting()
    trace(module, (4,))
    assert (module.calls, module.seen, module.kept.tolist(), len(module._forward_hooks)) == (0, [], [0.0] * 4, 0)


def test_the_text_of_an_operation_tells_numbers_of_different_kinds_apart() -> None:
    texts = [only(Scaled(by), 4).text for by in (1, 1.0, True)]
    assert texts == ["mul 1x4 other=1", "mul 1x4 other=1.0", "mul 1x4 other=True"]


class Scaled(nn.Module):
    def __init__(self, by: float) -> None:
        super().__init__()
        self.by = by

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        return torch.ops.aten.mul.Scalar(given, self.by)  # type: ignore[no-any-return]
