"""Which meter is taken, and what a user without one is told."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from moonas.errors import MeterError, NoMeterError, UnknownNameError
from moonas.hardware.meter.finding import find_meter, open_meter
from moonas.hardware.meter.recording import Recording
from moonas.hardware.meter.sampled import Sampled
from moonas.registry import path_of

RAPL = {
    f"sys/class/powercap/intel-rapl:0/{name}": value
    for name, value in {"name": "package-0", "energy_uj": 1, "max_energy_range_uj": 10}.items()
}
JETSON = {
    f"sys/class/hwmon/hwmon1/{name}": value
    for name, value in {"name": "ina3221", "in1_label": "VDD_IN", "in1_input": 5000, "curr1_input": 1000}.items()
}


@pytest.mark.parametrize(
    ("files", "processor", "name"),
    [(RAPL, "cpu", "rapl"), (JETSON, "cpu", "jetson"), (JETSON, "cuda", "jetson"), (RAPL | JETSON, "cuda", "jetson")],
)
def test_a_meter_is_found_that_sees_the_processor(
    tree: Any, monkeypatch: pytest.MonkeyPatch, files: Any, processor: str, name: str
) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert find_meter(processor, root=tree(files)) == name


def test_who_has_none_is_told_of_each_why(tree: Any) -> None:
    root = tree({"etc/hostname": "box"})
    with pytest.raises(NoMeterError) as caught:
        find_meter("cpu", root=root)
    assert str(caught.value) == (
        "no meter can be used here ("
        "nvml: sees the GPU alone, and device.processor is cpu; "
        f"rapl: there is no package among {root}/sys/class/powercap/intel-rapl:*; virtual machines have none; "
        f"jetson: there is no INA3221 in {root}/sys/class/hwmon and {root}/sys/bus/i2c/drivers/ina3221x; "
        "raspberry_pi_5: of its kind only the Raspberry Pi 5 measures its power, and this is another machine)"
    )


def test_what_keeps_a_meter_that_is_there_from_being_used_is_all_that_is_told(
    tree: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tree(RAPL)
    counter = root / "sys/class/powercap/intel-rapl:0/energy_uj"
    real = Path.read_text

    def closed(path: Path, *given: Any, **named: Any) -> str:
        if path == counter:
            raise PermissionError
        return real(path, *given, **named)

    monkeypatch.setattr(Path, "read_text", closed)
    what = f"rapl: {counter} is for root to read; run as root, or let others read it: chmod a+r"
    with pytest.raises(MeterError) as caught:
        find_meter("cpu", root=root)
    assert str(caught.value) == f"no meter can be used as it is ({what})"
    monkeypatch.setitem(sys.modules, "pynvml", None)
    with pytest.raises(MeterError, match=r"\(nvml: pynvml is not installed; pip install 'moonas\[nvml\]'\)$"):
        find_meter("cuda", root=root)


def test_a_meter_may_be_the_users_own_function_or_recording(tmp_path: Path) -> None:
    def clamp() -> float:
        return 3.0

    own = open_meter(path_of(clamp), "cuda")
    assert isinstance(own, Sampled)
    assert (own.scope, own._watts()) == ("external", 3.0)
    path = tmp_path / "meter.csv"
    path.write_text("1,2\n2,3\n")
    assert isinstance(open_meter(str(path), "cpu"), Recording)


def test_a_name_that_is_none_is_a_mistake() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown meter 'nvlm'; .*did you mean 'nvml'\?"):
        open_meter("nvlm", "cuda")
