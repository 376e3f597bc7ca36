"""What a device profile may say: how the numbers of a device come about."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from moonas import content
from moonas.errors import UnknownNameError
from moonas.registry import METERS
from moonas.spec.document import read_document
from moonas.spec.metric import PREDICTED_COLUMNS, WALL_COLUMN, device_in, metric_of
from moonas.spec.provenance import EnvironmentSpec, MachineSpec, PriceSpec, SourceSpec, SpaceSpec, ValidationSpec
from moonas.spec.validation import LISTED, Mistake, SpecModel, validate

HERE = "here"
"""The device that is this machine."""
AUTO, NO_METER = "auto", "none"
MOST_ROUNDS = 1000
"""In place of a meter: whichever is usable; energy is modelled."""


def _check_meter(name: str) -> str:
    """Refuse what names no meter."""
    if name in (AUTO, NO_METER) or name.endswith(".csv"):
        return name
    try:
        return METERS.check(name)
    except UnknownNameError as error:
        hint = ", or give a function of your own as package.module:function, or a .csv file of seconds,watts"
        raise ValueError(str(UnknownNameError("meter", name, [*METERS.names(), AUTO, NO_METER], hint))) from error


NotNegative = Annotated[float, Field(ge=0)]


class RooflineSpec(SpecModel):
    """What each part of a network adds to its latency.

    Attributes:
        call_us: an inference, whatever it computes, in microseconds.
        kernel_us: a kernel, in microseconds.
        dense_ps: a multiply-add of a convolution, in picoseconds.
        pointwise_ps: a multiply-add of a convolution of 1x1.
        depthwise_ps: a multiply-add of a convolution with a group for each channel.
        linear_ps: a multiply-add of a linear layer or another matrix product.
        byte_ps: a byte that a kernel reads or writes.
    """

    call_us: NotNegative = 0.0
    kernel_us: NotNegative = 0.0
    dense_ps: NotNegative = 0.0
    pointwise_ps: NotNegative = 0.0
    depthwise_ps: NotNegative = 0.0
    linear_ps: NotNegative = 0.0
    byte_ps: NotNegative = 0.0


class PowerSpec(SpecModel):
    """What the energy of an inference is modelled from, where there is no meter.

    Attributes:
        static_w: drawn whatever is computed, in watts.
        multiply_add_pj: of one multiply-add, in picojoules.
        byte_pj: of a byte that a kernel reads or writes, in picojoules.
    """

    static_w: NotNegative
    multiply_add_pj: NotNegative
    byte_pj: NotNegative
    source: SourceSpec


class DeviceSpec(SpecModel):
    """A device: timed live, or one whose latencies are predicted.

    Attributes:
        kind: `measured` on it (live, if there is no table), `fitted` to published latencies of other networks, or taken
            from a `spec-sheet`, by which networks can be ranked at best.
        model: what device it is, in words.
        processor: `cpu`, or `cuda` for the first NVIDIA GPU.
        runtime: what runs the network. Here that can be ONNX Runtime (CPU only) or eager PyTorch.
        threads: CPU threads of one inference.
        batch: inputs of one inference.
        fusion: kinds of operations that the runtime computes with the one before.
        table: CSV of kernels that were measured, beside the profile.
        scale: by which the sum of kernels is multiplied, found on a few whole networks.
        rounds: when timed live, how often a batch of candidates is visited, in a new random order each time.
        round_ms: how long one candidate is timed in one round, at least three calls.
        meter: what measures energy here: `nvml`, `rapl`, `jetson`, `raspberry_pi_5`, a function of the user's own that
            gives watts now, a .csv file of seconds and watts that grows meanwhile; `auto` for the first that is usable,
            and the model of `power` where none is; `none` for the model.
    """

    name: str = HERE
    kind: Literal["measured", "fitted", "spec-sheet"] = "measured"
    model: str | None = None
    processor: Literal["cpu", "cuda"] = "cpu"
    runtime: Literal["onnxruntime", "torch", "ncnn"] = "onnxruntime"
    threads: Annotated[int, Field(ge=1, le=1024)] = 1
    batch: Annotated[int, Field(ge=1, le=65536)] = 1
    fusion: Annotated[tuple[str, ...], LISTED] = ()
    rounds: Annotated[int, Field(ge=2, le=MOST_ROUNDS)] = 8
    round_ms: Annotated[float, Field(gt=0, le=60_000)] = 15.0
    meter: Annotated[str, AfterValidator(_check_meter)] = AUTO
    table: str | None = None
    scale: Annotated[float, Field(gt=0)] = 1.0
    roofline: RooflineSpec | None = None
    machine: MachineSpec | None = None
    environment: EnvironmentSpec | None = None
    space: SpaceSpec | None = None
    validation: ValidationSpec | None = None
    power: PowerSpec | None = None
    price: PriceSpec | None = None
    source: SourceSpec | None = None

    @property
    def is_live(self) -> bool:
        """Whether networks are timed on it, and not predicted."""
        return self.table is None and self.roofline is None

    @property
    def may_be_metered(self) -> bool:
        """Whether energy is measured, if there is a meter: of networks that run here."""
        return self.is_live and self.meter != NO_METER

    @property
    def reliability(self) -> str:
        """How far its predictions can be relied on, in a few words."""
        if self.kind == "spec-sheet":
            return "spec-sheet, rank only"
        what = "measured kernels" if self.table is not None else self.kind
        proof = self.validation
        if proof is None or proof.mape is None:
            return f"{what}, error unknown"
        return f"{what}, +-{100 * proof.mape:.0f} %"

    def refusal(self, column: str) -> str:
        """Why a metric is none that this device gives; empty if it is, or does not depend on the device."""
        metric = metric_of(column)
        if metric is None:
            return ""
        if device_in(column) and self.is_live:
            return f"{self.name} is timed live, and only `device` can be; name a profile that predicts"
        if metric.source == "latency" and metric.name not in PREDICTED_COLUMNS and not self.is_live:
            return f"{column} is timed, and the latencies of {self.name} are predicted; write latency_ms"
        if metric.name == WALL_COLUMN and self.processor != "cuda":
            return f"{column} is of a GPU; on a CPU latency_median_ms is the same"
        if metric.source == "prediction" and self.table is None:
            return (
                f"{column} is of predictions from a table of measured kernels, and {self.name} has none; leave it out"
            )
        return ""

    def on(self, machine: MachineSpec) -> DeviceSpec:
        """The same, of the machine on which it was measured."""
        return self.model_copy(update={"model": machine.gpu or machine.processor, "machine": machine})

    def mistakes(self) -> Iterator[Mistake]:
        """Refuse what no runtime here can do, and predictions from nothing."""
        if self.is_live and self.processor == "cuda" and self.runtime == "onnxruntime":
            yield ("runtime",), "onnxruntime measures on cpu only; for cuda set runtime: torch"
        if self.is_live and self.kind != "measured":
            yield ("roofline",), f"is missing; a {self.kind} profile predicts by it"
        if self.is_live and self.runtime == "ncnn":
            yield ("runtime",), "ncnn is not run here; only a profile with a roofline may name it"
        if self.table is not None and self.kind != "measured":
            yield ("table",), f"is of kernels that were measured, and this profile is {self.kind}"
        if self.table is not None and self.roofline is not None:
            yield (
                ("roofline",),
                "is given beside table, whose kernels tell what others take; keep one",
            )
        if not self.is_live and self.kind != "measured" and self.source is None:
            yield ("source",), "is missing; say where the figures come from"
        if not self.is_live and self.meter not in (AUTO, NO_METER):
            yield ("meter",), "measures what runs here, and the latencies of this profile are predicted; leave it out"


def load_device(name: str, *, beside: Path = Path()) -> DeviceSpec:
    """Read a device profile; see `load_device_tree`."""
    return DeviceSpec.model_validate(load_device_tree(name, beside=beside))


def load_device_tree(name: str, *, beside: Path = Path()) -> dict[str, Any]:
    """Read a device profile by path or shipped name, checked, as plain values to which a problem may add its own.

    Raises:
        SpecError: if the file is wrong.
        UnknownNameError: if there is no such file.
    """
    path = content.find("hw_profiles", name, beside=beside)
    document = read_document(path)
    document.tree.setdefault("name", path.stem)
    return with_paths(validate(DeviceSpec, document.tree, document).model_dump(), lambda key: path.parent)


def with_paths(tree: dict[str, Any], folder_of: Callable[[str], Path]) -> dict[str, Any]:
    """A device with the files that it names made absolute: a table of kernels, and a recording that is its meter.

    Args:
        tree: what stands in a file.
        folder_of: where the path of a key begins.
    """
    found = {key: value for key in ("table", "meter") if str(value := tree.get(key)).endswith(".csv")}
    return {**tree, **{key: str((folder_of(key) / str(value)).resolve()) for key, value in found.items()}}
