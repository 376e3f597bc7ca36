"""From a name to a meter, or whichever is usable here."""

from __future__ import annotations

from pathlib import Path

from moonas.errors import MeterError, MoonasError
from moonas.hardware.meter.meter import Meter
from moonas.hardware.meter.recording import Recording
from moonas.hardware.meter.sampled import Sampled
from moonas.registry import METERS, is_dotted_path

ROOT = Path("/")
_OWN_PERIOD_S = 0.1


def open_meter(name: str, processor: str, *, root: Path = ROOT) -> Meter:
    """Make the meter of a name.

    Args:
        name: one of METERS, `package.module:function` for a function that gives watts now, or the path of a CSV file.
        processor: whose energy is wanted, `cpu` or `cuda`; of the user's own meters it is believed that they see it.
        root: of the file system.

    Raises:
        MoonasError: if there is none, or it cannot be read.
    """
    if name.endswith(".csv"):
        return Recording(Path(name))
    found = METERS.load(name)
    if is_dotted_path(name):
        return Sampled(found, scope="external", method=name, period_s=_OWN_PERIOD_S)
    meter: Meter = found(processor, root)
    return meter


def find_meter(processor: str, *, root: Path = ROOT) -> str:
    """The name of the first meter that is usable here.

    Args:
        processor: whose energy is wanted.
        root: of the file system.

    Raises:
        MeterError: saying of each why it is not.
    """
    reasons = []
    for name in dict.fromkeys([*METERS.built_in, *METERS.names()]):
        try:
            open_meter(name, processor, root=root)
        except MoonasError as error:
            reasons.append(f"{name}: {error}")
        else:
            return name
    raise MeterError(f"no meter can be used here ({'; '.join(reasons)})")
