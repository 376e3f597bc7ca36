"""Peaks of activations: by hand, and against what PyTorch's allocator gives and takes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from allocations import ANY, CONVOLUTIONS, allocated_bytes
from torch import nn

from moonas.encoding.catalogue import encoding_of
from moonas.hardware.device import FUSION
from moonas.hardware.memory import peak_activation_bytes
from moonas.network.architecture import Task
from moonas.spec.encoding import load_encoding

JOINED = FUSION["onnxruntime"]
SHAPE = (4, 6, 6)
MAP = 4 * 4 * 6 * 6
Forward = Callable[[nn.Module, torch.Tensor], torch.Tensor]


class Network(nn.Module):
    """Convolutions that keep the shape of their input, a normalisation, and what a test does with them."""

    def __init__(self, forward: Forward):
        super().__init__()
        self.one, self.two, self.three = (nn.Conv2d(4, 4, 3, padding=1, bias=False) for _ in range(3))
        self.norm = nn.BatchNorm2d(4)
        self._forward = forward

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self._forward(self, images)


def maps(forward: Forward, fusion: tuple[str, ...] = (), *, runtime: str = "onnxruntime", batch: int = 1) -> float:
    """How many maps of the input's shape are there at once."""
    found = peak_activation_bytes(Network(forward), SHAPE, runtime=runtime, fusion=fusion, batch=batch)
    return found / MAP


# --- what is needed


def chain(net: nn.Module, x: torch.Tensor) -> torch.Tensor:
    return net.three(net.two(net.one(x)))


def test_a_chain_needs_its_input_and_two_results_at_once() -> None:
    assert maps(lambda net, x: net.one(x)) == 2
    assert maps(lambda net, x: net.two(net.one(x))) == 3
    assert maps(chain) == 3


def residual(net: nn.Module, x: torch.Tensor) -> torch.Tensor:
    made = net.one(x)
    return net.three(net.two(made)) + made


def test_a_shortcut_is_kept_until_it_is_added() -> None:
    assert maps(residual) == 4


def test_a_sum_that_joins_a_convolution_is_written_over_the_shortcut() -> None:
    assert maps(residual, ("relu",)) == 4
    assert maps(residual, ("add",)) == 3
    assert maps(lambda net, x: net.two(net.one(x)) + net.three(x), ("add",)) == 3


def test_a_shortcut_that_is_needed_later_is_not_written_over() -> None:
    def forward(net: nn.Module, x: torch.Tensor) -> torch.Tensor:
        made, other = net.one(x), net.three(x)
        return net.two(net.two(made) + other) + other

    # Input, shortcut, first result, and the sum, which can take no place of theirs.
    assert maps(forward, ("add",)) == 4


def test_what_the_joined_convolution_reads_itself_is_not_written_over() -> None:
    def forward(net: nn.Module, x: torch.Tensor) -> torch.Tensor:
        made = net.one(x)
        return net.two(made) + made

    assert maps(forward, ("add",)) == 3


def test_the_caller_keeps_the_input() -> None:
    assert maps(lambda net, x: net.one(x) + x, ("add",)) == 2
    assert maps(lambda net, x: net.one(x) + x) == 3


def test_branches_are_kept_until_they_are_concatenated() -> None:
    def forward(net: nn.Module, x: torch.Tensor) -> torch.Tensor:
        made = net.one(x)
        return torch.cat([net.two(made), net.three(made), made])

    # The input, what was made of it, two branches; then three maps more.
    assert maps(forward) == 1 + 3 + 3


def test_an_operation_in_place_takes_nothing() -> None:
    assert maps(lambda net, x: net.one(x).relu_()) == 2
    assert maps(lambda net, x: net.one(x).relu()) == 3


def test_what_is_joined_makes_no_result_of_its_own() -> None:
    assert maps(lambda net, x: net.norm(net.one(x)).relu()) == 3
    assert maps(lambda net, x: net.norm(net.one(x)).relu(), JOINED) == 2


def test_a_view_is_what_it_shows() -> None:
    def forward(net: nn.Module, x: torch.Tensor) -> torch.Tensor:
        first, second = net.one(x).chunk(2, dim=1)
        return first.flatten(1).relu() + second.flatten(1)

    # The input and the whole that both halves show, half a map of activations and as much of the sum.
    assert maps(forward) == 1 + 1 + 0.5 + 0.5


def test_a_dead_branch_is_computed_and_forgotten_or_left_out() -> None:
    def forward(net: nn.Module, x: torch.Tensor) -> torch.Tensor:
        net.two(x).relu()
        return net.one(x)

    assert maps(forward) == 3  # while the dead activation is computed
    assert maps(forward, JOINED) == 2


def test_a_result_of_the_network_is_kept_to_the_end() -> None:
    class Two(Network):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            made = self.one(images)
            return made, self.three(self.two(made))  # type: ignore[return-value]

    assert peak_activation_bytes(Two(chain), SHAPE, runtime="onnxruntime") == 4 * MAP


@pytest.mark.parametrize("runtime", ["onnxruntime", "torch"])
def test_a_batch_takes_as_many_times_the_activations(runtime: str) -> None:
    assert maps(residual, runtime=runtime, batch=2) == 2 * maps(residual, runtime=runtime)


# --- what eager PyTorch holds


def test_eager_pytorch_holds_what_has_a_name() -> None:
    def named(net: nn.Module, x: torch.Tensor) -> torch.Tensor:
        first = net.one(x)
        second = net.two(first)
        return net.three(second)

    assert maps(chain, runtime="torch") == 3
    assert maps(named) == 3
    assert maps(named, runtime="torch") == 4


def test_eager_pytorch_makes_indices_when_it_pools() -> None:
    def forward(net: nn.Module, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.max_pool2d(x, 2)

    assert maps(forward) == 1 + 1 / 4
    assert maps(forward, runtime="torch") == 1 + 3 / 4  # an index takes 8 bytes


def test_eager_pytorch_keeps_a_whole_as_long_as_a_part_of_it_is_named() -> None:
    def forward(net: nn.Module, x: torch.Tensor) -> torch.Tensor:
        part = net.one(x)[:, :1]
        return net.two(net.three(x)) + part

    assert maps(forward, runtime="torch") == 4


@pytest.mark.parametrize("runtime", ["onnxruntime", "torch"])
def test_the_module_stays_as_it_is(runtime: str) -> None:
    module = Network(chain).train()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    peak_activation_bytes(module, SHAPE, runtime=runtime)
    assert module.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())


# --- against PyTorch's allocator


@pytest.fixture(params=["resnet", "nas_bench_201", "small_cnn", "sequence"])
def drawn(request: pytest.FixtureRequest) -> tuple[nn.Module, torch.Tensor]:
    """A network of a shipped encoding, and an input."""
    encoding = encoding_of(load_encoding(request.param))
    shape = (64, 9) if request.param == "sequence" else (3, 32, 32)
    module = encoding.decode(encoding.sample(np.random.default_rng(2))).build(Task(shape, 10)).eval()
    return module, torch.zeros(1, *shape)


def test_what_eager_pytorch_holds_is_what_its_allocator_gives(drawn: tuple[nn.Module, torch.Tensor]) -> None:
    module, images = drawn
    with torch.inference_mode():
        given = allocated_bytes(lambda: module(images), without_buffers_of=CONVOLUTIONS)
    computed = peak_activation_bytes(module, images.shape[1:], runtime="torch")
    assert computed == pytest.approx(given + images.nbytes, rel=0.01)


def test_what_is_needed_is_what_torchscript_allocates(drawn: tuple[nn.Module, torch.Tensor]) -> None:
    """Its interpreter lets go of a value after its last use, and joins nothing here."""
    module, images = drawn
    with torch.no_grad(), torch.jit.optimized_execution(False):  # type: ignore[no-untyped-call]
        script = torch.jit.trace(module, images, check_trace=False)  # type: ignore[no-untyped-call]
        given = allocated_bytes(lambda: script(images), without_buffers_of=ANY)
    computed = peak_activation_bytes(module, images.shape[1:], runtime="torchscript")
    assert computed == pytest.approx(given + images.nbytes, rel=0.01)
