"""How well a device profile predicts latencies of networks that it has not seen, and how much of that is chance."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer
from scipy.stats import kendalltau
from torch import nn

from moonas.benchmark.stopwatch import timed
from moonas.encoding.catalogue import encoding_of
from moonas.errors import MoonasError
from moonas.evaluation.worker import keep_memory
from moonas.hardware.fit import errors_of
from moonas.hardware.kernel_times import CALL
from moonas.hardware.latency import measure
from moonas.hardware.predict import LatencyModel
from moonas.hardware.runtime import prepare
from moonas.hardware.table import KernelTable, read_table
from moonas.hardware.trace import trace
from moonas.profiling import UP_TO_S
from moonas.report.table import print_frame
from moonas.run import parse_assignments
from moonas.show import task_for
from moonas.spec.device import DeviceSpec, load_device
from moonas.spec.encoding import load_encoding
from moonas.study.assemble import assemble_latency_model, device_profile
from moonas.study.spread import built, draw_different
from moonas.terminal import say

Values = np.ndarray[tuple[int], np.dtype[np.float64]]
SCALED_ON = 5
"""Networks on which multiply-adds, and sums of kernels once more, are scaled; errors are of the others."""
_FOLDS = 10
_LEAST_US = 2.0
"""Kernels that take less are left out where times are compared: that compares their noise."""


def predictions(
    profile: Annotated[str, typer.Argument(help="A profile that was measured on this machine.")],
    encoding: Annotated[str, typer.Option(help="The search space of the networks.")],
    assignments: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY.PATH=VALUE", help="Change a key of the encoding.")
    ] = None,
    shape: Annotated[str | None, typer.Option("--input", metavar="SHAPE", help="Of one input.")] = None,
    networks: Annotated[int, typer.Option(min=SCALED_ON + 2, help="Networks to time.")] = 45,
    seed: Annotated[int, typer.Option(min=0, help="Of the networks; the profile was tried on those of its own.")] = 1,
    against: Annotated[str | None, typer.Option(help="Another profile of the same kernels, to compare with.")] = None,
) -> None:
    """Time different random networks, and compare with what a profile predicts, and with multiply-adds.

    All networks are timed side by side, in interleaved rounds. Multiply-adds are scaled on the first five, and sums of
    kernels too, beside the scale that the profile brings.
    """
    spec = load_device(profile)
    if spec.table is None:
        raise MoonasError(f"{profile} has no table of kernels")
    overrides = parse_assignments(assignments or [])
    task = task_for(encoding, shape, spec.space.classes if spec.space else None)
    space = encoding_of(load_encoding(encoding, overrides=overrides))
    genotypes = draw_different(space, networks, seed=seed).genotypes
    modules = list(built(space, task, genotypes, seed=seed))
    if len(modules) < SCALED_ON + 2:
        raise MoonasError(f"{encoding} has {len(modules)} different networks, too few to compare predictions of")
    keep_memory()
    device, model = device_profile(spec), assemble_latency_model(spec)
    ready = [prepare(each, task.input_shape, device) for each in modules]
    timed_ms = measure(ready, device, up_to_s=UP_TO_S, patience=device.rounds)
    measured = np.array([each.best for each in timed_ms])
    found = [model.predict(each, task.input_shape) for each in modules]
    traces = [trace(each, task.input_shape) for each in modules]
    multiply_adds = np.array([float(sum(step.multiply_adds for step in steps)) for steps in traces])
    sums = np.array([each.latency_ms for each in found])
    scaled = {"the profile": sums, "its kernels, scaled on 5": sums, "multiply-adds, scaled on 5": multiply_adds}
    rows = [_row(name, values, measured, is_scaled=i > 0) for i, (name, values) in enumerate(scaled.items())]
    print_frame(pd.DataFrame(rows), f"{len(modules)} networks of {encoding} on {profile}")
    well = f"{sum(each.quality == 'good' for each in timed_ms)} of {len(modules)} latencies timed well"
    say(f"Coverage {min(each.coverage for each in found):.3f} at least; {well}.")
    _say_how_fast(model, spec, task.input_shape, modules)
    _say_how_well_missing_ones(read_table(Path(spec.table)))
    if against is not None:
        _compare(read_table(Path(spec.table)), against)


def _row(name: str, values: Values, measured: Values, *, is_scaled: bool) -> dict[str, object]:
    """The errors of all networks but those on which a scale was found."""
    rest = slice(SCALED_ON, None)
    scale = float(np.median(measured[:SCALED_ON] / values[:SCALED_ON])) if is_scaled else 1.0
    errors = errors_of(list(scale * values[rest]), list(measured[rest]))
    kendall = float(kendalltau(values[rest], measured[rest]).statistic)
    return {
        "by": name,
        "spearman": errors["spearman"],
        "kendall": kendall,
        "mape": errors["mape"],
        "within_10_percent": errors["within_10_percent"],
    }


def _say_how_fast(model: LatencyModel, spec: DeviceSpec, shape: tuple[int, ...], modules: Sequence[nn.Module]) -> None:
    taken = [1000 * timed(lambda: model.predict(each, shape)) for each in modules]  # noqa: B023
    table = model.table
    assert isinstance(table, KernelTable)
    keys = (list(table.times) * (1000 // len(table.times) + 1))[:1000]
    looked_up = 1000 * timed(lambda: [table.times[key] for key in keys])
    say(
        f"A prediction takes {np.median(taken):.0f} ms with its trace ({min(taken):.0f} to {max(taken):.0f}), "
        f"1,000 known kernels {looked_up:.2f} ms."
    )


def _say_how_well_missing_ones(table: KernelTable) -> None:
    """Leave out a tenth of the kernels at a time, and predict these by the others."""
    kernels = [time for time in table.times.values() if time.work.kernels and time.microseconds >= _LEAST_US]
    errors = []
    for fold in range(_FOLDS):
        left_out = kernels[fold::_FOLDS]
        keys = {each.key for each in left_out}
        others = KernelTable(time for key, time in table.times.items() if key not in {CALL, *keys})
        for each in left_out:
            predicted_us = 1000 * others.sum_named([(each.key, each.work)]).latency_ms
            errors.append(abs(predicted_us / each.microseconds - 1))
    say(
        f"Of {len(kernels)} kernels that take 2 us or more, each predicted by nine tenths of the others, half are off "
        f"by {100 * np.median(errors):.0f} % or less, nine of ten by {100 * np.quantile(errors, 0.9):.0f} %."
    )


def _compare(table: KernelTable, other: str) -> None:
    path = load_device(other).table
    times = read_table(Path(path)).times if path else {}
    pairs = [(time.microseconds, times[key].microseconds) for key, time in table.times.items() if key in times]
    large = [(a, b) for a, b in pairs if min(a, b) >= _LEAST_US]
    if not large:
        raise MoonasError(f"{other} has no kernels in common with it")
    differences = [abs(a - b) / max(a, b) for a, b in large]
    say(
        f"Of {len(large)} kernels that take 2 us or more in both, times differ by {100 * np.median(differences):.1f} % "
        f"(median; 9 of 10 by {100 * np.quantile(differences, 0.9):.1f} % at most); sums by "
        f"{100 * abs(sum(a for a, _ in pairs) / sum(b for _, b in pairs) - 1):.1f} %."
    )
