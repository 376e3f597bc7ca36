"""From a name to a meter, or whichever is usable here."""

from __future__ import annotations

from pathlib import Path

from moonas.errors import MeterError, MoonasError, NoMeterError
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
        NoMeterError: if there is none, saying of each why.
        MeterError: if there is one that cannot be used as it is, saying what is in the way.
    """
    reasons: list[str] = []
    in_the_way: list[str] = []
    for name in dict.fromkeys([*METERS.built_in, *METERS.names()]):
        try:
            open_meter(name, processor, root=root)
        except NoMeterError as error:
            reasons.append(f"{name}: {error}")
        except MoonasError as error:
            in_the_way.append(f"{name}: {error}")
        else:
            return name
    if in_the_way:
        raise MeterError(f"no meter can be used as it is ({'; '.join(in_the_way)})")
    raise NoMeterError(f"no meter can be used here ({'; '.join(reasons)})")
