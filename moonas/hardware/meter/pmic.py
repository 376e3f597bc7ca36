"""The power management chip of a Raspberry Pi 5, read by `vcgencmd pmic_read_adc`.

It knows voltage and current of 12 rails, but not of what hangs on the 5 V line. The whole board takes
1.1451 x (their sum) + 0.5879 W by the fit of https://github.com/jfikar/RPi5-power to a USB power meter (in its README;
its script has 1.1327 and 0.6444). A Raspberry Pi 4 has nothing of the kind. Tested against texts of that command: no
meter was at hand.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from moonas.errors import MeterError, NoMeterError, one_line
from moonas.hardware.meter.sampled import Sampled
from moonas.hardware.meter.sysfs import text_in

_SLOPE, _OFFSET_W = 1.1451, 0.5879
_READING = re.compile(r"^\s*(\w+)_([AV])\s+(?:current|volt)\(\d+\)=([0-9.]+)[AV]\s*$", re.MULTILINE)
_MODEL = Path("proc/device-tree/model")
_PERIOD_S, _PATIENCE_S = 0.1, 5.0


@dataclass(frozen=True)
class PMIC:
    """Gives the watts of the board now, by a fit."""

    command: str

    def __call__(self) -> float:
        """Ask the chip."""
        try:
            asked = subprocess.run(
                [self.command, "pmic_read_adc"], capture_output=True, text=True, check=True, timeout=_PATIENCE_S
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise MeterError(f"{self.command} pmic_read_adc failed: {one_line(error)}") from error
        return board_w(asked.stdout)


def board_w(text: str) -> float:
    """The power of the board in watts, from what the command prints.

    Raises:
        MeterError: if that names no rail with both its voltage and its current.
    """
    found: dict[str, dict[str, float]] = {"A": {}, "V": {}}
    for rail, unit, value in _READING.findall(text):
        found[unit][rail] = float(value)
    rails = found["A"].keys() & found["V"].keys()
    if not rails:
        raise MeterError(f"pmic_read_adc names no rails, but says {text[:60]!r}")
    return _SLOPE * sum(found["A"][rail] * found["V"][rail] for rail in rails) + _OFFSET_W


def find(processor: str, root: Path) -> Sampled:
    """The chip, if there is one.

    Args:
        processor: of the device.
        root: of the file system.

    Raises:
        MeterError: saying why not.
    """
    name = text_in(root / _MODEL) if (root / _MODEL).is_file() else "another machine"
    if not name.startswith("Raspberry Pi 5 "):
        raise NoMeterError(f"of its kind only the Raspberry Pi 5 measures its power, and this is {name}")
    command = shutil.which("vcgencmd")
    if command is None:
        raise MeterError("there is no program vcgencmd; install raspi-utils")
    watts = PMIC(command)
    watts()
    return Sampled(watts, scope="board", method="PMIC, fitted", period_s=_PERIOD_S)
