"""Measured device profiles as files: what a table of kernels becomes, wherever its kernels were timed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml

from moonas.errors import MoonasError
from moonas.spec.device import HERE, DeviceSpec, load_device_tree
from moonas.spec.provenance import ValidationSpec
from moonas.study.environment import differences

CALIBRATED_ON, VALIDATED_ON = 5, 20
"""Networks on which the scale of a table is found, and others on which it is tried."""


def path_of(name: str, folder: Path) -> Path:
    """Where the profile of a name lies.

    Raises:
        MoonasError: if none can be called so.
    """
    if name == HERE:
        raise MoonasError(f"a profile cannot be called {HERE}: that is this machine, timed live; choose another name")
    if Path(name).name != name or name.startswith(".") or "\0" in name:
        raise MoonasError(f"the name of a profile must be that of a file, without folders, is '{name}'")
    return folder / f"{name}.yaml"


def claim(path: Path, spec: DeviceSpec) -> None:
    """Write a profile before its kernels are timed, unless there is another of this name.

    Raises:
        MoonasError: if there is.
    """
    table = path.with_suffix(".csv")
    if path.exists():
        before = load_device_tree(str(path))
        left_out = {"validation", "scale", "table", "model"}
        same = {key: value for key, value in before.items() if key not in left_out}
        found = next(differences(same, spec.model_dump(exclude=left_out)), None)
        if found:
            raise MoonasError(f"{path} is another profile ({found}); choose another name, or remove it")
        return  # with what it says of its scale, until that is found anew
    if table.exists():
        raise MoonasError(f"{table} is there without its profile; choose another name, or remove it")
    _write(path, spec)


def prove(path: Path, spec: DeviceSpec, *, measured_ms: Sequence[float], sums_ms: Sequence[float]) -> DeviceSpec:
    """Find the scale of a table on some networks, try it on the others, and write both into the profile.

    Args:
        path: of the profile.
        spec: what it says so far.
        measured_ms: of whole networks, first those for the scale.
        sums_ms: of the kernels of the same networks.

    Raises:
        MoonasError: if the kernels were measured too badly, or the profile cannot be written.
    """
    import numpy as np

    from moonas.hardware.fit import errors_of

    if min(sums_ms) <= 0:
        what = "the kernels of a network take no time together, so noisy are they; remove it, and measure more rounds"
        raise MoonasError(f"{path.with_suffix('.csv')}: {what}")
    scale = float(np.median(np.divide(measured_ms, sums_ms)[:CALIBRATED_ON]))
    predicted = [scale * each for each in sums_ms[CALIBRATED_ON:]]
    found = errors_of(predicted, measured_ms[CALIBRATED_ON:]).items()
    errors = {name: round(value, 4) for name, value in found if np.isfinite(value)}  # no rank where all are alike
    of = f"random networks of {spec.space.encoding if spec.space else ''}"
    proof = ValidationSpec(networks=len(predicted), of=of, **errors)
    proved = spec.model_copy(update={"scale": round(scale, 4), "validation": proof})
    _write(path, proved)
    return proved


def _write(path: Path, spec: DeviceSpec) -> None:
    """Write a profile, whole at any instant."""
    proof, about = spec.validation, spec.space
    tried = f"MAPE {100 * (proof.mape or 0):.1f} % on {proof.networks} networks" if proof else "not tried yet"
    threads = f"{spec.threads} thread{'s' * (spec.threads > 1)}"
    headline = f"# {spec.model}, {spec.runtime}, {threads}: kernels of {about.encoding if about else ''}, {tried}.\n"
    tree = spec.model_dump(mode="json", exclude_none=True, exclude={"name"})
    draft = path.with_name(f".{path.name}.draft")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(headline + yaml.safe_dump(tree, sort_keys=False, default_flow_style=None, width=110), "utf-8")
        draft.replace(path)
    except OSError as error:
        raise MoonasError(f"{path} cannot be written: {error.strerror}") from error
