import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future, wait
from pathlib import Path

import psutil
import pytest

from moonas.errors import TimeLimitError, WorkerLostError
from moonas.study.executor import ProcessExecutor
from moonas.study.slot import patient_result


def nothing() -> None:
    """Start up without ado."""


@pytest.fixture(scope="module")
def executor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessExecutor]:
    scratch = tmp_path_factory.mktemp("scratch")
    executor = ProcessExecutor(2, start=nothing, arguments=(), seconds=lambda *_, **__: 3.0, scratch=scratch)
    yield executor
    executor.shutdown()


def test_calls_are_answered_by_other_processes_at_once(executor: ProcessExecutor, tmp_path: Path) -> None:
    meeting = tmp_path / "meeting"
    meeting.mkdir()

    def meet(name: int) -> int:
        (meeting / str(name)).touch()
        while len(list(meeting.iterdir())) < 2:  # until the other one is there: neither can wait for the other to end
            time.sleep(0.01)
        return os.getpid()

    pids = set(executor.map(meet, range(2)))
    assert os.getpid() not in pids
    assert len(pids) == 2


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
    with pytest.raises(WorkerLostError, match=r"its worker process died \(SIGKILL.*budget\.trial_memory_gb"):
        deadly.result()
    assert [future.result() for future in quick] == list(range(20))


def test_a_worker_that_crashes_is_not_said_to_lack_memory(executor: ProcessExecutor) -> None:
    def crash() -> None:
        os.kill(os.getpid(), signal.SIGSEGV)

    with pytest.raises(WorkerLostError, match=r"died \(SIGSEGV\(-11\)\)$"):
        executor.submit(crash).result()


class Finishing(Future[int]):
    """Is finished the moment after a wait for it has run out."""

    def done(self) -> bool:
        before = super().done()
        if not before:
            self.set_result(7)
        return before


def test_a_call_that_ends_as_its_time_runs_out_is_no_late_one() -> None:
    assert patient_result(Finishing(), 0.01) == 7


def test_a_call_is_late_when_it_is() -> None:
    with pytest.raises(TimeLimitError, match=r"time limit of 0\.05 s"):
        patient_result(Future(), 0.05)


ORPHAN = """
import os, sys, time
from pathlib import Path
from moonas.study.executor import ProcessExecutor

def slow_start(pids):
    Path(pids, str(os.getpid())).touch()
    time.sleep(60)

if __name__ == "__main__":
    pids, scratch = map(Path, sys.argv[1:])
    executor = ProcessExecutor(1, start=slow_start, arguments=(pids,), seconds=lambda *_: 60.0, scratch=scratch)
    executor.submit(abs, -1)
    time.sleep(60)
"""


def test_a_worker_that_is_starting_dies_with_a_killed_parent(tmp_path: Path) -> None:
    pids, scratch, script = tmp_path / "pids", tmp_path / "scratch", tmp_path / "orphan.py"
    pids.mkdir()
    scratch.mkdir()
    script.write_text(ORPHAN)
    parent = subprocess.Popen([sys.executable, str(script), str(pids), str(scratch)], stderr=subprocess.DEVNULL)
    while not list(pids.iterdir()):
        time.sleep(0.05)
    parent.kill()
    parent.wait()
    (child,) = (int(path.name) for path in pids.iterdir())
    for _ in range(200):
        if not psutil.pid_exists(child):
            return
        time.sleep(0.05)
    pytest.fail("the worker lives on")


def test_shutdown_does_not_wait_for_running_calls(tmp_path: Path) -> None:
    executor = ProcessExecutor(1, start=nothing, arguments=(), seconds=lambda *_: 60.0, scratch=tmp_path)
    running = executor.submit(time.sleep, 60)
    time.sleep(1.0)
    executor.shutdown()
    assert running.done()
    with pytest.raises(CancelledError):
        running.result()
