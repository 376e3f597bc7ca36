"""Seconds of a call."""

from __future__ import annotations

import time
from collections.abc import Callable


def timed(call: Callable[[], object]) -> float:
    """Call, and return the seconds that it took."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
