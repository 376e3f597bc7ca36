"""Measured device profiles as files: what a table of kernels becomes, wherever its kernels were timed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import filelock
import yaml

from moonas.content import shipped_folder
from moonas.errors import MoonasError
from moonas.spec.device import HERE, DeviceSpec, load_device
from moonas.spec.provenance import EnvironmentSpec, ValidationSpec
from moonas.study.environment import differences

if TYPE_CHECKING:
    from moonas.hardware.latency import Latency
    from moonas.hardware.table import KernelTable

CALIBRATED_ON, VALIDATED_ON = 5, 20
"""Networks on which the scale of a table is found, and others on which it is tried, where there are so many."""


def path_of(name: str, folder: Path) -> Path:
    """Where the profile of a name lies.

    Raises:
        MoonasError: if none can be called so.
    """
    if name == HERE:
        raise MoonasError(f"a profile cannot be called {HERE}: that is this machine, timed live; choose another name")
    if Path(name).name != name or name.startswith(".") or "\0" in name:
        raise MoonasError(f"the name of a profile must be that of a file, without folders, is '{name}'")
    if (shipped_folder("hw_profiles") / f"{name}.yaml").is_file() and folder.resolve() != shipped_folder("hw_profiles"):
        raise MoonasError(f"a shipped profile is called {name}, and this one would take its place; choose another name")
    return folder / f"{name}.yaml"


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Keep a profile to this process.

    Raises:
        MoonasError: if another one has it, or the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(path.with_name(f".{path.stem}.lock"), blocking=False, thread_local=False)
        lock.acquire()
    except filelock.Timeout as error:
        raise MoonasError(f"{path} is being measured by another process; wait, or choose another name") from error
    except OSError as error:
        raise MoonasError(f"{path} cannot be written: {error.strerror}") from error
    try:
        yield
    finally:
        lock.release()


def claim(path: Path, spec: DeviceSpec) -> DeviceSpec:
    """Write a profile before its kernels are timed, unless it is there already.

    Returns:
        what is there now, with its scale and how well it proved, if it did.

    Raises:
        MoonasError: if there is another profile of this name.
    """
    before = refuse_others(path, spec)
    if before is None:
        write_profile(path, spec)
    return before or spec


def refuse_others(path: Path, spec: DeviceSpec, *, table: bytes | None = None) -> DeviceSpec | None:
    """Refuse to write over another profile, or over figures of this one that somebody may have used.

    Args:
        path: of the profile; its table lies beside it.
        spec: what it is to say.
        table: all that its table is to say; None if that is still to be measured, and what is there is gone on with.

    Returns:
        what is there now; None if nothing is.

    Raises:
        MoonasError: if there is another one.
    """
    before, there = load_device(str(path)) if path.exists() else None, path.with_suffix(".csv")
    if before is not None:
        left_out = {"validation", "environment", "scale", "table", "model"}
        found = next(differences(before.model_dump(exclude=left_out), spec.model_dump(exclude=left_out)), None)
        if found:
            raise MoonasError(f"{path} is another profile ({found}); choose another name, or remove it")
    if there.exists() and (there.read_bytes() != table if table is not None else before is None):
        what = "is there without its profile" if before is None else "was measured another time"
        raise MoonasError(f"{there} {what}; choose another name, or remove it")
    return before


def proved(
    spec: DeviceSpec,
    table: KernelTable,
    *,
    timed: Sequence[Latency],
    sums_ms: Sequence[float],
    environment: EnvironmentSpec,
) -> DeviceSpec:
    """Find the scale of a table on some networks, and try it on the others.

    Args:
        spec: what the profile says so far.
        table: of kernels that were measured.
        timed: what different networks took as a whole; a fifth of them, the first, are for the scale.
        sums_ms: of the kernels of the same networks.
        environment: what was true of the device after they were timed.

    Raises:
        MoonasError: if the kernels were measured too badly.
    """
    import numpy as np

    from moonas.hardware.fit import errors_of

    if min(sums_ms) <= 0:
        what = "the kernels of a network take no time together, so noisy are they"
        raise MoonasError(f"{spec.table}: {what}; measure another profile, with more --rounds")
    measured_ms = [each.best for each in timed]
    first = calibrating(len(timed))
    scale = float(np.median(np.divide(measured_ms, sums_ms)[:first]))
    tried = slice(first if len(timed) > 1 else 0, None)
    predicted = [scale * each for each in sums_ms[tried]]
    found = errors_of(predicted, measured_ms[tried]).items()
    errors = {name: round(value, 4) for name, value in found if np.isfinite(value)}  # no rank where all are alike
    well = round(sum(each.quality == "good" for each in timed) / len(timed), 4)
    of = f"{_which(len(timed))} of {spec.space.encoding if spec.space else ''}"
    if table.uncertainty is not None:
        errors["kernel_uncertainty"] = round(table.uncertainty, 4)
    proof = ValidationSpec(networks=len(predicted), of=of, timed_well=well, **errors)
    share = round(float(np.median([each.cpu_over_wall for each in timed])), 4)
    around = environment.model_copy(update={"cpu_over_wall": share})
    return spec.model_copy(update={"scale": round(scale, 4), "validation": proof, "environment": around})


def calibrating(networks: int) -> int:
    """How many of the networks of a proof, the first ones, are for the scale, and for the pace of the device."""
    return min(CALIBRATED_ON, max(1, networks // 5))


def _which(networks: int) -> str:
    """What the networks are on which a profile is tried, of so many that were timed."""
    if networks == CALIBRATED_ON + VALIDATED_ON:
        return "random networks"
    return "the other networks" if networks > 1 else "the only network, which gave the scale too,"


def write_profile(path: Path, spec: DeviceSpec) -> None:
    """Write a profile, whole at any instant; its table lies beside it.

    Raises:
        MoonasError: if it cannot be written.
    """
    proof, about = spec.validation, spec.space
    tried = f"MAPE {100 * (proof.mape or 0):.1f} % on {proof.networks} networks" if proof else "not tried yet"
    place = "CUDA" if spec.processor == "cuda" else f"{spec.threads} thread{'s' * (spec.threads > 1)}"
    headline = f"# {spec.model}, {spec.runtime}, {place}: kernels of {about.encoding if about else ''}, {tried}.\n"
    tree = spec.model_dump(mode="json", exclude_none=True, exclude={"name"})
    tree["table"] = path.with_suffix(".csv").name
    draft = path.with_name(f".{path.name}.draft")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(headline + yaml.safe_dump(tree, sort_keys=False, default_flow_style=None, width=110), "utf-8")
        draft.replace(path)
    except OSError as error:
        raise MoonasError(f"{path} cannot be written: {error.strerror}") from error
