"""A lookup table of kernels: what each adds to the latency of a network on one device."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from moonas.errors import MoonasError
from moonas.hardware.fit import FEWEST_NETWORKS, SEVEN, fit
from moonas.hardware.kernel_times import CALL, KernelTime, added_work
from moonas.hardware.kernels import Kernel
from moonas.hardware.roofline import Roofline, Work

Floats = np.ndarray[Any, np.dtype[np.float64]]
_WORK = tuple(field.name for field in fields(Work))
COLUMNS = ("kernel", "microseconds", "uncertainty_us", *_WORK)
_LEAST_US = 1.0
"""What is less is mostly noise, which relative errors would magnify."""
_MOST_WORK = 10**18
_NEAREST = 3
"""Measured kernels that tell of one that is missing: fewer pass on the noise of one, more are less alike."""
_NUMBER = re.compile(r"\d+(?:\.\d+)?(?:e[+-]?\d+)?")


@dataclass(frozen=True)
class KernelSum:
    """The latency of a network as the sum of its kernels.

    Attributes:
        latency_ms: before any calibration.
        coverage: share of it, by absolute values, that is of kernels in the table.
    """

    latency_ms: float
    coverage: float


class KernelTable:
    """Kernels that were measured; others are predicted by costs fitted to these, and by those that are most alike."""

    def __init__(self, times: Iterable[KernelTime] = ()):
        """Take what was measured; of a key that comes again, as a call does, the median counts."""
        every: dict[str, list[KernelTime]] = {}
        for time in times:
            every.setdefault(time.key, []).append(time)
        self.times: Mapping[str, KernelTime] = {key: _middle(same) for key, same in every.items()}

    @property
    def uncertainty(self) -> float | None:
        """The sum of the kernels' own, as a share of the sum of their times; None where there is none."""
        total_us = sum(abs(time.microseconds) for time in self._telling)
        return sum(time.uncertainty_us for time in self._telling) / total_us if total_us else None

    def sum(self, kernels: Sequence[Kernel]) -> KernelSum:
        """Add up the kernels of a network, and the call."""
        named = ((kernel.key, kernel) for kernel in kernels)
        return self.sum_named((key, Work() if key in self.times else added_work(kernel)) for key, kernel in named)

    def sum_named(self, kernels: Iterable[tuple[str, Work]]) -> KernelSum:
        """Add up kernels of which no more is known than their keys and what work they add, and the call.

        What work those add that the table has does not matter.

        Raises:
            MoonasError: if some are missing, and the table has too few to tell what these cost: a search would take
                what costs nothing for the best.
        """
        total_us, covered_us, all_us = 0.0, 0.0, 0.0
        for key, work in ((CALL, Work()), *kernels):
            time = self.times.get(key)
            if time is not None:
                added = time.microseconds
                covered_us += abs(added)
            else:
                added = 1000 * self._predicted_ms(key, work) if work.kernels else 0.0
            total_us += added
            all_us += abs(added)
        return KernelSum(total_us / 1000, covered_us / all_us if all_us else 0.0)

    def _predicted_ms(self, key: str, work: Work) -> float:
        if len(self._telling) < FEWEST_NETWORKS:
            raise MoonasError(
                f"the latency cannot be predicted: the kernel {key} is not in the table, and its {len(self.times)} "
                "times are too few to predict others"
            )
        return self.roofline.work_ms(work) * self._ratio_to_roofline(key)

    def _ratio_to_roofline(self, key: str) -> float:
        """By how much a kernel is likely to take longer than its work alone tells: as those that are most alike do."""
        if _steps(key) not in self._alike:
            return 1.0
        ratios, known = self._alike[_steps(key)]
        distances = np.abs(known - _sizes(key)).sum(axis=1)
        return max(0.0, float(ratios[np.argsort(distances, kind="stable")[:_NEAREST]].mean()))

    @cached_property
    def _alike(self) -> Mapping[str, tuple[Floats, Floats]]:
        """By the steps of measured kernels: how much longer these take than the roofline says, and their sizes."""
        alike: dict[str, list[tuple[float, Floats]]] = {}
        for time in self._telling:
            expected_us = 1000 * self.roofline.work_ms(time.work)
            if expected_us > 0:
                alike.setdefault(_steps(time.key), []).append((time.microseconds / expected_us, _sizes(time.key)))
        return {
            steps: (np.array([e[0] for e in each]), np.array([e[1] for e in each])) for steps, each in alike.items()
        }

    @cached_property
    def _telling(self) -> list[KernelTime]:
        return [time for time in self.times.values() if time.work.kernels]

    @cached_property
    def roofline(self) -> Roofline:
        """The costs that the measured kernels have by what they do."""
        known = self._telling
        took_ms = [time.microseconds / 1000 for time in known]
        return fit([time.work for time in known], took_ms, tied=SEVEN, least_ms=_LEAST_US / 1000)


def _steps(key: str) -> str:
    """What a kernel computes, whatever the size."""
    return _NUMBER.sub("#", key)


def _sizes(key: str) -> Floats:
    """The numbers in the name of a kernel, as logarithms: twice the channels are as far as twice the pixels."""
    logarithms: Floats = np.log1p(np.array([float(number) for number in _NUMBER.findall(key)]))
    return logarithms


def _middle(times: Sequence[KernelTime]) -> KernelTime:
    """The median of times of one kernel; of an even number the faster of the two in the middle."""
    return sorted(times, key=lambda time: time.microseconds)[(len(times) - 1) // 2]


def read_table(path: Path) -> KernelTable:
    """Read a table of kernels; a last line that was cut off is left out.

    Raises:
        MoonasError: if it cannot be read, or is none.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            whole = (line for line in file if line.endswith("\n"))
            rows = csv.DictReader(whole)
            if tuple(rows.fieldnames or COLUMNS) != COLUMNS:
                raise MoonasError(f"{path} is no table of kernels: its columns must be {', '.join(COLUMNS)}")
            return KernelTable([_time(path, rows.line_num, row) for row in rows])
    except OSError as error:
        raise MoonasError(f"{path} cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise MoonasError(f"{path} is no table of kernels: {error}") from error


def _time(path: Path, line: int, row: Mapping[str, Any]) -> KernelTime:
    if None in row or None in row.values():
        raise MoonasError(f"{path}, line {line}: must have {len(COLUMNS)} columns: {', '.join(COLUMNS)}")
    try:
        work = Work(**{name: int(row[name]) for name in _WORK})
        times = float(row["microseconds"]), float(row["uncertainty_us"])
    except ValueError as error:
        raise MoonasError(f"{path}, line {line}: {error}") from error
    if not all(map(math.isfinite, times)):
        raise MoonasError(f"{path}, line {line}: times must be finite, are {times[0]} and {times[1]}")
    if times[1] < 0 or not all(0 <= count <= _MOST_WORK for count in astuple(work)):
        raise MoonasError(f"{path}, line {line}: uncertainties and counts must be 0 or more, and counts below 10^18")
    if not work.kernels and times[0] <= 0:
        raise MoonasError(f"{path}, line {line}: a whole {row['kernel']} must take time, takes {times[0]:g} us")
    return KernelTime(row["kernel"], *times, work)


def append_rows(path: Path, times: Sequence[KernelTime]) -> None:
    """Add kernels to a table, which is made if there is none; a last line that was cut off is replaced.

    Raises:
        MoonasError: if it cannot be written.
    """
    try:
        _append(path, times)
    except OSError as error:
        raise MoonasError(f"{path} cannot be written: {error.strerror}") from error


def _append(path: Path, times: Sequence[KernelTime]) -> None:
    with path.open("a+", encoding="utf-8", newline="") as file:
        file.seek(0)
        text = file.read()
        whole = text[: text.rfind("\n") + 1]
        if whole != text:
            file.truncate(len(whole.encode()))
        rows = csv.writer(file, lineterminator="\n")
        if not whole:
            rows.writerow(COLUMNS)
        try:
            for time in times:
                figures = (f"{time.microseconds:.6g}", f"{time.uncertainty_us:.3g}")
                rows.writerow((time.key, *figures, *asdict(time.work).values()))
            file.flush()
        except OSError:
            file.truncate(len(whole.encode()))  # kernels that were timed together count together
            raise
