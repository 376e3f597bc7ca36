"""The machine and the packages that a run's numbers come from, and how two such records differ."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from typing import Any

from moonas.spec.provenance import EnvironmentSpec, MachineSpec

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


def machine(runtime: str, *, on_gpu: bool = False) -> MachineSpec:
    """What a profile of this machine holds for.

    Args:
        runtime: the package that runs the networks.
        on_gpu: whether it does so on the first GPU; "unknown" if PyTorch sees none.
    """
    return MachineSpec(
        processor=processor(),
        cores=os.cpu_count() or 1,
        runtime_version=_version_of_module(runtime),
        system=f"{platform.system()} {platform.machine()}",
        **(_first_gpu() if on_gpu else {}),
    )


def _first_gpu() -> dict[str, str | None]:
    """The GPU that PyTorch uses, its driver, and the CUDA that PyTorch was built for."""
    import torch

    if not torch.cuda.is_available():
        return {"gpu": "unknown"}
    driver = _read(Path("/sys/module/nvidia/version")).strip()
    return {"gpu": torch.cuda.get_device_name(0), "driver": driver or None, "cuda": torch.version.cuda}


def surroundings(root: Path = Path("/")) -> EnvironmentSpec:
    """What is true of this machine now, as far as the system tells."""
    cpus = root / "sys/devices/system/cpu"
    waiting = re.search(r"some avg10=([0-9.]+)", _read(root / "proc/pressure/cpu"))
    kilohertz = re.match(r"[1-9]\d*", _read(cpus / "cpu0/cpufreq/scaling_cur_freq"))
    turbo = {"0": False, "1": True}.get(_read(cpus / "cpufreq/boost").strip())
    return EnvironmentSpec(
        date=datetime.now(UTC).date().isoformat(),
        system=platform.platform(),
        python=platform.python_version(),
        load=round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        pressure=float(waiting.group(1)) if waiting else None,
        governor=_read(cpus / "cpu0/cpufreq/scaling_governor").strip() or None,
        mhz=int(kilohertz.group()) / 1000 if kilohertz else None,
        turbo={"0": True, "1": False}.get(_read(cpus / "intel_pstate/no_turbo").strip(), turbo),
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
