"""The machine and the packages that a run's numbers come from, and how two such records differ."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from typing import Any

from moonas.spec.provenance import MachineSpec

_PACKAGES = (
    "moonas",
    "torch",
    "onnxruntime",
    "numpy",
    "pymoo",
    "moocore",
    "pandas",
    "scikit-learn",
    "fvcore",
)


def environment() -> dict[str, Any]:
    """The machine and the packages that numbers of this run come from."""
    import psutil

    return {
        "started": now(),
        "python": platform.python_version(),
        "system": platform.platform(),
        "processor": processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        **({"gpus": gpus} if (gpus := _gpus()) else {}),
        "packages": {name: _version(name) for name in _PACKAGES},
    }


def machine(runtime: str) -> MachineSpec:
    """What a profile of this machine holds for.

    Args:
        runtime: the package that runs the networks.
    """
    return MachineSpec(
        processor=processor(),
        cores=os.cpu_count() or 1,
        runtime_version=_version_of_module(runtime),
        system=f"{platform.system()} {platform.machine()}",
    )


def _version_of_module(module: str) -> str:
    """The version of a module, by whichever package brings it, as builds for GPUs have names of their own."""
    packages = packages_distributions().get(module, [])
    return next((version(package) for package in packages), "unknown")


def _version(package: str) -> str | None:
    """The version of a package; None if it goes by another name here, as builds for GPUs do."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def processor(root: Path = Path("/")) -> str:
    """The model of the board, or else of the CPU, as precisely as the system tells."""
    found = _read(root / "proc/device-tree/model").strip("\0\n ")
    facts = dict[str, str]()
    for line in _read(root / "proc/cpuinfo").splitlines():
        key, _, value = line.partition(":")
        facts.setdefault(key.strip(), value.strip())  # of the first core
    arm = " ".join(f"{part} {facts[part]}" for part in ("CPU implementer", "CPU part") if part in facts)
    told = (found, facts.get("model name"), facts.get("Hardware"), arm)
    return next(filter(None, told), platform.processor() or platform.machine() or "unknown")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _gpus() -> list[str]:
    """The models of NVIDIA's GPUs, where their driver tells; torch, which knows too, takes seconds to import."""
    try:
        files = sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
        texts = [file.read_text(encoding="utf-8") for file in files]
    except OSError:
        return []
    lines = (line.partition(":") for text in texts for line in text.splitlines())
    return [value.strip() for name, _, value in lines if name.strip() == "Model"]


def now() -> str:
    """The time, in UTC, as files write it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def differences(before: Any, now: Any, at: str = "") -> Iterator[str]:
    """List where two trees of plain values differ, as `search.population: was 24, is 32`."""
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for key in [*before, *(key for key in now if key not in before)]:
            yield from differences(before.get(key), now.get(key), f"{at}.{key}" if at else str(key))
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        for i, (old, new) in enumerate(zip(before, now, strict=True)):
            yield from differences(old, new, f"{at}.{i}")
    elif before != now:
        yield f"{at}: was {_shown(before)}, is {_shown(now)}"


def _shown(value: Any) -> str:
    return "not given" if value is None else str(value)
