from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from moonas.errors import MoonasError
from moonas.hardware import kernel_times
from moonas.hardware.device import DeviceProfile
from moonas.hardware.kernel_times import CALL, KernelTime, Pace, time_kernels, times_at_once
from moonas.hardware.kernels import Kernel, kernels_of
from moonas.hardware.latency import Latency
from moonas.hardware.replay import KernelInContext, Nothing, Replayed, SideBySide, place_of
from moonas.hardware.roofline import Work
from moonas.hardware.table import KernelTable
from moonas.hardware.trace import trace

DEVICE = DeviceProfile("here", "measured", "cpu", "torch", 1, 1, 2, 0.001)
CALL_US, PREFIX_US = 3.0, 11.0
STEADY = Latency(
    best=1.0,
    median=1.0,
    p10=1.0,
    p90=1.0,
    uncertainty=0.0,
    repeatability=0.0,
    calls=4,
    rounds=2,
    cpu_over_wall=1.0,
)


def cost_us(kernel: Kernel) -> float:
    return 1.0 + len(kernel.key) % 17


class Laboratory:
    """Stands for the runtime and the clock: parts have known costs.

    Attributes:
        groups: the modules that were timed together, in order, but for calls.
    """

    def __init__(self) -> None:
        self.groups: list[list[Any]] = []
        self.done: list[str] = []
        self._modules: dict[int, Replayed] = {}
        self._kept: list[Callable[[], None]] = []

    def prepare_parts(self, module: Replayed, inputs: Any, device: DeviceProfile, *, copies: int) -> list[Any]:
        def call(copy: int) -> Callable[[], None]:
            def run() -> None:
                self.done.append(f"{type(module).__name__} {copy}")

            self._kept.append(run)
            self._modules[id(run)] = module
            return run

        return [call(copy) for copy in range(copies)]

    def prepare(self, module: Replayed, shape: Any, device: DeviceProfile) -> Any:
        return self.prepare_parts(module, (), device, copies=1)[0]

    def measure(
        self, timed: Sequence[Any], device: Any, *, before: Sequence[Any], seed: int, told: Callable[[int], None]
    ) -> list[Latency]:
        modules = [self._modules[id(each)] for each in timed]
        self.groups.append(modules[1:])
        told(device.rounds)
        for each, prior in zip(timed, before, strict=True):
            prior()
            each()
        return [replace(STEADY, best=self._us(module) / 1000, repeatability=0.1) for module in modules]

    def _us(self, module: Replayed) -> float:
        if isinstance(module, SideBySide):
            return CALL_US + sum(self._us(part) - CALL_US for part in module.parts)  # type: ignore[arg-type]
        if isinstance(module, KernelInContext):
            prefixes = sum(not isinstance(each, nn.Identity) for each in module.prefixes)
            return CALL_US + PREFIX_US * prefixes + cost_us(module.kernel)
        return CALL_US + PREFIX_US * len(getattr(module, "prefixes", ()))


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Laboratory:
    made = Laboratory()
    for name in ("prepare", "prepare_parts", "measure"):
        monkeypatch.setattr(kernel_times, name, getattr(made, name))
    return made


class Chain(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.last = nn.Linear(8, 5)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        made = self.first(images).relu()
        made = made + self.second(made).sigmoid()
        return self.last(made.mean((2, 3)))


def chain() -> list[Kernel]:
    return kernels_of(trace(Chain(), (3, 8, 8)), ("relu", "sigmoid"))


def layers(count: int) -> list[Kernel]:
    return [kernels_of(trace(nn.Conv2d(4, 1 + i, 1), (4, 4, 4)), ())[0] for i in range(count)]


def times(kernels: Sequence[Kernel]) -> list[list[KernelTime]]:
    """Of kernels, without the calls."""
    return [group[1:] for group in time_kernels(kernels, DEVICE, weight_bytes=40_000)]


def test_a_kernel_takes_the_difference_to_its_context(lab: Laboratory) -> None:
    (found,) = times(chain())
    by_key = {time.key: time for time in found}
    assert set(by_key) == {kernel.key for kernel in chain()}
    for kernel in chain():
        time = by_key[kernel.key]
        assert time.microseconds == pytest.approx(cost_us(kernel))
        context, count = CALL_US + 4 * PREFIX_US * len(kernel.outside_shapes), times_at_once(kernel)
        assert count == 4
        assert time.uncertainty_us == pytest.approx(0.1 * (2 * context + count * cost_us(kernel)) / count)
        assert (time.work.calls, time.work.kernels, time.work.bytes) == (0, 1, kernel.bytes)


def test_the_kernels_of_a_chain_and_the_call_add_up_to_the_network(lab: Laboratory) -> None:
    table = KernelTable(next(time_kernels(chain(), DEVICE, weight_bytes=40_000)))
    found = table.sum(chain())
    assert found.latency_ms == pytest.approx((CALL_US + sum(map(cost_us, chain()))) / 1000)
    assert found.coverage == pytest.approx(1)


def test_each_context_is_timed_once_a_group(lab: Laboratory) -> None:
    kernels = chain()
    times(kernels)
    (group,) = lab.groups
    assert len(group) == len(kernels) + len({place_of(kernel) for kernel in kernels})


def test_a_kernel_that_takes_long_is_timed_alone_and_its_context_too(lab: Laboratory) -> None:
    wide = kernels_of(trace(nn.Conv2d(64, 64, 3, padding=1), (64, 20, 20)), ())
    heavy = kernels_of(trace(nn.MaxPool2d(2), (64, 100, 100)), ())
    (found,) = times([*wide, *heavy])
    assert [times_at_once(kernel) for kernel in (*wide, *heavy)] == [1, 1]
    assert [len(each.parts) for each in lab.groups[0]] == [1] * len(lab.groups[0])
    assert {each.key: each.microseconds for each in found} == pytest.approx(
        {kernel.key: cost_us(kernel) for kernel in (*wide, *heavy)}
    )


def test_kernels_of_one_place_have_a_context_for_each_number_at_once(lab: Laboratory) -> None:
    small, large = layers(1), kernels_of(trace(nn.Conv2d(4, 200_000, 1), (4, 4, 4)), ())
    assert place_of(small[0]) == place_of(large[0])
    (found,) = times([*small, *large])
    assert [len(each.parts) for each in lab.groups[0]] in ([1, 4, 1, 4], [4, 1, 4, 1])
    assert sorted(each.microseconds for each in found) == pytest.approx(sorted(map(cost_us, [*small, *large])))


def test_groups_have_no_more_than_so_many(lab: Laboratory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_times, "_TOGETHER", 4)
    found = times(layers(10))
    assert [len(group) for group in found] == [4, 4, 2]
    assert [sum(isinstance(each.parts[0], KernelInContext) for each in group) for group in lab.groups] == [4, 4, 2]
    assert [sum(isinstance(each.parts[0], Nothing) for each in group) for group in lab.groups] == [1, 1, 1]


def test_what_a_runtime_does_not_know_is_left_out(lab: Laboratory, monkeypatch: pytest.MonkeyPatch) -> None:
    kernels = layers(3)

    def refusing(module: Any, inputs: Any, device: Any, *, copies: int) -> Any:
        if any(isinstance(each, KernelInContext) and each.kernel == kernels[0] for each in module.modules()):
            raise ValueError("no such operator")
        return lab.prepare_parts(module, inputs, device, copies=copies)

    monkeypatch.setattr(kernel_times, "prepare_parts", refusing)
    (found,) = times(kernels)
    assert {each.key: each.microseconds for each in found} == {
        kernel.key: pytest.approx(cost_us(kernel)) for kernel in kernels[1:]
    }


@pytest.mark.parametrize("error", [OSError(28, "No space left"), MemoryError(), MoonasError("no GPU")], ids=repr)
def test_what_no_operator_is_to_blame_for_is_not_taken_for_one(
    lab: Laboratory, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def failing(module: Any, inputs: Any, device: Any, *, copies: int) -> Any:
        if isinstance(module, SideBySide):
            raise error
        return lab.prepare_parts(module, inputs, device, copies=copies)

    monkeypatch.setattr(kernel_times, "prepare_parts", failing)
    with pytest.raises(type(error)):
        times(layers(3))


def test_a_group_is_given_before_the_next_is_timed(lab: Laboratory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_times, "_TOGETHER", 2)
    groups = time_kernels(layers(4), DEVICE, weight_bytes=40_000)
    assert lab.groups == []
    next(groups)
    assert len(lab.groups) == 1


def test_before_each_call_comes_the_rest_of_the_network_and_a_copy(lab: Laboratory) -> None:
    times(layers(1))
    assert lab.done == [
        *("Rest 0", "Nothing 0"),
        *("Rest 0", "SideBySide 1", "SideBySide 0"),
        *("Rest 0", "SideBySide 1", "SideBySide 0"),
    ]


def test_with_each_group_a_call_is_timed_after_the_rest_of_the_network(
    lab: Laboratory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel_times, "_TOGETHER", 2)
    found = list(time_kernels(layers(4), DEVICE, weight_bytes=40_000))
    assert len(found) == 2
    for group in found:
        assert (group[0].key, group[0].microseconds, group[0].work.calls) == (CALL, pytest.approx(CALL_US), 1)
    assert lab.done[:2] == ["Rest 0", "Nothing 0"]


def test_it_is_told_how_many_rounds_were_timed(lab: Laboratory) -> None:
    rounds: list[int] = []
    list(time_kernels(layers(1), DEVICE, weight_bytes=40_000, told=rounds.append))
    assert rounds == [DEVICE.rounds]


def test_nothing_takes_no_time(lab: Laboratory) -> None:
    assert times([]) == []
    assert lab.groups == []


@pytest.mark.parametrize("runtime", ["onnxruntime", "torch"])
def test_kernels_are_timed_in_both_runtimes(runtime: Any) -> None:
    device = DeviceProfile("here", "measured", "cpu", runtime, 1, 1, 2, 0.001)
    (found,) = time_kernels(chain(), device, weight_bytes=40_000)
    assert {time.key for time in found} == {CALL, *(kernel.key for kernel in chain())}
    assert found[0].microseconds > 0


def took(milliseconds: float) -> Latency:
    return replace(STEADY, best=milliseconds)


def test_kernels_of_a_slow_hour_are_corrected_by_what_whole_networks_took_with_them() -> None:
    kernel, first = KernelTime("a", 30.0, 3.0, Work(calls=0, kernels=1)), [took(1.0), took(2.0), took(4.0)]
    pace = Pace({})
    added, same = pace.corrected([], first), pace.corrected([kernel], first)
    assert {each.key: each.microseconds for each in added} == {"network 0": 1000, "network 1": 2000, "network 2": 4000}
    assert same == [kernel]
    slow = [took(1.5), took(3.0), took(9.0)]  # one of them was disturbed
    (corrected,) = pace.corrected([kernel], slow)
    assert (corrected.microseconds, corrected.uncertainty_us) == (20.0, 2.0)
    assert Pace({each.key: each for each in added}).corrected([kernel], slow) == [corrected]


def test_networks_that_tell_the_pace_are_no_kernels() -> None:
    added = Pace({}).corrected([], [took(1.0)] * 5)
    table = KernelTable([*added, *(KernelTime(f"k{i}", 10.0, 1.0, Work(calls=0, kernels=1)) for i in range(5))])
    assert table.roofline.kernel_us == pytest.approx(10.0)


def test_without_networks_kernels_stay_as_they_were_timed() -> None:
    kernel = KernelTime("a", 30.0, 3.0, Work(calls=0, kernels=1))
    assert Pace({}).corrected([kernel], []) == [kernel]
