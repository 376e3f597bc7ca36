"""Where candidates are evaluated: in this process, or in worker processes that may die without harm."""

from __future__ import annotations

import queue
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from moonas.errors import WorkerLostError
from moonas.evaluation import worker
from moonas.evaluation.evaluator import Evaluator
from moonas.study.handover import write_handover
from moonas.study.slot import Slot


class InProcessExecutor(ThreadPoolExecutor):
    """Evaluates one candidate after the other in a thread of this process, without limits on time or memory."""

    def __init__(self, study: str, evaluators: Sequence[Evaluator]):
        """Put the evaluators in place."""
        super().__init__(max_workers=1, thread_name_prefix="moonas")
        self._study = study
        worker.install(study, evaluators)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Stop; see `concurrent.futures.Executor.shutdown`."""
        super().shutdown(wait, cancel_futures=cancel_futures)
        worker.remove(self._study)


class ProcessExecutor(Executor):
    """Evaluates candidates in worker processes, each of which can be replaced without touching the others.

    A call whose worker dies is tried once more in a new one; a call that outlasts its time is ended with its worker.
    """

    def __init__(
        self,
        workers: int,
        *,
        start: Callable[..., None],
        arguments: tuple[Any, ...],
        seconds: Callable[..., float],
        scratch: Path,
        is_spoiled: Callable[[Any], bool] = lambda _: False,
    ):
        """Prepare the workers; each starts when it is first needed.

        Args:
            workers: how many.
            start: run once in each new worker, with `arguments`.
            arguments: handed to each worker.
            seconds: the time that a call may take, given the call's own arguments.
            scratch: an empty folder for what is handed over, which the caller removes after `shutdown`.
            is_spoiled: whether a call's result may come from the state of its worker, as when memory ran out there: the
                call is repeated in a new one.

        Raises:
            OSError: if what is handed over cannot be written.
        """
        self._seconds, self._is_spoiled = seconds, is_spoiled
        write_handover(scratch, (start, arguments))
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="moonas")
        self._slots = [Slot(scratch) for _ in range(workers)]
        self._free: queue.LifoQueue[Slot] = queue.LifoQueue()
        for slot in self._slots:
            self._free.put(slot)
        self._closing = False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Send a call to the next free worker.

        The future raises `TimeLimitError` if the time ran out, `WorkerLostError` if two workers died over it.
        """
        return self._threads.submit(self._run, fn, args, kwargs)

    def _run(self, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        slot = self._free.get()
        try:
            fresh = slot.is_fresh
            try:
                result = self._call(slot, fn, args, kwargs)
            except WorkerLostError:
                fresh = True
                result = self._call(slot, fn, args, kwargs)
            if self._is_spoiled(result):
                slot.kill()
                result = result if fresh else self._call(slot, fn, args, kwargs)
            return result
        finally:
            self._free.put(slot)

    def _call(self, slot: Slot, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self._closing:
            raise CancelledError
        try:
            return slot.call(fn, args, kwargs, self._seconds(*args, **kwargs))
        except Exception:
            if self._closing:
                raise CancelledError from None
            raise

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End all workers at once, whatever they are doing."""
        self._closing = True
        for slot in self._slots:  # in this thread: at the program's end no other can be started
            slot.close()
        self._threads.shutdown(wait=wait, cancel_futures=True)
