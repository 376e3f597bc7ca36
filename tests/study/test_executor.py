import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError, wait
from pathlib import Path

import pytest

from moonas.errors import TimeLimitError, WorkerLostError
from moonas.study.executor import ProcessExecutor


def nothing() -> None:
    """Start up without ado."""


@pytest.fixture(scope="module")
def executor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessExecutor]:
    scratch = tmp_path_factory.mktemp("scratch")
    executor = ProcessExecutor(2, start=nothing, arguments=(), seconds=lambda *_, **__: 3.0, scratch=scratch)
    yield executor
    executor.shutdown()


def test_calls_are_answered_by_other_processes(executor: ProcessExecutor) -> None:
    def own_pid(_: int) -> int:
        time.sleep(0.1)
        return os.getpid()

    pids = set(executor.map(own_pid, range(4)))
    assert os.getpid() not in pids
    assert 1 <= len(pids) <= 2


def test_an_exception_of_the_call_comes_through(executor: ProcessExecutor) -> None:
    def fails() -> None:
        raise TimeoutError("the call's own")

    with pytest.raises(TimeoutError, match="the call's own"):
        executor.submit(fails).result()


def test_a_call_that_hangs_is_ended_and_the_others_are_not(executor: ProcessExecutor) -> None:
    def sleep(seconds: float) -> float:
        time.sleep(seconds)
        return seconds

    hanging = executor.submit(sleep, 60.0)
    quick = [executor.submit(sleep, 0.01) for _ in range(5)]
    assert [future.result() for future in quick] == [0.01] * 5
    with pytest.raises(TimeLimitError, match="time limit of 3 s"):
        hanging.result()
    assert executor.submit(sleep, 0.0).result() == 0.0


def test_a_call_that_kills_its_worker_twice_is_given_up_and_the_others_are_not(executor: ProcessExecutor) -> None:
    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    deadly = executor.submit(die)
    quick = [executor.submit(abs, -i) for i in range(20)]
    wait([deadly, *quick])
    with pytest.raises(WorkerLostError, match=r"its worker process died \(SIGKILL"):
        deadly.result()
    assert [future.result() for future in quick] == list(range(20))


def test_shutdown_does_not_wait_for_running_calls(tmp_path: Path) -> None:
    executor = ProcessExecutor(1, start=nothing, arguments=(), seconds=lambda *_: 60.0, scratch=tmp_path)
    running = executor.submit(time.sleep, 60)
    time.sleep(1.0)
    executor.shutdown()
    assert running.done()
    with pytest.raises(CancelledError):
        running.result()
