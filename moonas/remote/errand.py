"""A bundle taken to a device, measured there, and its results brought back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from moonas.errors import MoonasError
from moonas.remote.bundle import SCRIPT, write_bundle
from moonas.remote.imported import import_results

if TYPE_CHECKING:
    from moonas.profiling import Profiling, Progress
    from moonas.remote.bundle import Bundle
    from moonas.remote.target import Target
    from moonas.spec.device import DeviceSpec

_RESULTS = "results.json"


@dataclass(frozen=True)
class Errand:
    """A profile that was measured on another device.

    Attributes:
        profile: as it was written.
        left: what is still on the device, in a sentence; empty if nothing is.
    """

    profile: DeviceSpec
    left: str


def measure_there(profiling: Profiling, target: Target, progress: Progress = lambda line: None) -> Errand:
    """Measure a profile on another device, or go on where it was interrupted, and write it here.

    Until the profile is here, one folder is left on the device, named after the profile and what is measured. So the
    same command finds it again, whatever failed, and all that is complaint or interruption says where it is.

    Raises:
        MoonasError: if there is a profile of this name, the device cannot be reached, or something fails there.
    """
    if profiling.path.exists():
        raise MoonasError(f"{profiling.path} is there already; choose another name, or remove it and its table")
    target.check()
    with TemporaryDirectory(prefix="moonas-") as here:
        bundle = write_bundle(profiling, Path(here) / "bundle.zip", progress)
        there = target.path(f"moonas-{re.sub('[^A-Za-z0-9_]+', '-', profiling.device.name)}-{bundle.digest}")
        progress(f"{bundle.path.stat().st_size / 1e6:.1f} MB are copied to the folder {there} of {target.name}")
        with _kept(f"the folder {there} of {target.name}"):
            results = _fetch(bundle, target, there, progress)
            name, folder = profiling.device.name, profiling.path.parent
            found = import_results(results, name=name, folder=folder, of=bundle.manifest)
    try:
        target.run("rm", "-r", there)
    except MoonasError as error:
        return Errand(found, f"The folder {there} is left on the device, and can be removed ({error}).")
    return Errand(found, "")


def _fetch(bundle: Bundle, target: Target, there: str, progress: Progress) -> Path:
    """Have a bundle measured, and bring the results."""
    target.run("mkdir", "-p", there)
    for source in (SCRIPT, bundle.path):
        target.push(source, f"{there}/{source.name}")
    results = f"{there}/{_RESULTS}"
    command = (target.python, f"{there}/{SCRIPT.name}", f"{there}/{bundle.path.name}", "--out", results)
    target.run(*command, "--end-with-input", progress=progress)
    target.pull(results, bundle.path.with_name(_RESULTS))
    return bundle.path.with_name(_RESULTS)


@contextmanager
def _kept(folder: str) -> Iterator[None]:
    """Say of whatever goes wrong where that is which the same command goes on with."""
    try:
        yield
    except MoonasError as error:
        raise MoonasError(f"{error}; {folder} is kept, and the same command goes on with it") from error
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"in {folder}") from None
