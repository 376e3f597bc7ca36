"""RAPL: the energy counters of the packages of Intel's and AMD's CPUs, as Linux shows them.

https://docs.kernel.org/power/powercap/powercap.html. Tested against trees of files written as the kernel writes them:
no meter was at hand.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Self

from moonas.errors import NoMeterError
from moonas.hardware.meter.meter import Meter
from moonas.hardware.meter.sysfs import number_in, text_in

_ZONES = Path("sys/class/powercap")
_ZONE = re.compile(r"intel-rapl:\d+")
"""A zone of the first level: those below it, as `intel-rapl:0:0` for the cores, are parts of it."""


class RAPL(Meter):
    """Joules of all packages. Their counters begin anew at an end of their own, minutes apart."""

    scope = "package"
    method = "RAPL"
    period_s = 0.001

    def __init__(self, zones: tuple[Path, ...]):
        """Take the folders of the packages."""
        self._zones = zones
        self._ends_uj = {zone: number_in(zone / "max_energy_range_uj") for zone in zones}
        self._last_uj = {zone: number_in(zone / "energy_uj") for zone in zones}
        self._joules = 0.0

    def __enter__(self) -> Self:
        self._last_uj = {zone: number_in(zone / "energy_uj") for zone in self._zones}  # whatever happened since
        return self

    def joules(self) -> float:
        """Joules counted since it was entered."""
        for zone, last in self._last_uj.items():
            now = number_in(zone / "energy_uj")
            self._joules += (now - last if now >= last else now + self._ends_uj[zone] - last) / 1e6
            self._last_uj[zone] = now
        return self._joules


def find(processor: str, root: Path) -> RAPL:
    """The counters of the packages, if they can be read.

    Args:
        processor: of the device; the counters see `cpu` alone.
        root: of the file system.

    Raises:
        NoMeterError: if there are none, saying why.
        MeterError: if they cannot be read.
    """
    if processor != "cpu":
        raise NoMeterError(f"sees the CPU alone, and device.processor is {processor}")
    zones = [zone for zone in sorted((root / _ZONES).glob("intel-rapl:*")) if _ZONE.fullmatch(zone.name)]
    packages = tuple(zone for zone in zones if text_in(zone / "name").startswith("package"))
    if not packages:
        raise NoMeterError(f"there is no package among {root / _ZONES / 'intel-rapl:*'}; virtual machines have none")
    return RAPL(packages)
