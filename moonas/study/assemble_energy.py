"""The composition root of energy: which meter there is, or the model, and what evaluates with it."""

from __future__ import annotations

from functools import partial

from moonas.errors import MeterError, MoonasError, NoMeterError, SpecError
from moonas.evaluation.energy import MeteredEnergyEvaluator, ModelledEnergyEvaluator
from moonas.evaluation.evaluator import Evaluator
from moonas.evaluation.latency import DryRunEvaluator, Loader
from moonas.hardware.meter.finding import find_meter, open_meter
from moonas.hardware.meter.meter import Meter
from moonas.network.architecture import Task
from moonas.spec.device import AUTO, NO_METER
from moonas.spec.metric import ENERGY_COLUMNS
from moonas.spec.problem import ProblemSpec
from moonas.study.assemble import assemble_device
from moonas.study.columns import MODELLED


def metered(spec: ProblemSpec) -> ProblemSpec:
    """The problem with the meter that measures its energies on this machine, or none where they are modelled.

    Raises:
        SpecError: if they can be neither, or a network may not take as long as measuring does.
    """
    if not spec.wants_energy:
        return spec
    found = with_meter(spec, _meter_here(spec))
    if found.device.meter != NO_METER:
        _check_time(found)
    elif any(use.column == "energy_uncertainty" for _, use in spec.metric_uses):
        raise SpecError("energy_uncertainty is of measured energies, and these are modelled; leave it out")
    return found


def _meter_here(spec: ProblemSpec) -> str:
    """The meter that the problem wants, if it can be used; whichever can, or none, if it leaves that open."""
    meter = spec.device.meter
    if not spec.device.may_be_metered:
        return NO_METER
    try:
        if meter == AUTO:
            return find_meter(spec.device.processor)
        assemble_meter(spec)
    except MeterError as error:
        if meter != AUTO:
            raise SpecError(f"device.meter is {meter}: {error}") from error
        if spec.device.power is None:
            what = "power_w and energy_mj need a meter, or device.power to model them by"
            raise SpecError(f"device: {what}: {error}") from error
        return NO_METER
    return meter


def why_modelled(spec: ProblemSpec) -> str:
    """What keeps a meter of this machine from measuring the energies of a problem that leaves the meter open.

    Returns:
        empty if nothing does, as there is no meter, or one that can be used, or none is wanted.
    """
    if not spec.wants_energy or not spec.device.may_be_metered or spec.device.meter != AUTO:
        return ""
    try:
        find_meter(spec.device.processor)
    except NoMeterError:
        return ""
    except MeterError as error:
        return str(error)
    return ""


def with_meter(spec: ProblemSpec, meter: str) -> ProblemSpec:
    """The problem with this meter."""
    return spec.model_copy(update={"device": spec.device.model_copy(update={"meter": meter})})


def assemble_meter(spec: ProblemSpec) -> Meter:
    """Make the meter of a problem that is `metered`.

    Raises:
        MeterError: if it cannot be used.
    """
    try:
        return open_meter(spec.device.meter, spec.device.processor)
    except MeterError:
        raise
    except MoonasError as error:  # of a function that cannot be imported, a package that is missing
        raise MeterError(str(error)) from error


def describe_energy(spec: ProblemSpec) -> str:
    """How energies of a problem that is `metered` come about, for axes and reports."""
    if spec.device.meter == NO_METER:
        return MODELLED
    from moonas.hardware.energy import window_s  # torch

    meter = assemble_meter(spec)
    return f"measured, {meter.scope}, {meter.method}, windows of {window_s(meter):g} s"


def assemble_energy(spec: ProblemSpec, task: Task) -> list[Evaluator]:
    """Make what gives energies, for a problem that is `metered`."""
    from moonas.hardware.energy import measure_energy  # torch
    from moonas.hardware.energy_model import EnergyModel
    from moonas.hardware.runtime import prepare
    from moonas.hardware.trace import trace

    device = assemble_device(spec)
    if spec.device.meter != NO_METER:
        load = Loader(task, partial(prepare, device=device))
        measure = partial(measure_energy, device=device, meter=assemble_meter(spec), seed=spec.seed)
        tried = [DryRunEvaluator(load)] if "latency_ms" in spec.tabled else []  # else before it is timed
        return [*tried, MeteredEnergyEvaluator(ENERGY_COLUMNS, load, measure)]
    power = spec.device.power
    assert power is not None, "what is modelled has what it is modelled by"
    model = EnergyModel(power.multiply_add_pj, power.byte_pj, power.static_w, fusion=device.fusion)
    gated, batch = spec.device.is_live and "latency_ms" not in spec.tabled, device.batch
    return [ModelledEnergyEvaluator(ENERGY_COLUMNS, task, trace, model.estimate, batch=batch, gated=gated)]


def _check_time(spec: ProblemSpec) -> None:
    """Refuse a time limit that no network could keep; without workers there is none."""
    from moonas.hardware.energy import seconds_for_one  # torch

    meter, allowed = assemble_meter(spec), spec.budget.trial_seconds
    needed = seconds_for_one(meter)
    if spec.workers != 0 and needed > allowed:
        what = f"is {allowed:g}, and measuring the energy of one network takes {needed:.0f} s with {meter.method}"
        raise SpecError(f"budget.trial_seconds: {what}; give at least {2 * needed:.0f}")
