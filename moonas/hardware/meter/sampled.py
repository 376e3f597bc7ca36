"""Power that is sampled, integrated to energy."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from numbers import Real
from typing import Any, Self

from moonas.errors import MeterError, MoonasError, one_line
from moonas.hardware.meter.meter import Meter, Scope


class Sampled(Meter):
    """Integrates power over time by trapezoids, in a thread of its own while it is entered.

    Sampling itself takes energy. It is sampled at rest, too, so what is above idle is free of that.
    """

    def __init__(
        self,
        watts: Callable[[], float],
        *,
        scope: Scope,
        method: str,
        period_s: float,
        clock: Callable[[], float] = time.monotonic,
    ):
        """Take what gives the power now, in watts, and how often it is asked, in seconds."""
        self.scope, self.method, self.period_s = scope, method, period_s
        self._watts, self._clock = watts, clock
        self._running: _Running | None = None

    def __enter__(self) -> Self:
        self._running = _Running(self._sample, self._clock, self.period_s)
        return self

    def __exit__(self, *_: object) -> None:
        if self._running is not None:
            self._running.stop()
        self._running = None

    def joules(self) -> float:
        """Joules since it was entered, up to now."""
        assert self._running is not None, "a meter is entered before it is read"
        return self._running.joules()

    def _sample(self) -> float:
        try:
            watts: Any = self._watts()
        except MoonasError:
            raise
        except Exception as error:  # whatever a meter of the user's own raises
            raise MeterError(f"{self.method} failed: {one_line(error)}") from error
        if not isinstance(watts, Real) or not math.isfinite(watts):
            raise MeterError(f"{self.method} must give watts as a finite number, gives {watts!r}")
        return float(watts)


class _Running:
    """An integral in the making, and the thread that keeps it up to date."""

    def __init__(self, sample: Callable[[], float], clock: Callable[[], float], period_s: float):
        self._sample, self._clock, self._period_s = sample, clock, period_s
        self._joules, self._watts, self._at = 0.0, sample(), clock()
        self._failure: MoonasError | None = None
        self._lock, self._stopped = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._keep_up, name="moonas-meter", daemon=True)
        self._thread.start()

    def joules(self) -> float:
        with self._lock:
            if self._failure is not None:
                raise self._failure
            self._add()
            return self._joules

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def _keep_up(self) -> None:
        while not self._stopped.wait(self._period_s):
            with self._lock:
                try:
                    self._add()
                except MoonasError as error:  # told to who reads next
                    self._failure = error
                    return

    def _add(self) -> None:
        watts, now = self._sample(), self._clock()
        self._joules += (now - self._at) * (watts + self._watts) / 2
        self._watts, self._at = watts, now
