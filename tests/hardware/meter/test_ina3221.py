from __future__ import annotations

from typing import Any

import pytest

from moonas.errors import MeterError
from moonas.hardware.meter.ina3221 import find
from moonas.hardware.meter.sampled import Sampled

CHIP = "sys/class/hwmon/hwmon3"
NANO = {  # Jetson Orin Nano, JetPack 6
    "sys/class/hwmon/hwmon0/name": "thermal",
    "sys/class/hwmon/hwmon0/in1_label": "VDD_IN",
    f"{CHIP}/name": "ina3221",
    f"{CHIP}/in1_label": "VDD_IN",
    f"{CHIP}/in1_input": 5040,
    f"{CHIP}/curr1_input": 1200,
    f"{CHIP}/in2_label": "VDD_CPU_GPU_CV",
    f"{CHIP}/in2_input": 5032,
    f"{CHIP}/curr2_input": 300,
    f"{CHIP}/in3_label": "VDD_SOC",
    f"{CHIP}/in3_input": 5032,
    f"{CHIP}/curr3_input": 200,
    f"{CHIP}/in7_label": "sum of shunt voltages",
    f"{CHIP}/in7_input": 6,
    f"{CHIP}/curr4_input": 1700,
}
OLD = {  # Jetson Nano, JetPack 4
    f"sys/bus/i2c/drivers/ina3221x/6-0040/iio:device0/{name}": value
    for name, value in {
        "name": "ina3221x",
        "rail_name_0": "POM_5V_IN",
        "in_power0_input": 2150,
        "rail_name_1": "POM_5V_GPU",
        "in_power1_input": 120,
        "rail_name_2": "POM_5V_CPU",
        "in_power2_input": 480,
    }.items()
}


def watts(meter: Sampled) -> float:
    return meter._watts()


def test_the_rail_through_which_all_comes_is_read_alone(tree: Any) -> None:
    meter = find("cuda", tree(NANO))
    assert watts(meter) == pytest.approx(5.040 * 1.2)
    assert (meter.scope, meter.method) == ("module", "INA3221, VDD_IN")


def test_the_driver_of_old_kernels_gives_power_itself(tree: Any) -> None:
    meter = find("cpu", tree(OLD))
    assert watts(meter) == pytest.approx(2.150)
    assert meter.method == "INA3221, POM_5V_IN"


def test_without_such_a_rail_all_chips_are_added_up(tree: Any) -> None:
    second = {f"sys/class/hwmon/hwmon4/{path.rpartition('/')[2]}": value for path, value in NANO.items()}
    names = {f"{CHIP}/in1_label": "VDD_GPU_SOC", f"{CHIP}/in2_label": "VDD_CPU_CV", f"{CHIP}/in3_label": "NC"}
    others = {f"sys/class/hwmon/hwmon4/in{i}_label": name for i, name in enumerate(("VDDQ", "NC", "NC"), 1)}
    second["sys/class/hwmon/hwmon4/name"] = "ina3221"
    meter = find("cpu", tree(NANO | names | second | others))
    assert watts(meter) == pytest.approx(5.040 * 1.2 + 5.032 * 0.3 + 5.040 * 1.2)
    assert meter.method == "INA3221, sum of rails"


def test_a_channel_that_is_switched_off_is_left_out(tree: Any) -> None:
    meter = find("cpu", tree(NANO | {f"{CHIP}/in1_enable": 0, f"{CHIP}/in2_enable": 1}))
    assert watts(meter) == pytest.approx(5.032 * (0.3 + 0.2))


def test_a_machine_without_the_chip_is_told_what_was_looked_for(tree: Any) -> None:
    others = {path: value for path, value in NANO.items() if "hwmon0" in path}
    with pytest.raises(MeterError, match=r"there is no INA3221 in .*sys/class/hwmon and .*ina3221x"):
        find("cpu", tree(others))


def test_a_reading_that_is_no_number_is_explained(tree: Any) -> None:
    with pytest.raises(MeterError, match="curr1_input must hold a whole number, holds 'n/a'"):
        find("cpu", tree(NANO | {f"{CHIP}/curr1_input": "n/a"}))
