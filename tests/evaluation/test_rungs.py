"""Trained as the bracket decides: results kept as they come, nothing asked twice, nobody waiting for a whole rung."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from threading import Event

import pytest

import moonas
from moonas.evaluation import worker
from moonas.evaluation.evaluator import Candidate, Evaluator, Failure, Outcome
from moonas.evaluation.pipeline import Pipeline
from moonas.evaluation.rungs import UNTRAINED, PartialResult, Rungs
from moonas.problem.objective import Constraint, Objective
from moonas.problem.trial import Trial
from moonas.strategy.halving import Bracket

ENCODING = moonas.load("digits_tiny").encoding
GENOTYPES = sorted(
    {ENCODING.canonical((0, b, w, k, 1, v, 0)) for b in (0, 1) for w in (0, 1) for k in (0, 1) for v in range(3)}
)
OBJECTIVES = (Objective("accuracy", "maximize"), Objective("flops", "minimize"))
Rule = Callable[[int], Outcome]


class Rung(Evaluator):
    """Answers by a rule on the candidate's seed, and remembers what it was asked."""

    def __init__(self, name: str, rule: Rule, *, gated: bool = True):
        self.metrics, self.gated, self._rule = (name,), gated, rule
        self.asked: list[int] = []

    def evaluate(self, candidates: Sequence[Candidate]) -> list[Outcome]:
        self.asked += [candidate.seed for candidate in candidates]
        return [self._rule(candidate.seed) for candidate in candidates]


class Notebook:
    """A memory."""

    def __init__(self) -> None:
        self.results: dict[str, dict[int, PartialResult]] = {}

    def recall(self, key: str) -> Mapping[int, PartialResult]:
        return self.results.get(key, {})

    def keep(self, key: str, rung: int, result: PartialResult) -> None:
        assert rung not in self.recall(key), "nothing is measured twice"
        self.results.setdefault(key, {})[rung] = result


@contextmanager
def halved(
    *rules: Rule, notebook: Notebook, flops: Rule | None = None, limits: Sequence[Constraint] = ()
) -> Iterator[tuple[Pipeline, Rung, list[Rung]]]:
    """A pipeline of a counted metric and rungs, half of each going on: the pipeline, what counts, and the rungs."""
    counting = Rung("flops", flops or (lambda seed: {"flops": 100 - seed}), gated=False)
    rungs = [Rung("accuracy", rule) for rule in rules]
    start = partial(Bracket, rungs=len(rungs), keep=0.5, objectives=OBJECTIVES, chance={"accuracy": 0.1})
    pipeline = Pipeline("rungs", [counting, *rungs], limits, rungs=Rungs(len(rungs), start, notebook))
    worker.install("rungs", pipeline.evaluators)
    yield pipeline, counting, rungs
    worker.remove("rungs")


def asked(count: int) -> list[tuple[int, moonas.Genotype, Candidate]]:
    return [(n, GENOTYPES[n], Candidate(ENCODING.decode(GENOTYPES[n]), seed=n)) for n in range(count)]


@pytest.fixture(scope="module")
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as executor:
        yield executor


def improving(rung: int) -> Rule:
    """Candidate 0, the largest, is the best; accuracies grow with training."""
    return lambda seed: {"accuracy": (0.3 + 0.2 * rung) * (1 - seed / 20)}


def by_number(trials: Iterator[Trial]) -> dict[int, Trial]:
    return {trial.number: trial for trial in trials}


def test_few_reach_the_top_and_the_others_show_how_far_they_came(executor: ThreadPoolExecutor) -> None:
    with halved(improving(1), improving(2), improving(3), notebook=Notebook()) as (pipeline, _, rungs):
        trials = by_number(pipeline.run(executor, asked(8)))
    assert [len(rung.asked) for rung in rungs] == [8, 4, 2]
    assert rungs[0].asked == list(range(8))  # the largest first
    states = [trial.state for trial in trials.values()]
    assert {state: states.count(state) for state in states} == {"complete": 2, "stopped": 6}
    for number, trial in trials.items():
        reached = sum(number in rung.asked for rung in rungs)
        assert trial.rung == (0 if trial.state == "complete" else reached)
        assert trial.metrics == {"flops": 100 - number, **improving(reached)(number)}  # type: ignore[dict-item]
        assert (trial.error == "") == (trial.state == "complete")


def test_a_limit_on_accuracy_is_for_the_top_rung(executor: ThreadPoolExecutor) -> None:
    def top(seed: int) -> Outcome:
        return {"accuracy": 0.55 if seed == 1 else 0.7}

    limit = Constraint("accuracy", at_least=0.6)  # broken by all at the first rung
    with halved(improving(1), top, notebook=Notebook(), limits=[limit]) as (pipeline, _, rungs):
        trials = by_number(pipeline.run(executor, asked(4)))
    assert 1 in rungs[1].asked
    for number, trial in trials.items():
        reached = "infeasible" if number == 1 else "complete"
        assert trial.state == (reached if number in rungs[1].asked else "stopped")
    assert trials[1].error == "breaks accuracy >= 0.6: 0.55"


def test_a_limit_that_shows_before_training_spares_all_of_it(executor: ThreadPoolExecutor) -> None:
    limit = Constraint("flops", at_most=98)
    with halved(improving(1), improving(2), notebook=Notebook(), limits=[limit]) as (pipeline, _, rungs):
        trials = by_number(pipeline.run(executor, asked(6)))
    assert {number for number, trial in trials.items() if trial.state == "infeasible"} == {0, 1}
    assert sorted(rungs[0].asked) == [2, 3, 4, 5]
    assert len(rungs[1].asked) == 2


def test_a_failure_at_a_rung_ends_only_its_own_candidate(executor: ThreadPoolExecutor) -> None:
    def second(seed: int) -> Outcome:
        return Failure("diverged") if seed == 1 else {"accuracy": 0.5}

    with halved(improving(1), second, notebook=Notebook()) as (pipeline, _, _):
        trials = by_number(pipeline.run(executor, asked(4)))
    assert (trials[1].state, trials[1].error) == ("failed", "diverged")
    assert sorted(trial.state for trial in trials.values()) == ["complete", "failed", "stopped", "stopped"]


def test_seconds_of_all_rungs_are_added_up(executor: ThreadPoolExecutor) -> None:
    notebook = Notebook()
    with halved(improving(1), improving(2), notebook=notebook) as (pipeline, _, _):
        trials = by_number(pipeline.run(executor, asked(4)))
    for trial in trials.values():
        parts = notebook.recall(trial.key)
        assert trial.seconds == pytest.approx(sum(part.seconds for part in parts.values()), abs=1e-5)
        assert set(parts) == ({UNTRAINED, 1} if trial.state == "stopped" else {UNTRAINED, 1, 2})


def test_a_promoted_network_is_trained_on_while_others_are_still_at_the_rung_below() -> None:
    went_on = Event()

    def first(seed: int) -> Outcome:
        if seed == 3 and not went_on.wait(timeout=20):
            return Failure("nobody went on before the rung was done")
        return improving(1)(seed)

    def second(seed: int) -> Outcome:
        went_on.set()
        return improving(2)(seed)

    with ThreadPoolExecutor(2) as two, halved(first, second, notebook=Notebook()) as (pipeline, _, _):
        trials = by_number(pipeline.run(two, asked(4)))
    assert {trial.state for trial in trials.values()} == {"complete", "stopped"}


class StopError(Exception):
    pass


@pytest.mark.parametrize("pulses", range(1, 18))
def test_interrupted_at_any_moment_and_run_again_nothing_is_repeated_and_all_is_the_same(
    executor: ThreadPoolExecutor, pulses: int
) -> None:
    """What was told stays told, as in an archive; what was measured on the way is recalled."""

    def failing(seed: int) -> Outcome:
        return Failure("odd") if seed == 5 else improving(1)(seed)

    rules = (failing, improving(2), improving(3))
    with halved(*rules, notebook=Notebook()) as (pipeline, _, _):
        expected = by_number(pipeline.run(executor, asked(8)))
    count = 0

    def pulse() -> None:
        nonlocal count
        count += 1
        if count == pulses:
            raise StopError

    notebook, told = Notebook(), {}
    with halved(*rules, notebook=notebook) as (pipeline, _, _):
        with pytest.raises(StopError):
            for trial in pipeline.run(executor, asked(8), pulse=pulse):
                told[trial.number] = trial
            raise StopError
        rest = [entry for entry in asked(8) if entry[0] not in told]
        kept = {(key, rung) for key, results in notebook.results.items() for rung in results}
        again = by_number(pipeline.run(executor, rest, ended=list(told.values())))  # the notebook refuses repeats
    assert kept <= {(key, rung) for key, results in notebook.results.items() for rung in results}
    found = told | again
    assert {n: (t.state, t.metrics, t.error) for n, t in found.items()} == {
        n: (t.state, t.metrics, t.error) for n, t in expected.items()
    }
