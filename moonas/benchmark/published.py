"""Latencies that Tencent published of known networks, by ncnn on many devices, and which of them become profiles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from moonas.benchmark.devices import Device
from moonas.errors import MoonasError
from moonas.hardware.roofline import Work

SOURCE = {
    "url": "https://github.com/Tencent/ncnn/blob/master/benchmark/README.md",
    "date": "2026-11-29",
    "licence": "BSD-3-Clause",
}
FUSION = ("native_batch_norm", "relu", "hardtanh", "sigmoid")
"""What the published networks compute with the convolution or linear layer before."""
_WORK = {
    "kernels": "kernels",
    "dense": "macs_dense_conv",
    "pointwise": "macs_pointwise_conv",
    "depthwise": "macs_depthwise_conv",
    "linear": "macs_linear",
    "bytes": "bytes_moved",
}
_SETTING = ["device", "threads", "powersave"]
_ON_THE_CPU, _SMALL_CORES = -1, 1
_FEWEST_NETWORKS = 14


@dataclass(frozen=True)
class Setting:
    """A device, and how ncnn used it.

    Attributes:
        device: as published.
        threads: CPU threads.
        powersave: 0 for any cores, 1 for the small and 2 for the large ones.
        latencies_ms: name of a network -> the fastest of its runs.
    """

    device: str
    threads: int
    powersave: int
    latencies_ms: Mapping[str, float]


def read_works(path: Path) -> dict[str, Work]:
    """Read what each network asks of a device.

    Networks with no more multiply-adds than weights are left out: their graphs do not say how large the input is, and
    were counted for a single pixel.

    Raises:
        MoonasError: if the file is no table of networks.
    """
    table = _table(path, ["network", "params", *_WORK.values()])
    counts = table[list(_WORK.values())[1:-1]].sum(axis=1)
    known = table[counts > table["params"]].set_index("network")
    return {
        str(name): Work(**{field: int(row[column]) for field, column in _WORK.items()})
        for name, row in known.iterrows()
    }


def read_settings(path: Path, networks: Sequence[str]) -> list[Setting]:
    """Read the latencies of these networks on CPUs, for all settings in which most of them ran.

    Raises:
        MoonasError: if the file is no table of latencies.
    """
    table = _table(path, [*_SETTING, "gpu", "network", "min_ms"])
    table = table[(table["gpu"] == _ON_THE_CPU) & table["network"].isin(networks) & (table["min_ms"] > 0)]
    settings = []
    for (device, threads, powersave), rows in table.groupby(_SETTING, sort=False):
        fastest = rows.groupby("network")["min_ms"].min().reindex(networks).dropna()
        if len(fastest) >= _FEWEST_NETWORKS:
            settings.append(Setting(str(device), int(threads), int(powersave), fastest.to_dict()))
    return settings


def setting_of(device: Device, settings: Sequence[Setting]) -> Setting:
    """Choose one setting of a device: with one thread, and the fastest if that was not published.

    With one thread devices compare, with each other and with a search's own machine, and more threads are predicted
    worse. The fastest is so by the geometric mean over the networks that ran in all settings.

    Raises:
        MoonasError: if none was published.
    """
    its = [each for each in settings if each.device == device.published and each.powersave != _SMALL_CORES]
    its = [each for each in its if each.threads == 1] or its
    if not its:
        raise MoonasError(f"{device.words}: there are no latencies of {device.published!r} on its CPU")
    in_all = set.intersection(*(set(each.latencies_ms) for each in its))
    return min(its, key=lambda each: float(np.mean(np.log([each.latencies_ms[name] for name in in_all]))))


def _table(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise MoonasError(f"{path} cannot be read as a CSV: {error}") from error
    missing = [column for column in columns if column not in table]
    if missing:
        raise MoonasError(f"{path} has no column {', '.join(missing)}; it needs {', '.join(columns)}")
    return table
