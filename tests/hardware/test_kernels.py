from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from moonas.content import shipped_folder
from moonas.encoding.catalogue import encoding_of
from moonas.hardware.device import FUSION
from moonas.hardware.kernels import Kernel, alive, kernels_of
from moonas.hardware.trace import trace
from moonas.network.architecture import Task
from moonas.spec.encoding import load_encoding

SHIPPED = sorted(path.stem for path in shipped_folder("encodings").glob("*.yaml"))
JOINED = FUSION["onnxruntime"]
SHAPE = (4, 6, 6)
Forward = Callable[[nn.Module, torch.Tensor], torch.Tensor]


class Network(nn.Module):
    """Two convolutions of equal shapes, normalised, and what a test does with them."""

    def __init__(self, forward: Forward):
        super().__init__()
        self.one, self.two = (nn.Conv2d(4, 4, 3, padding=1, bias=False) for _ in range(2))
        self.norm = nn.BatchNorm2d(4)
        self.weights = nn.Parameter(torch.zeros(1, *SHAPE))
        self._forward = forward

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self._forward(self, images)


def kernels(forward: Forward, fusion: tuple[str, ...] = JOINED) -> list[Kernel]:
    return kernels_of(trace(Network(forward), SHAPE), fusion)


def kinds(forward: Forward, fusion: tuple[str, ...] = JOINED) -> list[str]:
    return ["+".join(step.kind for step in kernel.steps) for kernel in kernels(forward, fusion)]


def test_a_convolution_its_normalisation_and_its_activation_are_one_kernel() -> None:
    assert kinds(lambda net, x: net.norm(net.one(x)).relu()) == ["convolution+native_batch_norm+relu"]
    assert kinds(lambda net, x: net.norm(net.one(x)).relu_()) == ["convolution+native_batch_norm+relu"]


def test_a_runtime_that_joins_nothing_computes_each_operation() -> None:
    found = kinds(lambda net, x: net.norm(net.one(x)).relu(), ())
    assert found == ["convolution", "native_batch_norm", "relu"]


def test_an_activation_whose_input_is_read_twice_stays_apart() -> None:
    def forward(net: nn.Module, x: torch.Tensor) -> torch.Tensor:
        made = net.one(x)
        return torch.cat([made.relu(), made])

    assert kinds(forward) == ["convolution", "relu", "cat"]


def test_an_activation_of_a_part_stays_apart() -> None:
    assert kinds(lambda net, x: net.one(x)[:, :2].relu()) == ["convolution", "relu"]


def dead_branch(net: nn.Module, x: torch.Tensor) -> torch.Tensor:
    net.two(x).relu()
    return net.one(x)


def test_what_nobody_needs_is_left_out_by_runtimes_that_join() -> None:
    assert kinds(dead_branch) == ["convolution"]
    assert kinds(dead_branch, ()) == ["convolution", "relu", "convolution"]


def standardised(net: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Weights that are computed anew each time."""
    return torch.conv2d(x, net.one.weight - net.one.weight.mean(), None, 1, 1)  # type: ignore[operator, union-attr]


def test_what_does_not_depend_on_the_input_is_computed_by_runtimes_that_join_nothing() -> None:
    assert kinds(standardised) == ["convolution"]
    assert kinds(standardised, ()) == ["mean", "sub", "convolution"]


class Result:
    """A result that a trace does not know."""

    def __init__(self, logits: torch.Tensor):
        self.logits = logits


def test_of_a_result_that_is_no_tensor_everything_is_taken_to_be_needed() -> None:
    assert kinds(lambda net, x: Result(net.two(net.one(x).relu()))) == ["convolution+relu", "convolution"]  # type: ignore[arg-type, return-value]


def test_a_dead_branch_at_the_end_is_dead_too() -> None:
    def forward(net: nn.Module, x: torch.Tensor) -> torch.Tensor:
        made = net.one(x)
        net.two(made).sigmoid()
        return made

    assert kinds(forward) == ["convolution"]


def test_a_repeated_activation_is_computed_once_by_runtimes_that_join() -> None:
    def forward(net: nn.Module, x: torch.Tensor) -> torch.Tensor:
        made = net.one(x)
        return torch.cat([net.two(made.relu()), made.relu()])

    assert kinds(forward) == ["convolution+relu", "convolution", "cat"]
    assert sorted(kinds(forward, ())) == ["cat", "convolution", "convolution", "relu", "relu"]


def test_the_same_activation_of_two_halves_is_computed_twice() -> None:
    def forward(net: nn.Module, x: torch.Tensor) -> torch.Tensor:
        first, second = net.one(x).chunk(2, dim=1)
        return first.relu() + second.relu()

    assert kinds(forward) == ["convolution", "relu", "relu", "add"]


def test_a_repeated_convolution_has_weights_of_its_own_and_is_computed_again() -> None:
    assert kinds(lambda net, x: torch.cat([net.one(x), net.one(x)])) == ["convolution", "convolution", "cat"]


def test_a_sum_and_its_activation_join_the_convolution() -> None:
    def forward(net: nn.Module, x: torch.Tensor) -> torch.Tensor:
        made = x.relu()
        return (net.norm(net.one(made)) + made).relu()

    assert kinds(forward) == ["relu", "convolution+native_batch_norm+add+relu"]


def test_the_sum_of_two_convolutions_joins_one_of_them() -> None:
    assert sorted(kinds(lambda net, x: net.one(x) + net.two(x))) == ["convolution", "convolution+add"]


def test_an_activation_does_not_join_what_is_no_product() -> None:
    pooled = kinds(lambda net, x: torch.nn.functional.max_pool2d(x, 2).relu())
    assert pooled == ["max_pool2d_with_indices", "relu"]


def test_steps_know_what_is_read_of_others() -> None:
    def forward(net: nn.Module, x: torch.Tensor) -> torch.Tensor:
        made = x.relu()
        return made + net.one(made)

    relu, joined = kernels(forward)
    assert [step.inputs for step in relu.steps] == [(-1,)]
    assert [step.inputs for step in joined.steps] == [(-2, None), (0, -2)]
    assert joined.outside_shapes == ((1, *SHAPE), (1, *SHAPE))
    assert joined.weight_bytes == 4 * 4 * 4 * 9
    assert joined.bytes == joined.weight_bytes + 3 * 4 * 4 * 6 * 6
    assert joined.multiply_adds == 4 * 4 * 9 * 36


def test_the_order_of_a_sum_does_not_matter() -> None:
    def summed(net: nn.Module, x: torch.Tensor, order: int) -> torch.Tensor:
        made = x.relu()
        one, other = (net.one(made), made)[::order]
        return one + other

    first, second = (kernels(lambda net, x, order=order: summed(net, x, order)) for order in (1, -1))  # type: ignore[misc]
    assert [step.kind for step in first[-1].steps] == ["convolution", "add"]
    assert first == second


def test_a_sum_with_weights_has_another_key_than_that_with_another_kernel() -> None:
    (*_, weights) = kernels(lambda net, x: net.one(x) + net.weights, ())
    (*_, other) = kernels(lambda net, x: net.one(x) + net.two(x), ())
    assert weights.key == "add 1x4x6x6, 1x4x6x6 of weights"
    assert other.key == "add 1x4x6x6, 1x4x6x6"


def test_a_product_of_two_results_has_another_key_than_that_with_a_weight() -> None:
    def product(with_weight: bool) -> str:
        class Product(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.other = nn.Parameter(torch.zeros(1, 5, 5))

            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return torch.bmm(x, self.other if with_weight else x.relu())

        return kernels_of(trace(Product().eval(), (5, 5)), ())[-1].key

    weight, results = product(True), product(False)
    assert results == f"{weight} of results"
    (layer,) = kernels_of(trace(nn.Linear(5, 3).eval(), (5,)), ())
    (convolution,) = kernels_of(trace(nn.Conv2d(2, 3, 1).eval(), (2, 4, 4)), ())
    assert not any(kernel.key.endswith(" of results") for kernel in (layer, convolution))


@pytest.mark.parametrize(
    "changed",
    [{"padding": 1}, {"stride": 2}, {"groups": 2}, {"dilation": 2}, {"kernel_size": 1}, {"bias": False}],
    ids=str,
)
def test_the_key_tells_convolutions_apart(changed: dict[str, int]) -> None:
    usual = {"in_channels": 4, "out_channels": 4, "kernel_size": 3}
    first, second = (kernels_of(trace(nn.Conv2d(**each), (4, 9, 9)), JOINED) for each in (usual, usual | changed))  # type: ignore[arg-type]
    assert first[0].key != second[0].key


def test_a_key_can_be_read() -> None:
    (kernel,) = kernels_of(trace(nn.Sequential(nn.Conv2d(4, 8, 3, stride=2), nn.ReLU()), SHAPE), JOINED)
    assert kernel.key == (
        "convolution 1x4x6x6, 8x4x3x3, 8 stride=(2, 2) padding=(0, 0) dilation=(1, 1) transposed=False "
        "output_padding=(0, 0) groups=1 of the input | relu 1x8x2x2"
    )


@pytest.mark.parametrize("name", SHIPPED)
@pytest.mark.parametrize("fusion", [JOINED, ()], ids=["joined", "apart"])
def test_kernels_of_shipped_networks_lose_no_work_and_have_keys_of_their_own(
    name: str, fusion: tuple[str, ...]
) -> None:
    encoding = encoding_of(load_encoding(name))
    known: dict[str, Kernel] = {}
    for seed in range(4):
        network = encoding.decode(encoding.sample(np.random.default_rng(seed))).build(Task((3, 32, 32), 10))
        operations = trace(network, (3, 32, 32))
        found = kernels_of(operations, fusion)
        counted = range(len(operations)) if not fusion else alive(operations)
        assert sum(kernel.multiply_adds for kernel in found) == sum(operations[i].multiply_adds for i in counted)
        for kernel in found:
            assert known.setdefault(kernel.key, kernel) == kernel
    assert len(known) == len(set(known.values()))
