"""What a profile of this machine holds for."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest
import torch

from moonas.spec.provenance import MachineSpec
from moonas.study.environment import differences, machine, surroundings


def test_a_machine_is_told_without_a_gpu_that_runs_nothing() -> None:
    told = machine("torch").model_dump(exclude_none=True)
    assert told.keys() == {"processor", "cores", "runtime_version", "system"}
    assert told["runtime_version"] == torch.__version__


def gpu_of(monkeypatch: pytest.MonkeyPatch, name: str) -> MachineSpec:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda number: name if number == 0 else "another")
    monkeypatch.setattr("torch.version.cuda", "12.8")
    monkeypatch.setattr("moonas.study.environment._read", lambda path: "570.86\n" if "nvidia" in str(path) else "")
    return machine("torch", on_gpu=True)


def test_another_gpu_is_another_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = gpu_of(monkeypatch, "NVIDIA H200"), gpu_of(monkeypatch, "Tesla T4")
    assert (one.gpu, one.driver, one.cuda) == ("NVIDIA H200", "570.86", "12.8")
    assert list(differences(one.model_dump(), two.model_dump())) == ["gpu: was NVIDIA H200, is Tesla T4"]


def test_where_there_is_no_gpu_nobody_knows_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert machine("torch", on_gpu=True).gpu == "unknown"


FILES = {
    "proc/pressure/cpu": "some avg10=12.50 avg60=3.00 avg300=1.00 total=7\nfull avg10=0.00 avg60=0.00 total=0\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "1800000\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "ondemand\n",
}


@pytest.mark.parametrize(
    ("switch", "turbo"),
    [
        ({"cpufreq/boost": "1"}, True),
        ({"cpufreq/boost": "0"}, False),
        ({"intel_pstate/no_turbo": "1"}, False),
        ({"intel_pstate/no_turbo": "0"}, True),
        ({}, None),
    ],
)
def test_what_is_true_of_a_machine_is_told(tmp_path: Path, switch: dict[str, str], turbo: bool | None) -> None:
    switches = {f"sys/devices/system/cpu/{name}": value for name, value in switch.items()}
    for name, text in (FILES | switches).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    found = surroundings(tmp_path)
    assert (found.pressure, found.mhz, found.governor, found.turbo) == (12.5, 1800.0, "ondemand", turbo)


def test_what_the_system_does_not_tell_is_left_out(tmp_path: Path) -> None:
    found = surroundings(tmp_path).model_dump(exclude_none=True)
    assert found.keys() - {"load"} == {"date", "system", "python"}
    assert found["python"] == platform.python_version()
