"""What to think of latencies that were predicted, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pandas as pd

from moonas.network.architecture import Task
from moonas.report.table import number
from moonas.spec.device import DeviceSpec

_LEAST_COVERAGE = 0.5


def prediction_remarks(
    *networks: pd.DataFrame, devices: Mapping[str, DeviceSpec], encoding: str | None, task: Task
) -> list[str]:
    """Sentences on predicted latencies that are easily taken for more than they are; none if nothing is wrong.

    Args:
        *networks: one row a network, with latencies, and coverages of those that come from a table of measured kernels;
            of several frames, as all that a search tried and its front, the least covered one counts.
        devices: the columns of latencies that were predicted, and of which devices they are.
        encoding: the search space, by the name of its file; None if it has none.
        task: what its networks are for.
    """
    given, file = (encoding, "") if encoding else ("FILE", ", its encoding written to a FILE")
    how = f"--encoding {given} --input {'x'.join(map(str, task.input_shape))} --classes {task.classes}"
    return [*_ranking_only(devices), *_small_images(devices, task), *_uncovered(networks, devices, how, file)]


def _ranking_only(devices: Mapping[str, DeviceSpec]) -> Iterator[str]:
    """On latencies that say nothing but an order."""
    columns = [column for column, device in devices.items() if device.kind == "spec-sheet"]
    if columns:
        yield (
            f"Warning: {_are(columns)} predicted from a data sheet: good for a ranking at best, the milliseconds mean "
            "nothing."
        )


def _small_images(devices: Mapping[str, DeviceSpec], task: Task) -> Iterator[str]:
    """On images that are smaller than any for which the errors of profiles were found."""
    if len(task.input_shape) != 3:
        return
    side = min(task.input_shape[1:])
    least = {column: device.validation.smallest_pixels for column, device in devices.items() if device.validation}
    beyond = {column: pixels for column, pixels in least.items() if pixels is not None and side < pixels}
    if beyond:
        size = "x".join(map(str, task.input_shape[1:]))
        yield (
            f"{_are(list(beyond))} predicted with an error that was found for images of at least "
            f"{max(beyond.values()):g} pixels: for these, of {size}, it is likely larger."
        )


def _uncovered(
    networks: Sequence[pd.DataFrame], devices: Mapping[str, DeviceSpec], how: str, file: str
) -> Iterator[str]:
    """On networks most of whose kernels nobody has measured."""
    for column, device in devices.items():
        coverage = column.replace("latency_ms", "coverage", 1)
        medians = pd.Series([frame[coverage].median() for frame in networks if coverage in frame], dtype=float)
        if (median := medians.min()) < _LEAST_COVERAGE:
            runtime = f" --runtime {device.runtime}" if device.runtime != "onnxruntime" else ""
            yield (
                f"Warning: hardly any kernels of these networks are in the table of {device.name}: in the median "
                f"{number(median)} of {column} is of measured ones ({coverage}); measure those of this search space on "
                f"the device{file}: moonas profile NAME {how}{runtime}"
            )


def _are(columns: list[str]) -> str:
    return f"{' and '.join(columns)} {'is' if len(columns) == 1 else 'are'}"
