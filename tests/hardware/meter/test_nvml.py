"""Against a module that stands in for `pynvml`."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from moonas.errors import MeterError, MoonasError
from moonas.hardware.meter.nvml import find

UUID = "4b1d58c2-9b53-4d0f-8c5a-0d7c1a2b3c4d"


class NVMLError(Exception):
    pass


class FakeNVML:
    """NVML of a machine with two boards, the second of which is PyTorch's first."""

    NVMLError = NVMLError

    def __init__(self) -> None:
        self.open, self.millijoules = 0, {"GPU-other": 1, f"GPU-{UUID}": 5_000}
        self.failure: str | None = None

    def nvmlInit(self) -> None:  # noqa: N802
        self.open += 1

    def nvmlShutdown(self) -> None:  # noqa: N802
        self.open -= 1

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:  # noqa: N802
        assert self.open
        if uuid not in self.millijoules:
            raise NVMLError("Not Found")
        return uuid

    def nvmlDeviceGetTotalEnergyConsumption(self, board: str) -> int:  # noqa: N802
        if self.failure:
            raise NVMLError(self.failure)
        return self.millijoules[board]


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> FakeNVML:
    fake = FakeNVML()
    monkeypatch.setitem(sys.modules, "pynvml", fake)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.get_device_properties", lambda _: SimpleNamespace(uuid=UUID))
    return fake


def test_millijoules_of_the_board_of_pytorchs_first_gpu(nvml: FakeNVML) -> None:
    meter = pickle.loads(pickle.dumps(find("cuda", Path("/"))))
    with meter:
        before = meter.joules()
        nvml.millijoules[f"GPU-{UUID}"] += 2_500
        nvml.millijoules["GPU-other"] += 70_000
        assert meter.joules() - before == 2.5
    assert (meter.scope, meter.shortest_window_s) == ("board", 5.0)


def test_the_driver_is_let_go(nvml: FakeNVML) -> None:
    with find("cuda", Path("/")):
        assert nvml.open == 1
    assert nvml.open == 0


def test_a_board_without_a_counter_says_so(nvml: FakeNVML) -> None:
    nvml.failure = "Not Supported"  # before Volta, and under MIG
    with pytest.raises(MeterError, match="the energy counter cannot be read: Not Supported"):
        find("cuda", Path("/"))
    assert nvml.open == 0


def test_a_board_that_nvml_does_not_know_says_so(nvml: FakeNVML) -> None:
    nvml.millijoules.clear()
    with pytest.raises(MeterError, match="the energy counter cannot be read: Not Found"):
        find("cuda", Path("/"))
    assert nvml.open == 0


def test_the_extra_is_named_where_the_package_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    with pytest.raises(MoonasError) as caught:
        find("cuda", Path("/"))
    assert str(caught.value) == "pynvml is not installed; pip install 'moonas[nvml]'"


def test_a_machine_without_a_gpu_says_so(nvml: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(MeterError, match="PyTorch sees no GPU here"):
        find("cuda", Path("/"))
    assert nvml.open == 0


def test_a_cpu_is_not_seen() -> None:
    with pytest.raises(MeterError, match=r"sees the GPU alone, and device\.processor is cpu"):
        find("cpu", Path("/"))
