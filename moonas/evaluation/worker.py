"""What runs where candidates are evaluated: in a worker process, or in this one."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from moonas.evaluation.evaluator import OUT_OF_MEMORY, Candidate, Evaluator, Failure, Outcome

_KEEP = {-3: 32 << 20, -1: -1}
"""What glibc's `mallopt` is told: M_MMAP_THRESHOLD, of which it takes no more, and M_TRIM_THRESHOLD, never."""
_installed: dict[str, tuple[Evaluator, ...]] = {}


def install(study: str, evaluators: Sequence[Evaluator]) -> None:
    """Put the evaluators of a study in place, so that calls need only name them."""
    _installed[study] = tuple(evaluators)


def remove(study: str) -> None:
    """Forget the evaluators of a study."""
    _installed.pop(study, None)


def start_worker(study: str, evaluators: Sequence[Evaluator], memory_gb: float | None) -> None:
    """Make a fresh process a worker: one thread, memory that is kept, and a limit of it."""
    import torch

    keep_memory()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by who started us
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115  # for as long as the process lives
    torch.set_num_threads(1)
    install(study, evaluators)
    if memory_gb is not None:
        _limit_memory(memory_gb)


def keep_memory() -> None:
    """Let this process give no memory back that its tensors leave, from now on. Only glibc can be told so.

    By default it is given back, and asked for again, with every large tensor, which may take half of the time. What is
    timed to be compared must be timed alike: in workers, and by whoever times outside of them.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        for setting, value in _KEEP.items():
            mallopt(setting, value)


def _limit_memory(gigabytes: float) -> None:
    """Make allocations beyond the limit fail, so that they end a candidate and not the machine. Linux only."""
    if sys.platform != "linux":
        return
    import resource

    import psutil

    limit = int(psutil.Process().memory_info().data + gigabytes * 1e9)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def ran_out_of_memory(answer: tuple[list[Outcome], float]) -> bool:
    """Tell whether an answer of `evaluate` says that memory ran out, which may be what former candidates left."""
    return any(isinstance(outcome, Failure) and outcome.reason.startswith(OUT_OF_MEMORY) for outcome in answer[0])


def evaluate(study: str, evaluator: int, candidates: Sequence[Candidate]) -> tuple[list[Outcome], float]:
    """Ask an installed evaluator about candidates.

    Returns:
        The outcomes, one for each candidate, and the seconds that they took in all.
    """
    import torch

    start = time.perf_counter()
    threads = torch.get_num_threads()
    if threads != 1:
        torch.set_num_threads(1)  # the same sums in the same order, whoever runs them
    try:
        outcomes = list(_installed[study][evaluator].evaluate(candidates))
    except Exception as error:
        error.__dict__["seconds"] = time.perf_counter() - start  # travels with it to the pipeline
        raise
    finally:
        if threads != 1:
            torch.set_num_threads(threads)
    return outcomes, time.perf_counter() - start
