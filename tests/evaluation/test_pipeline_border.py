"""What the pipeline does when things break, and how it counts time."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from torch import nn

from moonas.errors import TimeLimitError
from moonas.evaluation import worker
from moonas.evaluation.evaluator import Candidate, Evaluator, Failure, Outcome
from moonas.evaluation.pipeline import Pipeline
from moonas.network.architecture import Architecture, Task
from moonas.problem.objective import Constraint
from moonas.problem.trial import Trial


@dataclass(frozen=True)
class Numbered(Architecture):
    """An architecture that is never built."""

    number: int
    family: ClassVar[str] = "numbered"

    def build(self, task: Task) -> nn.Module:
        raise NotImplementedError


class Scripted(Evaluator):
    """Does with a chunk of candidates, given by their numbers, what `script` does."""

    def __init__(
        self, name: str, script: Callable[[list[int]], list[Outcome]], *, gated: bool = False, together: bool = False
    ):
        self.metrics, self.gated, self.together = (name,), gated, together
        self.script = script
        self.asked: list[list[int]] = []

    def evaluate(self, candidates: Sequence[Candidate]) -> list[Outcome]:
        chunk = [candidate.seed for candidate in candidates]
        self.asked.append(chunk)
        return self.script(chunk)


def all_well(name: str, value: float = 1.0) -> Callable[[list[int]], list[Outcome]]:
    return lambda chunk: [{name: value} for _ in chunk]


def run(
    count: int, *evaluators: Evaluator, limits: Sequence[Constraint] = (), executor: Executor | None = None
) -> list[Trial]:
    pipeline = Pipeline("border", evaluators, limits)
    worker.install("border", pipeline.evaluators)
    asked = [(n, (n,), Candidate(Numbered(n), seed=n)) for n in range(count)]
    try:
        if executor is not None:
            return list(pipeline.run(executor, asked))
        with ThreadPoolExecutor(4) as pool:
            return list(pipeline.run(pool, asked))
    finally:
        worker.remove("border")


def states(trials: Sequence[Trial]) -> dict[int, str]:
    assert Counter(trial.number for trial in trials).most_common(1)[0][1] == 1
    return {trial.number: trial.state for trial in trials}


# --- what is handed through


def test_a_trial_is_of_the_candidate_that_was_asked() -> None:
    trials = run(3, Scripted("a", lambda chunk: [{"a": float(n)} for n in chunk]))
    assert {(t.number, t.genotype, t.architecture, t.metrics["a"]) for t in trials} == {
        (n, (n,), Numbered(n), float(n)) for n in range(3)
    }


def test_nothing_asked_gives_nothing() -> None:
    evaluator = Scripted("a", all_well("a"), together=True)
    assert run(0, evaluator) == []
    assert evaluator.asked == []


def test_metrics_of_all_evaluators_come_together() -> None:
    trials = run(
        2, Scripted("a", all_well("a")), Scripted("b", all_well("b")), Scripted("c", all_well("c"), gated=True)
    )
    assert all(trial.metrics == {"a": 1.0, "b": 1.0, "c": 1.0} for trial in trials)


def test_what_was_measured_before_a_failure_is_kept() -> None:
    dear = Scripted("b", lambda chunk: [Failure("diverged") for _ in chunk], gated=True)
    (trial,) = run(1, Scripted("a", all_well("a", 7.0)), dear)
    assert (trial.state, trial.error, trial.metrics) == ("failed", "diverged", {"a": 7.0})


def test_all_broken_limits_are_told() -> None:
    limits = [Constraint("a", at_most=1), Constraint("b", at_least=5), Constraint("a", at_most=100)]
    (trial,) = run(1, Scripted("a", all_well("a", 3.0)), Scripted("b", all_well("b", 2.0)), limits=limits)
    assert trial.state == "infeasible"
    assert "a <= 1" in trial.error
    assert "b >= 5" in trial.error
    assert "100" not in trial.error


def test_dear_evaluators_see_only_what_keeps_the_limits_on_dear_metrics_so_far() -> None:
    first = Scripted("a", lambda chunk: [{"a": float(n)} for n in chunk], gated=True)
    second = Scripted("b", all_well("b"), gated=True)
    trials = run(4, first, second, limits=[Constraint("a", at_most=1)])
    assert sorted(second.asked) == [[0], [1]]
    assert states(trials) == {0: "complete", 1: "complete", 2: "infeasible", 3: "infeasible"}


def test_without_flops_the_parameters_tell_what_is_large() -> None:
    sizes = {0: 5.0, 1: 50.0, 2: 20.0}
    dear = Scripted("b", all_well("b"), gated=True)
    with ThreadPoolExecutor(1) as executor:
        run(3, Scripted("params", lambda chunk: [{"params": sizes[n]} for n in chunk]), dear, executor=executor)
    assert dear.asked == [[1], [2], [0]]


# --- what breaks


def test_a_failure_without_a_reason_is_a_failure() -> None:
    dear = Scripted("b", all_well("b"), gated=True)
    trials = run(2, Scripted("a", lambda chunk: [Failure("") if n == 1 else {"a": 1.0} for n in chunk]), dear)
    assert states(trials) == {0: "complete", 1: "failed"}
    assert dear.asked == [[0]]


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("answers", [0, 3])
def test_an_evaluator_that_answers_too_little_or_too_much_fails_its_candidates(together: bool, answers: int) -> None:
    broken = Scripted("a", lambda chunk: [{"a": 1.0}] * answers, together=together)
    assert states(run(2, broken)) == {0: "failed", 1: "failed"}


def exiting(chunk: list[int]) -> list[Outcome]:
    if 1 in chunk:
        raise SystemExit(2)
    return [{"a": 1.0} for _ in chunk]


def test_an_evaluator_that_ends_the_program_ends_only_its_candidate() -> None:
    assert states(run(3, Scripted("a", exiting))) == {0: "complete", 1: "failed", 2: "complete"}


def test_a_failed_batch_reaches_no_later_evaluator() -> None:
    def script(chunk: list[int]) -> list[Outcome]:
        if 1 in chunk:
            raise MemoryError
        return [{"a": 1.0} for _ in chunk]

    later = Scripted("b", all_well("b"), gated=True)
    assert states(run(3, Scripted("a", script, together=True), later)) == {0: "complete", 1: "failed", 2: "complete"}
    assert sorted(later.asked) == [[0], [2]]


def test_a_profiler_has_the_machine_for_itself_even_when_its_batch_broke() -> None:
    """Taken apart, a batch must not be timed by all workers at once: each would disturb the others."""
    lock, running, most = threading.Lock(), 0, 0

    def script(chunk: list[int]) -> list[Outcome]:
        nonlocal running, most
        if len(chunk) > 1:
            raise RuntimeError("the worker died")
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.02)
        with lock:
            running -= 1
        return [{"latency_ms": 1.0}]

    trials = run(6, Scripted("latency_ms", script, together=True))
    assert set(states(trials).values()) == {"complete"}
    assert most == 1


# --- seconds


class Clock:
    """A clock that nothing but evaluators move."""

    def __init__(self) -> None:
        self.now = 100.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(worker, "time", SimpleNamespace(perf_counter=made.perf_counter))
    return made


def taking(clock: Clock, seconds: float, script: Callable[[list[int]], list[Outcome]]) -> Any:
    def timed(chunk: list[int]) -> list[Outcome]:
        clock.now += seconds
        return script(chunk)

    return timed


def alone() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1)  # so that the clock is moved by one evaluator at a time


def test_seconds_add_up_and_a_batch_shares_its_own(clock: Clock) -> None:
    cheap = Scripted("a", taking(clock, 1.5, all_well("a")))
    batch = Scripted("b", taking(clock, 6.0, all_well("b")), together=True)
    dear = Scripted("c", taking(clock, 10.0, all_well("c")), gated=True)
    with alone() as executor:
        trials = run(3, cheap, batch, dear, executor=executor)
    assert [trial.seconds for trial in trials] == [1.5 + 6.0 / 3 + 10.0] * 3
    assert sum(trial.seconds for trial in trials) == pytest.approx(clock.now - 100)


def test_what_is_not_trained_takes_no_training_time(clock: Clock) -> None:
    cheap = Scripted("a", taking(clock, 1.0, lambda chunk: [{"a": float(n)} for n in chunk]))
    dear = Scripted("c", taking(clock, 10.0, all_well("c")), gated=True)
    with alone() as executor:
        trials = run(2, cheap, dear, limits=[Constraint("a", at_most=0)], executor=executor)
    assert {trial.number: trial.seconds for trial in trials} == {0: 11.0, 1: 1.0}


def broken_all(chunk: list[int]) -> list[Outcome]:
    raise RuntimeError("broke")


def test_the_time_that_a_broken_candidate_took_is_counted(clock: Clock) -> None:
    with alone() as executor:
        (trial,) = run(1, Scripted("a", taking(clock, 7.0, broken_all), gated=True), executor=executor)
    assert trial.state == "failed"
    assert trial.seconds == 7.0


class OutOfTime(Executor):
    """Ends every call at its time limit, and says how long that took."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        error: Any = TimeLimitError("took longer than its time limit of 30 s")
        error.seconds = 30.0
        future: Future[Any] = Future()
        future.set_exception(error)
        return future


def test_a_candidate_stopped_at_its_time_limit_took_that_long() -> None:
    (trial,) = run(1, Scripted("a", all_well("a")), executor=OutOfTime())
    assert (trial.state, trial.error) == ("failed", "took longer than its time limit of 30 s")
    assert trial.seconds == 30.0
