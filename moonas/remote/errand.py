"""A bundle taken to a device, measured there, and its results brought back."""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from moonas.errors import MoonasError
from moonas.remote.bundle import SCRIPT, write_bundle
from moonas.remote.imported import import_results

if TYPE_CHECKING:
    from moonas.profiling import Profiling, Progress
    from moonas.remote.target import Target
    from moonas.spec.device import DeviceSpec

_RESULTS = "results.json"


def measure_there(profiling: Profiling, target: Target, progress: Progress = lambda line: None) -> DeviceSpec:
    """Measure a profile on another device, or go on where it was interrupted, and write it here.

    Until the results are here, one folder is left on the device, named after the profile and what is measured. So the
    same command finds it again.

    Raises:
        MoonasError: if there is a profile of this name, the device cannot be reached, or something fails there.
    """
    for path in (profiling.path, profiling.table_path):
        if path.exists():
            raise MoonasError(f"{path} is there already; choose another name, or remove it")
    target.check()
    with TemporaryDirectory(prefix="moonas-") as here:
        bundle = write_bundle(profiling, Path(here) / "bundle.zip", progress)
        folder = f"moonas-{re.sub('[^A-Za-z0-9_]+', '-', profiling.device.name)}-{bundle.digest}"
        there = target.path(folder)
        progress(f"{bundle.path.stat().st_size / 1e6:.1f} MB are copied to the folder {there} of {target.name}")
        target.run("mkdir", "-p", there)
        for source in (SCRIPT, bundle.path):
            target.push(source, f"{there}/{source.name}")
        results = f"{there}/{_RESULTS}"
        command = (target.python, f"{there}/{SCRIPT.name}", f"{there}/{bundle.path.name}", "--out", results)
        target.run(*command, "--end-with-input", progress=progress)
        target.pull(results, Path(here) / _RESULTS)
        found = import_results(Path(here) / _RESULTS, name=profiling.device.name, folder=profiling.path.parent)
    target.run("rm", "-r", there)
    return found
