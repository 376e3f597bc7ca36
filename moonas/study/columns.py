"""The columns of metrics that a problem leads to, and how each of them comes about."""

from __future__ import annotations

from pathlib import Path

from moonas.spec.device import HERE, DeviceSpec
from moonas.spec.metric import (
    AT,
    ENERGY_COLUMNS,
    LATENCY_COLUMNS,
    MEMORY_COLUMNS,
    PREDICTED_COLUMNS,
    WALL_COLUMN,
    metric_of,
)
from moonas.spec.problem import ProblemSpec
from moonas.study.assemble import device_profile

MODELLED = "modelled by multiply-adds, bytes and latency, rank only"
"""How a modelled energy is to be read."""
_AT_REST = {"energy_mj": "included", "energy_above_idle_mj": "subtracted", "power_w": "included"}


def metric_columns(spec: ProblemSpec) -> tuple[str, ...]:
    """All metrics that this problem measures: objectives, constraints, the recorded, and what comes with them."""
    wanted = [*(use.column for _, use in spec.metric_uses), *spec.record]
    if spec.wants_energy:  # of which latency is a part, or the other half
        wanted += [*ENERGY_COLUMNS, "latency_ms"]
    for column in [each for each in wanted if each not in spec.tabled]:
        wanted += _beside(spec, column)
    return tuple(dict.fromkeys(wanted))


def timed_columns(device: DeviceSpec) -> list[str]:
    """The columns of a device whose networks are timed."""
    return [name for name in LATENCY_COLUMNS if name != WALL_COLUMN or device.processor == "cuda"]


def _beside(spec: ProblemSpec, column: str) -> list[str]:
    """The columns that come with a latency: what timing gives, or what a profile predicts."""
    metric = metric_of(column)
    if metric is None or metric.source not in ("latency", "prediction"):
        return []
    device = spec.device_of(column)
    if device.is_live:
        return timed_columns(device)
    names = PREDICTED_COLUMNS if device.table is not None else ("latency_ms",)
    return [f"{name}{column.removeprefix(metric.name)}" for name in names]


def predicted_devices(spec: ProblemSpec) -> dict[str, DeviceSpec]:
    """The columns of latencies that this problem predicts, and of which devices they are."""
    latencies = [column for column in metric_columns(spec) if column.partition(AT)[0] == "latency_ms"]
    devices = {column: spec.device_of(column) for column in latencies if column not in spec.tabled}
    return {column: device for column, device in devices.items() if not device.is_live}


def metric_notes(spec: ProblemSpec, energy: str | None = None) -> dict[str, str]:
    """How the metrics that depend on it come about: on what device, after how much training, from what table.

    Args:
        spec: the problem.
        energy: how energies came about in a run; None before it.
    """
    metered = "measured where there is a meter, else modelled"
    notes = {spec.score: f"validation, {spec.fidelity}"}
    notes |= dict.fromkeys(MEMORY_COLUMNS, f"computed for {device_profile(spec.device).place}")
    if spec.device.is_live:
        notes |= dict.fromkeys(LATENCY_COLUMNS, device_profile(spec.device).describe())
    notes |= {column: _prediction_note(device) for column, device in predicted_devices(spec).items()}
    energy = energy or (metered if spec.device.may_be_metered else MODELLED)
    idle = {column: f"; what is drawn at rest is {_AT_REST[column]}" for column in _AT_REST}
    notes |= {column: f"{energy}{idle.get(column, '')}" for column in ENERGY_COLUMNS}
    if spec.table is not None:
        notes |= dict.fromkeys(spec.tabled, f"from {Path(str(spec.table.path)).name}")
    return notes


def _prediction_note(device: DeviceSpec) -> str:
    name = Path(device.table).stem if device.name == HERE and device.table is not None else device.name
    return f"predicted by hw_profiles/{name} ({device.reliability}), {device_profile(device).place}"
