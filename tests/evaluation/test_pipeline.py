"""Cheap before dear, nothing lost, nothing asked twice, whatever the evaluators do."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import moonas
from moonas.evaluation import worker
from moonas.evaluation.evaluator import Candidate, Evaluator, Failure, Outcome
from moonas.evaluation.pipeline import Pipeline
from moonas.problem.objective import Constraint
from moonas.problem.trial import Trial

ENCODING = moonas.load("digits_tiny").encoding
GENOTYPES = sorted(
    {ENCODING.canonical((0, b, w, k, 1, v, 0)) for b in (0, 1) for w in (0, 1) for k in (0, 1) for v in range(3)}
)


class Fake(Evaluator):
    """Answers by a rule on the candidate's seed, and remembers what it was asked."""

    def __init__(self, name: str, rule: Callable[[int], Outcome], *, gated: bool = False, together: bool = False):
        self.metrics, self.gated, self.together = (name,), gated, together
        self.rule = rule
        self.asked: list[list[int]] = []

    def evaluate(self, candidates: Sequence[Candidate]) -> list[Outcome]:
        self.asked.append([candidate.seed for candidate in candidates])
        return [self.rule(candidate.seed) for candidate in candidates]

    @property
    def seen(self) -> list[int]:
        return [seed for chunk in self.asked for seed in chunk]


@pytest.fixture(scope="module")
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as executor:
        yield executor


def run(executor: ThreadPoolExecutor, count: int, *evaluators: Fake, limits: Sequence[Constraint] = ()) -> list[Trial]:
    pipeline = Pipeline("test", evaluators, limits)
    worker.install("test", pipeline.evaluators)
    asked = [(n, GENOTYPES[n], Candidate(ENCODING.decode(GENOTYPES[n]), seed=n)) for n in range(count)]
    try:
        return list(pipeline.run(executor, asked))
    finally:
        worker.remove("test")


def test_dear_evaluators_see_only_what_keeps_the_limits(executor: ThreadPoolExecutor) -> None:
    dear = Fake("accuracy", lambda seed: {"accuracy": 0.5}, gated=True)
    cheap = Fake("params", lambda seed: {"params": seed})
    trials = run(executor, 6, dear, cheap, limits=[Constraint("params", at_most=2)])
    assert sorted(dear.seen) == [0, 1, 2]
    assert {t.number: t.state for t in trials} == {n: "complete" if n <= 2 else "infeasible" for n in range(6)}
    assert {t.error for t in trials if t.number == 4} == {"breaks params <= 2: 4"}


def test_a_failed_candidate_is_asked_nothing_more(executor: ThreadPoolExecutor) -> None:
    first = Fake("a", lambda seed: Failure("odd") if seed % 2 else {"a": 1})
    second = Fake("b", lambda seed: {"b": 1})
    trials = run(executor, 4, first, second)
    assert sorted(second.seen) == [0, 2]
    assert {t.number for t in trials if t.state == "failed" and t.error == "odd"} == {1, 3}


def test_a_limit_on_a_dear_metric_makes_a_trained_network_infeasible(executor: ThreadPoolExecutor) -> None:
    dear = Fake("accuracy", lambda seed: {"accuracy": seed / 10}, gated=True)
    trials = run(executor, 4, dear, limits=[Constraint("accuracy", at_least=0.2)])
    assert {t.number: t.state for t in trials} == {0: "infeasible", 1: "infeasible", 2: "complete", 3: "complete"}


def test_who_fails_in_company_is_asked_again_in_a_smaller_one(executor: ThreadPoolExecutor) -> None:
    """The company may have taken the memory that one alone can have."""

    class Crowded(Fake):
        def evaluate(self, candidates: Sequence[Candidate]) -> list[Outcome]:
            self.asked.append([candidate.seed for candidate in candidates])
            room = 3
            return [
                Failure("never") if c.seed == 1 else {"t": c.seed} if i < room else Failure("out of memory")
                for i, c in enumerate(candidates)
            ]

    timed = Crowded("t", lambda seed: {}, together=True)
    trials = {t.number: t for t in run(executor, 5, timed)}
    assert timed.asked == [[0, 1, 2, 3, 4], [1, 3, 4], [1]]
    assert [trials[n].metrics for n in (0, 2, 3, 4)] == [{"t": 0}, {"t": 2}, {"t": 3}, {"t": 4}]
    assert trials[1].error == "never"


def test_the_largest_are_trained_first(executor: ThreadPoolExecutor) -> None:
    sizes = [3, 9, 1, 7]
    dear = Fake("accuracy", lambda seed: {"accuracy": 1.0}, gated=True)
    run(executor, 4, Fake("flops", lambda seed: {"flops": sizes[seed]}), dear)
    assert dear.seen == [1, 3, 0, 2]


def test_a_batch_evaluator_gets_the_batch_whole_and_after_the_others(executor: ThreadPoolExecutor) -> None:
    batch = Fake("latency_ms", lambda seed: {"latency_ms": 1.0}, together=True, gated=True)
    single = Fake("params", lambda seed: Failure("bad") if seed == 1 else {"params": 1})
    run(executor, 4, batch, single)
    assert batch.asked == [[0, 2, 3]]
    assert sorted(single.asked) == [[0], [1], [2], [3]]


def test_a_batch_that_breaks_is_halved_and_only_the_culprit_fails(executor: ThreadPoolExecutor) -> None:
    def rule(seed: int) -> Outcome:
        if seed == 2:
            raise RuntimeError("segmentation fault, nearly")
        return {"latency_ms": float(seed)}

    batch = Fake("latency_ms", rule, together=True)
    trials = run(executor, 4, batch)
    assert batch.asked == [[0, 1, 2, 3], [0, 1], [2, 3], [2], [3]]
    states = {t.number: (t.state, t.error) for t in trials}
    assert states[2] == ("failed", "RuntimeError: segmentation fault, nearly")
    assert all(states[n] == ("complete", "") for n in (0, 1, 3))


BEHAVIOUR = st.sampled_from(["good", "bad", "raises", "large"])


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(BEHAVIOUR, BEHAVIOUR, BEHAVIOUR), min_size=1, max_size=8))
def test_each_candidate_ends_in_exactly_one_trial_whatever_happens(plan: list[tuple[str, str, str]]) -> None:
    def rule(stage: int, name: str) -> Callable[[int], Outcome]:
        def answer(seed: int) -> Outcome:
            behaviour = plan[seed][stage]
            if behaviour == "raises":
                raise ValueError("raised")
            return Failure("failed") if behaviour == "bad" else {name: 100 if behaviour == "large" else 1}

        return answer

    fakes = [Fake("a", rule(0, "a")), Fake("b", rule(1, "b"), together=True), Fake("c", rule(2, "c"), gated=True)]
    with ThreadPoolExecutor(2) as pool:
        trials = run(pool, len(plan), *fakes, limits=[Constraint("a", at_most=10), Constraint("c", at_most=10)])
    assert Counter(t.number for t in trials) == Counter(range(len(plan)))
    for trial in trials:
        steps = plan[trial.number]
        cheap_failed = {"bad", "raises"} & set(steps[:2])
        if cheap_failed or (steps[0] != "large" and steps[2] in ("bad", "raises")):
            assert trial.state == "failed"
        else:
            assert trial.state == ("infeasible" if "large" in (steps[0], steps[2]) else "complete")
        assert (trial.state == "complete") == (trial.error == "")
    assert len(fakes[2].seen) == len(set(fakes[2].seen))
