"""What every strategy owes: canonical, new, repeatable proposals, until there is nothing left."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from point_space import Evaluation, FoldedSpace, Point, PointSpace, make_trial

from moonas import content
from moonas.encoding.encoding import Encoding, Genotype
from moonas.encoding.staged_cnn import StagedCNNEncoding
from moonas.problem.objective import Objective
from moonas.registry import STRATEGIES
from moonas.spec.encoding import load_encoding
from moonas.strategy.nsga2 import NSGA2
from moonas.strategy.random_search import RandomSearch
from moonas.strategy.strategy import Strategy

OBJECTIVES = (Objective("f", "minimize"), Objective("g", "maximize"))
every_strategy = pytest.mark.parametrize("make", [NSGA2, RandomSearch])


def tiny_cnn() -> StagedCNNEncoding:
    return StagedCNNEncoding(load_encoding(str(content.shipped_folder("encodings") / "tiny_cnn.yaml")).tree())


def two_sums(genotype: Genotype) -> dict[str, float]:
    return {"f": float(sum(genotype)), "g": float(sum(i * x for i, x in enumerate(genotype, 1)))}


def walk(strategy: Strategy, generations: int, count: int) -> list[list[Genotype]]:
    evaluate, asked = Evaluation(two_sums), []
    for _ in range(generations):
        asked.append(strategy.ask(count))
        strategy.tell(evaluate(asked[-1]))
    return asked


def test_the_strategies_that_can_be_named_are_those_tested_here() -> None:
    assert {STRATEGIES.load(name) for name in STRATEGIES.built_in} == {NSGA2, RandomSearch}


@every_strategy
@pytest.mark.parametrize("encoding", [tiny_cnn(), FoldedSpace(3, 4, 5), PointSpace(4, 4, 4, ordered=False)])
def test_proposals_are_canonical_and_never_repeat(make: type[Strategy], encoding: Encoding) -> None:
    strategy = make(encoding=encoding, objectives=OBJECTIVES, population=6, seed=1)
    asked = [genotype for generation in walk(strategy, 6, 6) for genotype in generation]
    assert len(asked) == 36
    assert len(set(asked)) == len(asked)
    assert len({encoding.decode(genotype).key for genotype in asked}) == len(asked)
    assert all(encoding.canonical(genotype) == genotype for genotype in asked)
    assert all(type(index) is int for genotype in asked for index in genotype)


@every_strategy
@pytest.mark.parametrize("count", [1, 7, 24, 100])
def test_a_space_is_walked_through_to_its_last_network_and_then_nothing_is_asked(
    make: type[Strategy], count: int
) -> None:
    """tiny_cnn has 80 networks under its 192 genotypes."""
    strategy, evaluate = make(encoding=tiny_cnn(), objectives=OBJECTIVES, seed=0), Evaluation(two_sums)
    while genotypes := strategy.ask(count):
        assert len(genotypes) <= count
        strategy.tell(evaluate(genotypes))
    assert len({trial.genotype for trial in evaluate.trials}) == len(evaluate.trials) == 80
    assert strategy.ask(count) == []


@every_strategy
def test_a_request_larger_than_what_is_left_is_answered_in_part(make: type[Strategy]) -> None:
    strategy = make(encoding=PointSpace(3, 2), objectives=OBJECTIVES)
    assert len(strategy.ask(4)) == 4
    assert len(strategy.ask(4)) == 2
    assert strategy.ask(4) == []


@every_strategy
def test_a_space_of_one_network_is_asked_for_once(make: type[Strategy]) -> None:
    strategy = make(encoding=PointSpace(), objectives=OBJECTIVES)
    assert strategy.ask(3) == [()]
    strategy.tell([make_trial(0, (), f=1.0, g=1.0)])
    assert strategy.ask(3) == []


@every_strategy
def test_that_a_space_is_exhausted_is_found_out_once_not_for_each_genotype_asked_for(make: type[Strategy]) -> None:
    class Counted(PointSpace):
        decoded = 0

        def decode(self, genotype: Genotype) -> Point:
            self.decoded += 1
            return super().decode(genotype)

    encoding = Counted(10, 10)
    strategy, evaluate = make(encoding=encoding, objectives=OBJECTIVES, population=10), Evaluation(two_sums)
    for _ in range(10):
        strategy.tell(evaluate(strategy.ask(10)))
    encoding.decoded = 0
    assert strategy.ask(100) == []
    assert (
        encoding.decoded <= 500
    )  # the space once, and some tries; to a space of 100,000 it is the difference of hours


@every_strategy
def test_asking_for_nothing_gives_nothing(make: type[Strategy]) -> None:
    assert make(encoding=PointSpace(3), objectives=OBJECTIVES).ask(0) == []


@every_strategy
def test_the_same_seed_and_trials_give_the_same_proposals(make: type[Strategy]) -> None:
    def path(seed: int) -> list[list[Genotype]]:
        return walk(make(encoding=PointSpace(9, 9, 9, 9), objectives=OBJECTIVES, population=8, seed=seed), 5, 8)

    assert path(3) == path(3)
    assert path(3) != path(4)


@every_strategy
def test_the_path_is_the_same_in_another_process_with_another_hash_seed(make: type[Strategy]) -> None:
    code = (
        "from test_strategies import *\n"
        f"strategy = {make.__name__}(encoding=FoldedSpace(9, 9, 9, 9), objectives=OBJECTIVES, population=8, seed=3)\n"
        "print(walk(strategy, 4, 8))"
    )
    here = walk(make(encoding=FoldedSpace(9, 9, 9, 9), objectives=OBJECTIVES, population=8, seed=3), 4, 8)
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": "77", "PYTHONPATH": str(Path(__file__).parent)},
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == str(here), done.stderr


@every_strategy
def test_proposals_do_not_touch_the_random_numbers_of_others(make: type[Strategy]) -> None:
    random.seed(0)
    before = random.getstate()
    walk(make(encoding=PointSpace(5, 5, 5), objectives=OBJECTIVES, population=4), 3, 4)
    assert random.getstate() == before


@every_strategy
@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_the_order_of_telling_does_not_matter(make: type[Strategy], data: st.DataObject) -> None:
    def generation(shuffle: bool) -> list[Genotype]:
        strategy = make(encoding=PointSpace(9, 9, 9, 9), objectives=OBJECTIVES, population=8, seed=5)
        evaluate = Evaluation(two_sums)
        for _ in range(3):
            trials = evaluate(strategy.ask(8))
            strategy.tell(data.draw(st.permutations(trials)) if shuffle else trials)
        return strategy.ask(8)

    assert generation(shuffle=True) == generation(shuffle=False)


@every_strategy
@settings(deadline=None, max_examples=40)
@given(cuts=st.lists(st.integers(0, 8), min_size=3, max_size=3), seed=st.integers(0, 9))
def test_telling_in_parts_is_telling_at_once(make: type[Strategy], cuts: list[int], seed: int) -> None:
    """Strategies are deterministic in the trials told, not in how a loop cuts them into calls of tell."""

    def generation(parts: bool) -> list[Genotype]:
        strategy = make(encoding=PointSpace(9, 9, 9, 9), objectives=OBJECTIVES, population=8, seed=seed)
        evaluate = Evaluation(two_sums)
        for cut in cuts:
            trials = evaluate(strategy.ask(8))
            for part in (trials[:cut], trials[cut:]) if parts else (trials,):
                strategy.tell(part)
        return strategy.ask(8)

    assert generation(parts=True) == generation(parts=False)


@every_strategy
def test_trials_may_be_told_late_or_never(make: type[Strategy]) -> None:
    strategy, evaluate = make(encoding=PointSpace(5, 5, 5), objectives=OBJECTIVES, population=4), Evaluation(two_sums)
    first, second = evaluate(strategy.ask(4)), evaluate(strategy.ask(4))
    strategy.tell(second[:2])
    strategy.tell([])
    strategy.tell(first)
    assert len({*strategy.ask(20), *(trial.genotype for trial in evaluate.trials)}) == 28


@every_strategy
def test_a_search_goes_on_where_everything_failed(make: type[Strategy]) -> None:
    strategy = make(encoding=PointSpace(9, 9), objectives=OBJECTIVES, population=4)
    strategy.tell([make_trial(i, genotype, "failed") for i, genotype in enumerate(strategy.ask(4))])
    assert len(strategy.ask(4)) == 4


def test_random_search_is_not_moved_by_what_it_is_told() -> None:
    told, untold = (RandomSearch(encoding=PointSpace(9, 9, 9), objectives=OBJECTIVES, seed=2) for _ in range(2))
    walked = walk(told, 4, 5)
    assert walked == [untold.ask(5) for _ in range(4)]


def test_random_search_draws_every_choice_about_equally_often() -> None:
    drawn = RandomSearch(encoding=PointSpace(10, 10, 10, 10, 10), objectives=OBJECTIVES, seed=0).ask(2000)
    for gene in range(5):
        counts = [sum(genotype[gene] == choice for genotype in drawn) for choice in range(10)]
        assert all(140 < count < 260 for count in counts)  # 200 expected, a standard deviation is 13
