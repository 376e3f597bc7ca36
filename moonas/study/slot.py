"""One worker process: started, watched, ended, started again."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, CancelledError, wait
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from moonas.errors import TimeLimitError, WorkerLostError, WorkerStartError, one_line
from moonas.study.handover import read_handover

_START_SECONDS = 300.0
_SLICE = 1.0
_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    # loky would end a worker that has grown by 300 MB, as every one does that holds images; the limit is ours to set.
    "LOKY_MAX_MEMORY_LEAK_SIZE": "1e18",
}


class Slot:
    """A place for one worker process."""

    def __init__(self, handover: Path):
        self._handover = handover
        self._pool: Any = None
        self._closed = False

    @property
    def is_fresh(self) -> bool:
        """Whether the next call will be the first of its worker."""
        return self._pool is None

    def call(self, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], seconds: float) -> Any:
        """Run a call in the worker, started if there is none.

        Raises:
            TimeLimitError: if it took longer than `seconds`.
            WorkerLostError: if the worker died.
            WorkerStartError: if there is no starting a worker.
        """
        try:
            if self._pool is None:
                self._start_worker()
            if self._closed:  # while the worker was starting
                self.kill()
                raise CancelledError
            return patient_result(self._pool.submit(fn, *args, **kwargs), seconds)
        except TimeLimitError:
            self.kill()
            raise
        except BrokenExecutor as error:
            self.kill()
            raise WorkerLostError(f"its worker process died {_how(error)}") from error

    def _start_worker(self) -> None:
        """Start the worker process, so that this does not count as a candidate's time; twice, if need be.

        Raises:
            WorkerStartError: if it cannot be started, or what it begins with fails.
        """
        try:
            self._try_start()
        except Exception:
            self.kill()
            if self._closed:
                raise CancelledError from None
            try:
                self._try_start()
            except Exception as error:
                self.kill()
                raise WorkerStartError(f"a worker process could not start: {one_line(error)}") from error

    def _try_start(self) -> None:
        # loky, unlike multiprocessing, needs no `if __name__ == "__main__"` in scripts and carries notebook functions.
        from loky.process_executor import ProcessPoolExecutor

        with _interrupts_blocked():
            self._pool = ProcessPoolExecutor(1, initializer=_watch_parent, initargs=(os.getpid(),), env=_ENVIRONMENT)
            started = self._pool.submit(_begin, self._handover)
        patient_result(started, _START_SECONDS)

    def close(self) -> None:
        """End the worker process, for good."""
        self._closed = True
        self.kill()

    def kill(self) -> None:
        """End the worker process; the next call starts another."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=True, kill_workers=True)


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Let processes that are started now never see Ctrl-C: it goes to all of a terminal, but is the parent's to handle.

    They inherit the mask of the thread that starts them.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _watch_parent(parent: int) -> None:
    """Let this process end soon after its parent, whatever it is doing then."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _begin(handover: Path) -> None:
    """Begin the life of a worker with what was handed over."""
    start, arguments = read_handover(handover)
    start(*arguments)


def patient_result(future: Any, seconds: float) -> Any:
    """The result of a future.

    Waits in slices, none of which counts for more than its length: time in which this process was stopped, or the
    machine asleep, is not the call's.

    Raises:
        TimeLimitError: if it took longer than `seconds`.
    """
    waited = 0.0
    while waited < seconds and not future.done():
        part = min(_SLICE, seconds - waited)
        wait([future], timeout=part)
        waited += part
    if future.done():
        return future.result()
    late = TimeLimitError(f"took longer than its time limit of {seconds:g} s")
    late.seconds = seconds
    raise late


def _how(error: BrokenExecutor) -> str:
    """What loky knows of the death, `(SIGKILL(-9))`, and what that often means."""
    _, _, codes = str(error).partition("exit codes of the workers are {")
    if not codes:
        return ""
    how = f"({codes.partition('}')[0]})"
    often = ", as processes do when the system runs out of memory; budget.trial_memory_gb limits theirs"
    return f"{how}{often}" if "SIGKILL" in how else how
