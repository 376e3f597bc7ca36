"""The energy counter of an NVIDIA GPU, Volta or later.

It is renewed about every 100 ms (ml.energy's measurements), and A100 and H100 sample their power only a quarter of the
time (arXiv 2312.02741), so windows are seconds long. Under MIG there is none. Tested against a module that stands in
for `pynvml`: no meter was at hand.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from moonas.errors import MeterError, NoMeterError
from moonas.hardware.meter.meter import Meter
from moonas.registry import import_extra


class NVML(Meter):
    """Joules of the board of the first GPU that PyTorch sees."""

    scope = "board"
    method = "NVML energy counter"
    period_s = 0.1

    def __init__(self) -> None:
        """Load nothing yet."""
        self._driver: Any = None
        self._board: Any = None

    def __enter__(self) -> Self:
        driver, uuid = import_extra("pynvml", "nvml"), _uuid()
        with _plain_words(driver):
            driver.nvmlInit()
            self._driver = driver
            try:
                self._board = driver.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}")
            except driver.NVMLError:
                self.__exit__()
                raise
        return self

    def __exit__(self, *_: object) -> None:
        self._driver.nvmlShutdown()
        self._driver = self._board = None

    def joules(self) -> float:
        """Joules since the driver was loaded."""
        with _plain_words(self._driver):
            return float(self._driver.nvmlDeviceGetTotalEnergyConsumption(self._board)) / 1e3


def find(processor: str, root: Path) -> NVML:
    """The counter, if it can be read.

    Args:
        processor: of the device; the counter sees `cuda` alone.
        root: not looked at.

    Raises:
        MoonasError: saying why not.
    """
    if processor != "cuda":
        raise NoMeterError(f"sees the GPU alone, and device.processor is {processor}")
    with NVML() as meter:
        meter.joules()
    return meter


def _uuid() -> str:
    """Of the first GPU for PyTorch: NVML counts in another order, and knows no CUDA_VISIBLE_DEVICES."""
    import torch

    if not torch.cuda.is_available():
        raise NoMeterError("PyTorch sees no GPU here")
    return str(torch.cuda.get_device_properties(0).uuid)


@contextmanager
def _plain_words(driver: Any) -> Iterator[None]:
    try:
        yield
    except driver.NVMLError as error:
        raise MeterError(f"the energy counter cannot be read: {error}") from error
