"""What is of this machine: tables of kernels that were measured on it, devices whose networks can be timed on it."""

from __future__ import annotations

from moonas.errors import SpecError
from moonas.spec.device import HERE, DeviceSpec
from moonas.spec.metric import LATENCY_COLUMNS
from moonas.spec.problem import ProblemSpec
from moonas.study.columns import metric_columns
from moonas.study.environment import differences, machine


def is_timed_here(spec: ProblemSpec) -> bool:
    """Whether latencies are wanted, and networks of the problem's device can be timed on this machine."""
    return wants_latency(spec) and not why_not_timed(spec)


def wants_latency(spec: ProblemSpec) -> bool:
    """Whether latencies of the problem's own device are wanted, and not looked up in a table."""
    return any(column in LATENCY_COLUMNS and column not in spec.tabled for column in metric_columns(spec))


def why_not_timed(spec: ProblemSpec) -> str:
    """Why networks of the device cannot be timed here, in one sentence; empty if they can, or nobody wants to know."""
    device = spec.device
    if device.is_live or not wants_latency(spec):
        return ""
    what = "The latencies of the front were not measured"
    if device.table is None:
        return f"{what}: {device.name} has no table of kernels that was measured on this machine."
    difference = _elsewhere(device)
    return f"{what}: the table of {device.name} was not measured on this machine ({difference})." if difference else ""


def refuse_other_machine(device: DeviceSpec) -> None:
    """Refuse to take a table of another machine for this one.

    Raises:
        SpecError: with what differs.
    """
    difference = _elsewhere(device) if device.name == HERE and device.table is not None else ""
    if difference:
        raise SpecError(
            f"device.table: {device.table} was not measured on this machine ({difference}), which device: here is; "
            "measure one by `moonas profile NAME --encoding E`, or give its profile by name: it predicts for where it "
            "was measured"
        )


def _elsewhere(device: DeviceSpec) -> str:
    """How the machine on which a table was measured differs from this one; empty if they agree."""
    if device.machine is None:
        return "its profile names no machine"
    before, now = device.machine.model_dump(), machine(device.runtime, on_gpu=device.processor == "cuda").model_dump()
    unknown = [name for name, value in now.items() if value == "unknown"]
    if unknown:
        return f"nobody knows the {unknown[0]} of this machine"
    return "; ".join(differences(before, now))
