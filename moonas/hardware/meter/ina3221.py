"""The power monitor of NVIDIA's Jetson modules.

Current kernels: https://docs.kernel.org/hwmon/ina3221.html; those of JetPack 4 have a driver of their own, with power
already multiplied. The carrier board is not seen. Tested against trees of files written as these drivers write them: no
meter was at hand.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from moonas.errors import NoMeterError
from moonas.hardware.meter.sampled import Sampled
from moonas.hardware.meter.sysfs import number_in, text_in

_TOTALS = ("VDD_IN", "POM_5V_IN")
"""Rails through which all power comes; on modules without one, the rails are added up."""
_UNCONNECTED = ("", "NC")
_PERIOD_S = 0.02
Rail = tuple[Path, ...]
"""Files in thousandths of a unit whose product is power: of millivolts and milliamperes, or of milliwatts alone."""


@dataclass(frozen=True)
class INA3221:
    """Gives the watts of some rails now."""

    rails: tuple[Rail, ...]

    def __call__(self) -> float:
        """Add them up."""
        return sum(math.prod(number_in(path) / 1e3 for path in rail) for rail in self.rails)


def find(processor: str, root: Path) -> Sampled:
    """The monitor, if there is one; it sees CPU and GPU alike.

    Args:
        processor: of the device.
        root: of the file system.

    Raises:
        MeterError: saying why not.
    """
    rails = {**dict(_of_hwmon(root)), **dict(_of_iio(root))}
    if not rails:
        places = f"{root / 'sys/class/hwmon'} and {root / 'sys/bus/i2c/drivers/ina3221x'}"
        raise NoMeterError(f"there is no INA3221 in {places}")
    total = next((name for name in _TOTALS if name in rails), None)
    watts = INA3221(tuple(rails.values()) if total is None else (rails[total],))
    watts()
    return Sampled(watts, scope="module", method=f"INA3221, {total or 'sum of rails'}", period_s=_PERIOD_S)


def _of_hwmon(root: Path) -> Iterator[tuple[str, Rail]]:
    """The channels 1 to 3 of each chip; 4 to 7 are voltages of its shunts."""
    for chip in sorted((root / "sys/class/hwmon").glob("hwmon*")):
        if not (chip / "name").is_file() or text_in(chip / "name") != "ina3221":
            continue
        for i in (1, 2, 3):
            rail = (chip / f"in{i}_input", chip / f"curr{i}_input")
            enabled = chip / f"in{i}_enable"
            if (chip / f"in{i}_label").is_file() and not (enabled.is_file() and number_in(enabled) == 0):
                yield from _connected(text_in(chip / f"in{i}_label"), rail)


def _of_iio(root: Path) -> Iterator[tuple[str, Rail]]:
    for chip in sorted((root / "sys/bus/i2c/drivers/ina3221x").glob("*/iio:device*")):
        for i in (0, 1, 2):
            if (chip / f"rail_name_{i}").is_file():
                yield from _connected(text_in(chip / f"rail_name_{i}"), (chip / f"in_power{i}_input",))


def _connected(name: str, rail: Rail) -> Iterator[tuple[str, Rail]]:
    if name not in _UNCONNECTED and all(path.is_file() for path in rail):
        yield name, rail
