"""NSGA-II: who survives, who has children, what children are like, and that it pays."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from point_space import Evaluation, FoldedSpace, PointSpace, make_trial
from pymoo.core.population import Population
from pymoo.core.problem import Problem
from pymoo.indicators.hv import HV
from pymoo.operators.survival.rank_and_crowding import RankAndCrowding
from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting

from moonas.encoding.encoding import Genotype
from moonas.encoding.staged_cnn import StagedCNNEncoding
from moonas.errors import MoonasError
from moonas.problem.objective import Constraint, Objective
from moonas.problem.trial import Trial
from moonas.spec.staged_cnn import StagedCNNSpec
from moonas.strategy.nsga2 import NSGA2
from moonas.strategy.random_search import RandomSearch
from moonas.strategy.strategy import Strategy

F, G = Objective("f", "minimize"), Objective("g", "minimize")
BIG = PointSpace(*[101] * 6)


def numbers(strategy: NSGA2) -> set[int]:
    strategy.ask(0)  # survivors are chosen when something is asked
    return {member.trial.number for member in strategy._members}


def told(trials: list[Trial], population: int, objectives: int) -> NSGA2:
    named = [Objective(f"f{i}", "minimize") for i in range(objectives)]
    strategy = NSGA2(encoding=PointSpace(1000), objectives=named, population=population)
    strategy.tell(trials)
    return strategy


def trials_of(values: np.ndarray) -> list[Trial]:
    return [make_trial(n, (n,), **{f"f{i}": float(v) for i, v in enumerate(row)}) for n, row in enumerate(values)]


# Survival.


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**32 - 1), size=st.integers(8, 60), objectives=st.integers(2, 3), share=st.floats(0.2, 1.0))
def test_those_survive_that_survive_in_pymoo(seed: int, size: int, objectives: int, share: float) -> None:
    values = np.random.default_rng(seed).random((size, objectives))
    population = max(1, round(size * share))
    crowd = Population.new(F=values, number=np.arange(size))
    problem = Problem(n_var=1, n_obj=objectives, n_ieq_constr=0, xl=0, xu=1)
    survivors = RankAndCrowding().do(problem, crowd, n_survive=population, random_state=np.random.default_rng(0))
    kept = {int(number) for number in survivors.get("number")}
    # Of the last front, those with the largest crowding stay; where the border lies between equals, pymoo draws lots.
    last = [i for i in crowd if i.get("rank") == max(survivors.get("rank"))]
    out = [i.get("crowding") for i in last if int(i.get("number")) not in kept]
    assume(not out or max(out) < min(i.get("crowding") for i in last if int(i.get("number")) in kept))
    assert numbers(told(trials_of(values), population, objectives)) == kept


@settings(deadline=None, max_examples=60)
@given(
    values=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=30),
    objectives=st.integers(1, 3),
)
def test_the_first_rank_is_the_first_front_ties_and_all(values: list[tuple[int, ...]], objectives: int) -> None:
    array = np.array(values, dtype=float)[:, :objectives]
    strategy = told(trials_of(array), len(array), objectives)
    strategy.ask(0)
    first = {member.trial.number for member in strategy._members if member.rank == 0}
    assert first == set(NonDominatedSorting().do(array)[0])
    nobody_better = {
        i for i, a in enumerate(array) if not any((b <= a).all() and (b < a).any() for b in array)
    }  # by definition
    assert first == nobody_better


def test_survivors_are_at_most_the_population_and_the_same_trial_counts_once() -> None:
    trials = trials_of(np.random.default_rng(0).random((30, 2)))
    strategy = told(trials, 12, 2)
    strategy.tell(trials)
    assert len(numbers(strategy)) == len(strategy._members) == 12


def test_the_same_survive_whatever_the_direction_an_objective_is_written_in() -> None:
    values = np.random.default_rng(1).random((30, 2))
    flipped = [make_trial(n, (n,), f0=float(a), f1=-float(b)) for n, (a, b) in enumerate(values)]
    strategy = NSGA2(
        encoding=PointSpace(1000), objectives=[Objective("f0", "minimize"), Objective("f1", "maximize")], population=9
    )
    strategy.tell(flipped)
    assert numbers(strategy) == numbers(told(trials_of(values), 9, 2))


# Who has children. With steps of one on a large grid, children tell their parents by being near.


def parents_of(children: list[Genotype], places: dict[str, Genotype]) -> set[str]:
    """The names of the places from which children are a step away in each gene at most; `?` for none."""
    near = [
        [name for name, place in places.items() if all(abs(a - b) <= 1 for a, b in zip(child, place, strict=True))]
        for child in children
    ]
    return {names[0] if names else "?" for names in near}


A, B, C = (10,) * 6, (50,) * 6, (90,) * 6
PLACES = {"A": A, "B": B, "C": C}
SMALL_ENOUGH = (Constraint("size", at_most=10.0),)


def breed(trials: list[Trial], population: int = 1, constraints: tuple[Constraint, ...] = SMALL_ENOUGH) -> set[str]:
    strategy = NSGA2(encoding=BIG, objectives=[F], constraints=constraints, population=population, crossover=0.0)
    strategy.tell(trials)
    return parents_of(strategy.ask(30), PLACES)


def test_the_better_has_the_children() -> None:
    assert breed([make_trial(0, A, f=2.0), make_trial(1, B, f=1.0)]) == {"B"}


def test_a_feasible_trial_is_before_an_infeasible_one_however_good() -> None:
    assert breed([make_trial(0, A, f=9.0, size=10.0), make_trial(1, B, "infeasible", f=1.0, size=10.1)]) == {"A"}


def stopped(number: int, at: Genotype, rung: int, **metrics: float) -> Trial:
    return replace(make_trial(number, at, "stopped", **metrics), rung=rung)


def test_a_stopped_trial_is_behind_a_complete_and_before_an_infeasible_one() -> None:
    halted = stopped(1, B, 2, f=1.0, size=99.0)
    assert breed([make_trial(0, A, f=9.0, size=10.0), halted]) == {"A"}
    assert breed([make_trial(0, A, "infeasible", f=0.0, size=10.1), halted]) == {"B"}


def test_of_stopped_trials_the_one_that_came_further_is_before_then_the_better() -> None:
    first, second, better = stopped(0, A, 1, f=1.0), stopped(1, B, 2, f=9.0), stopped(2, C, 2, f=8.0)
    assert breed([first, second]) == {"B"}
    assert breed([first, second, better]) == {"C"}


def test_of_infeasible_trials_the_smaller_violation_is_before() -> None:
    trials = [make_trial(0, A, "infeasible", size=30.0), make_trial(1, B, "infeasible", f=5.0, size=11.0)]
    assert breed(trials) == {"B"}
    assert breed(trials[::-1]) == {"B"}


def test_violations_of_several_constraints_add_up() -> None:
    constraints = (Constraint("size", at_most=10.0), Constraint("accuracy", at_least=0.5))
    trials = [
        make_trial(0, A, "infeasible", size=13.0, accuracy=0.4),  # 0.3 + 0.2
        make_trial(1, B, "infeasible", size=14.0, accuracy=0.5),  # 0.4
        make_trial(2, C, "infeasible", size=10.0, accuracy=0.25),  # 0.5
    ]
    assert breed(trials, constraints=constraints) == {"B"}


def test_an_infeasible_trial_of_no_number_is_behind_every_other() -> None:
    trials = [make_trial(0, A, "infeasible", size=math.nan), make_trial(1, B, "infeasible", size=1e9)]
    assert breed(trials) == {"B"}


def test_a_failed_trial_never_has_children_however_good() -> None:
    failed = make_trial(0, A, "failed", f=-1e9, size=0.0)
    assert breed([failed, make_trial(1, B, "infeasible", size=99.0)], population=5) == {"B"}
    assert breed([failed, make_trial(1, B, f=3.0)], population=5) == {"B"}
    assert breed([failed], population=5) == {"?"}  # random ones: a step from A is one in 10^10


def test_all_of_a_population_may_have_children_and_the_better_have_more() -> None:
    wide = PointSpace(*[101] * 100)  # so that children hardly ever come twice
    strategy = NSGA2(encoding=wide, objectives=[F], population=2, crossover=0.0, mutation=0.1)
    worse, better = (10,) * 100, (50,) * 100
    strategy.tell([make_trial(0, worse, f=2.0), make_trial(1, better, f=1.0)])
    children = strategy.ask(200)
    places = {"worse": worse, "better": better}
    share = sum(parents_of([child], places) == {"better"} for child in children) / len(children)
    assert parents_of(children, places) == {"worse", "better"}
    assert 0.65 < share < 0.85  # in a binary tournament, the better of two is absent with probability 1/4


def test_a_dominated_trial_leaves_when_the_population_is_full() -> None:
    strategy = NSGA2(encoding=BIG, objectives=[F, G], population=2, crossover=0.0)
    strategy.tell([make_trial(0, A, f=1.0, g=3.0), make_trial(1, B, f=4.0, g=4.0)])
    strategy.tell([make_trial(2, C, f=3.0, g=1.0)])
    assert parents_of(strategy.ask(40), PLACES) == {"A", "C"}


# What children are like.


def test_a_mutation_steps_to_a_neighbour_on_ordered_genes() -> None:
    strategy = NSGA2(encoding=PointSpace(5, 9, 9), objectives=[F], population=1, crossover=0.0, mutation=1.0)
    strategy.tell([make_trial(0, (0, 4, 8), f=1.0)])
    # Every gene steps: 0 can only go up, 8 only down.
    assert set(strategy.ask(2)) == {(1, 3, 7), (1, 5, 7)}


def test_a_mutation_draws_anew_on_unordered_genes_and_never_the_same() -> None:
    encoding = PointSpace(6, 200, ordered=False)
    strategy = NSGA2(encoding=encoding, objectives=[F], population=1, crossover=0.0, mutation=1.0)
    strategy.tell([make_trial(0, (2, 100), f=1.0)])
    children = strategy.ask(150)
    counts = [sum(child[0] == choice for child in children) for choice in range(6)]
    assert counts[2] == 0
    assert all(15 <= count <= 45 for i, count in enumerate(counts) if i != 2)  # 30 each expected
    assert 100 not in {child[1] for child in children}
    assert {min(child[1] for child in children), max(child[1] for child in children)} != {99, 101}


def test_a_gene_of_one_choice_never_mutates() -> None:
    strategy = NSGA2(encoding=PointSpace(1, 3), objectives=[F], population=1, crossover=0.0, mutation=1.0)
    strategy.tell([make_trial(0, (0, 1), f=1.0)])
    assert set(strategy.ask(2)) == {(0, 0), (0, 2)}


def test_by_default_about_one_gene_of_a_child_mutates() -> None:
    strategy = NSGA2(encoding=PointSpace(*[101] * 20), objectives=[F], population=1, crossover=0.0)
    strategy.tell([make_trial(0, (50,) * 20, f=1.0)])
    mutated = [sum(index != 50 for index in child) for child in strategy.ask(30)]
    # Children like their parent are drawn again: of Binomial(20, 1/20), given that it is not 0, the mean is 1.56.
    assert 1.2 < sum(mutated) / len(mutated) < 2.2


def test_only_active_genes_mutate() -> None:
    """What a mutation wakes is drawn, so that a stage does not always come back with its first choices."""
    stage = {"depth": (0, 1), "width": (8, 16), "kernel": (3, 5), "stride": 2, "expansion": (2, 4)}
    tree = {
        "stem": {"width": (4, 8), "kernel": 3, "stride": 1},
        "stages": [{"block": ("inverted_residual", "plain"), **stage}],
        "head": {"width": 0},
    }
    encoding = StagedCNNEncoding(StagedCNNSpec(name="space", family="staged_cnn", **tree).tree())
    strategy = NSGA2(encoding=encoding, objectives=[F], population=1, crossover=0.0, mutation=1.0)
    # The genes: stem.width, then block, depth, width, kernel, expansion of the stage, which is absent here.
    absent = (0, 0, 0, 0, 0, 0)
    strategy.tell([Trial(0, absent, encoding.decode(absent), "complete", {"f": 1.0})])
    children = strategy.ask(12)
    assert all(child[0] == 1 and child[2] == 1 for child in children)  # the stem and the depth mutate for certain
    assert len({child[1] for child in children}) == len({child[3] for child in children}) == 2


def test_the_rate_of_mutation_counts_active_genes_only() -> None:
    """One gene is active, and the rate one gene a child: it mutates in every child."""
    strategy = NSGA2(encoding=FoldedSpace(3, 3), objectives=[F], population=1, crossover=0.0)
    strategy.tell([make_trial(0, (0, 0), f=1.0)])
    assert {child[0] for child in strategy.ask(3)} == {1}


def test_a_gene_is_inherited_from_a_parent_in_which_it_means_something() -> None:
    """One parent has the last gene at 7 of 9; in the other it is inactive, and its 0 is nobody's choice."""
    strategy = NSGA2(encoding=FoldedSpace(2, 9), objectives=[F, G], population=2, crossover=1.0, mutation=0.0)
    strategy.tell([make_trial(0, (1, 7), f=1.0, g=2.0), make_trial(1, (0, 0), f=2.0, g=1.0)])
    strategy._select()
    bred = {strategy._breed() for _ in range(60)}
    assert bred == {(1, 7), (0, 7), (0, 0)}


def test_children_of_two_parents_mix_their_genes() -> None:
    strategy = NSGA2(encoding=BIG, objectives=[F, G], population=2, crossover=1.0, mutation=0.0)
    strategy.tell([make_trial(0, A, f=1.0, g=2.0), make_trial(1, B, f=2.0, g=1.0)])
    children = strategy.ask(30)
    assert {index for child in children for index in child} == {10, 50}
    assert all(len({child[gene] for child in children}) == 2 for gene in range(6))


def test_without_crossover_and_mutation_new_ones_are_random() -> None:
    strategy = NSGA2(encoding=BIG, objectives=[F], population=2, crossover=0.0, mutation=0.0)
    first = strategy.ask(2)
    strategy.tell([make_trial(i, genotype, f=float(i)) for i, genotype in enumerate(first)])
    assert len({*first, *strategy.ask(5)}) == 7


@pytest.mark.parametrize("option", ["crossover", "mutation"])
@pytest.mark.parametrize("rate", [-0.1, 1.01, math.nan, math.inf])
def test_a_rate_that_is_no_probability_is_refused(option: str, rate: float) -> None:
    with pytest.raises(MoonasError, match=f"{option} must be a probability from 0 to 1, is {rate}"):
        NSGA2(encoding=BIG, objectives=[F], **{option: rate})


@pytest.mark.parametrize("option", ["crossover", "mutation"])
@pytest.mark.parametrize("rate", [0, 0.5, 1])
def test_the_ends_are_probabilities_too(option: str, rate: float) -> None:
    assert getattr(NSGA2(encoding=BIG, objectives=[F], **{option: rate}), option) == rate


def test_an_option_that_does_not_exist_is_refused() -> None:
    with pytest.raises(TypeError, match="mutation_rate"):
        NSGA2(encoding=BIG, objectives=[F], mutation_rate=0.1)


# That it pays.


def zdt1(genotype: Genotype) -> dict[str, float]:
    """Zitzler, Deb & Thiele (2000), problem 1, on 21 steps of each variable; both objectives are minimised."""
    x = [index / 20 for index in genotype]
    g = 1 + 9 * sum(x[1:]) / (len(x) - 1)
    return {"f": x[0], "g": g * (1 - math.sqrt(x[0] / g))}


def hypervolume(strategy: Strategy, trials: int, population: int) -> float:
    evaluate = Evaluation(zdt1)
    while len(evaluate.trials) < trials:
        strategy.tell(evaluate(strategy.ask(population)))
    values = np.array([[trial.metrics["f"], trial.metrics["g"]] for trial in evaluate.trials])
    return float(HV(ref_point=np.array([1.0, 6.0]))(values))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("ordered", [True, False])
def test_it_reaches_a_clearly_larger_hypervolume_than_random_search(seed: int, ordered: bool) -> None:
    encoding = PointSpace(*[21] * 10, ordered=ordered)
    settings = {"encoding": encoding, "objectives": [F, G], "population": 20, "seed": seed}
    # The front of ZDT1, f2 = 1 - sqrt(f1), has 6 - 1 + 2/3 = 5.67 at best.
    searched, drawn = (hypervolume(make(**settings), 240, 20) for make in (NSGA2, RandomSearch))
    assert drawn + 0.25 * (5.67 - drawn) < searched < 5.67
