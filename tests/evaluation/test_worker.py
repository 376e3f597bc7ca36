from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from moonas.evaluation import worker
from moonas.evaluation.evaluator import Candidate, Evaluator, Outcome
from moonas.network.staged_cnn import StagedCNN, Stem

CANDIDATES = [Candidate(StagedCNN(Stem(4), ()), seed=seed) for seed in range(3)]


class Called(Evaluator):
    """Answers with what `value` gives."""

    def __init__(self, value: Callable[[], float]):
        self.metrics = ("a",)
        self.value = value

    def evaluate(self, candidates: Sequence[Candidate]) -> tuple[Outcome, ...]:
        return tuple({"a": self.value() + candidate.seed} for candidate in candidates)


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    worker.remove("one")
    worker.remove("two")
    torch.set_num_threads(threads)


def test_an_installed_evaluator_is_asked_by_its_place() -> None:
    worker.install("one", [Called(lambda: 0.0), Called(lambda: 10.0)])
    outcomes, seconds = worker.evaluate("one", 1, CANDIDATES)
    assert outcomes == [{"a": 10.0}, {"a": 11.0}, {"a": 12.0}]
    assert 0 < seconds < 60


def test_studies_do_not_mix() -> None:
    worker.install("one", [Called(lambda: 1.0)])
    worker.install("two", [Called(lambda: 2.0)])
    worker.remove("one")
    assert worker.evaluate("two", 0, CANDIDATES[:1])[0] == [{"a": 2.0}]
    with pytest.raises(KeyError, match="one"):
        worker.evaluate("one", 0, CANDIDATES)


def test_installing_again_replaces() -> None:
    worker.install("one", [Called(lambda: 1.0)])
    worker.install("one", [Called(lambda: 5.0)])
    assert worker.evaluate("one", 0, CANDIDATES[:1])[0] == [{"a": 5.0}]


def test_to_remove_what_is_not_there_does_no_harm() -> None:
    worker.remove("never installed")


@pytest.mark.parametrize("threads", [1, 2])
def test_evaluations_run_on_one_thread_and_the_number_is_put_back(threads: int) -> None:
    torch.set_num_threads(threads)
    worker.install("one", [Called(torch.get_num_threads)])
    assert worker.evaluate("one", 0, CANDIDATES[:1])[0] == [{"a": 1}]
    assert torch.get_num_threads() == threads


def test_the_number_of_threads_is_put_back_after_an_error() -> None:
    torch.set_num_threads(2)
    worker.install("one", [Called(lambda: 1 / 0)])
    with pytest.raises(ZeroDivisionError):
        worker.evaluate("one", 0, CANDIDATES)
    assert torch.get_num_threads() == 2


def test_seconds_are_those_of_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 5.0

    def work() -> float:
        nonlocal now
        now += 1.25
        return 0.0

    clock: Any = SimpleNamespace(perf_counter=lambda: now)
    monkeypatch.setattr(worker, "time", clock)
    worker.install("one", [Called(work)])
    assert worker.evaluate("one", 0, CANDIDATES)[1] == 3.75


AGAIN = """
import resource
from moonas.evaluation import worker

def new_pages():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    large = [bytearray(24 << 20) for _ in range(3)]
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

worker.{}
print(new_pages(), new_pages())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="others cannot be told to keep memory")
@pytest.mark.parametrize("call", ["keep_memory()", "start_worker('one', (), None)"])
def test_memory_is_kept_for_the_next_tensors(call: str) -> None:
    command = [sys.executable, "-W", "ignore", "-c", AGAIN.format(call)]
    first, again = map(int, subprocess.run(command, capture_output=True, check=True, text=True).stdout.split())
    assert again < first / 2  # else as many
