"""NASProblem in the hands of pymoo's own algorithms."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.algorithms.moo.nsga3 import NSGA3
from pymoo.algorithms.moo.sms import SMSEMOA
from pymoo.algorithms.soo.nonconvex.ga import GA
from pymoo.operators.crossover.sbx import SBX
from pymoo.operators.mutation.pm import PM
from pymoo.operators.repair.rounding import RoundingRepair
from pymoo.operators.sampling.rnd import IntegerRandomSampling
from pymoo.optimize import minimize
from pymoo.util.ref_dirs import get_reference_directions

from moonas.encoding.encoding import Genotype
from moonas.encoding.staged_cnn import StagedCNNEncoding
from moonas.problem.nas_problem import NASProblem
from moonas.problem.objective import Constraint, Objective
from moonas.problem.trial import State, Trial
from moonas.spec.staged_cnn import StagedCNNSpec

WIDTHS = (4, 8, 12, 16, 24, 32)
STAGE = {"kernel": 3, "stride": 1, "expansion": 4}
TREE: dict[str, Any] = {
    "stem": {"width": WIDTHS, "kernel": 3, "stride": 1},
    "stages": [
        {"block": "plain", "depth": (1, 2, 3), "width": WIDTHS, **STAGE},
        {"depth": (0, 1, 2, 3), "width": WIDTHS, "block": ("plain", "residual"), **STAGE},
    ],
    "head": {"width": (0, 16, 32)},
}
ENCODING = StagedCNNEncoding(StagedCNNSpec(name="space", family="staged_cnn", **TREE).tree())
ACCURACY, COST = Objective("accuracy", "maximize"), Objective("cost", "minimize")
EVENNESS = Objective("evenness", "maximize")
LIMITS = (Constraint("cost", at_most=12.0), Constraint("accuracy", at_least=0.1))


class Evaluation:
    """Plays the study: answers genotypes, some of which fail or are never trained; remembers the trials."""

    def __init__(self, *, failing: bool = True, gate: float = 12.0):
        self.trials: list[Trial] = []
        self.failing, self.gate = failing, gate

    def __call__(self, genotypes: list[Genotype]) -> list[Trial]:
        trials = [self.answer(genotype) for genotype in genotypes]
        self.trials += trials
        return trials

    def answer(self, genotype: Genotype) -> Trial:
        architecture = ENCODING.decode(genotype)
        cost = float(sum(ENCODING.encode(architecture)))
        accuracy = round(cost / (cost + 4.0), 6)
        metrics = {"cost": cost, "accuracy": accuracy, "evenness": -abs(genotype[0] - genotype[2]) / 5}
        state: State = "complete"
        if self.failing and genotype[1] == 1 and genotype[0] % 2:
            state, metrics = "failed", {"cost": cost}
        elif cost > self.gate:
            state, metrics = "infeasible", {"cost": cost}  # never trained
        elif accuracy < 0.1:
            state = "infeasible"
        return Trial(len(self.trials), ENCODING.encode(architecture), architecture, state, metrics)


Evaluate = Callable[[list[Genotype]], list[Trial]]


def make_problem(evaluate: Evaluate, *objectives: Objective, most: float = 12.0) -> NASProblem:
    limits = (Constraint("cost", at_most=most), LIMITS[1])
    return NASProblem(ENCODING, objectives or (ACCURACY, COST), limits, evaluate)


INTEGER = {
    "sampling": IntegerRandomSampling(),
    "crossover": SBX(prob=0.9, eta=3, repair=RoundingRepair(), vtype=float),
    "mutation": PM(eta=3, repair=RoundingRepair(), vtype=float),
}


@cache
def directions(method: str, objectives: int) -> Any:
    if method == "energy":
        return get_reference_directions("energy", objectives, n_points=9, seed=1)
    return get_reference_directions("das-dennis", objectives, n_partitions=12 // objectives)


def algorithm(name: str, objectives: int, operators: dict[str, Any]) -> Any:
    if name == "NSGA2":
        return NSGA2(pop_size=16, **operators)
    if name == "SMSEMOA":
        return SMSEMOA(pop_size=16, **operators)
    return NSGA3(directions(name.split()[1], objectives), pop_size=16, **operators)


ALGORITHMS = ["NSGA2", "NSGA3 das-dennis", "NSGA3 energy", "SMSEMOA"]


@pytest.mark.parametrize("operators", [{}, INTEGER], ids=["default operators", "integer operators"])
@pytest.mark.parametrize("name", ALGORITHMS)
@pytest.mark.parametrize("objectives", [(ACCURACY, COST), (ACCURACY, COST, EVENNESS)], ids=["two", "three"])
def test_pymoo_searches_it_without_a_warning(
    name: str, objectives: tuple[Objective, ...], operators: dict[str, Any]
) -> None:
    evaluate = Evaluation()
    problem = make_problem(evaluate, *objectives)
    result = minimize(problem, algorithm(name, len(objectives), operators), ("n_gen", 6), seed=1)
    assert {trial.state for trial in evaluate.trials} == {"complete", "infeasible", "failed"}
    assert len(result.F) == len(result.X) >= 3
    assert np.isfinite(result.F).all()
    answers = [evaluate.answer(genotype) for genotype in problem.genotypes(result.X)]
    assert {trial.state for trial in answers} == {"complete"}
    signs = [-1 if objective.goal == "maximize" else 1 for objective in objectives]
    natural = [[trial.metrics[objective.metric] for objective in objectives] for trial in answers]
    np.testing.assert_array_equal(result.F, np.array(natural) * signs)
    assert (result.G <= 0).all()


@pytest.mark.parametrize("name", ALGORITHMS)
def test_no_trial_outside_of_the_result_dominates_it(name: str) -> None:
    evaluate = Evaluation()
    result = minimize(make_problem(evaluate), algorithm(name, 2, INTEGER), ("n_gen", 8), seed=2)
    seen = np.array([[-t.metrics["accuracy"], t.metrics["cost"]] for t in evaluate.trials if t.state == "complete"])
    for found in result.F:
        assert not ((seen <= found).all(axis=1) & (seen < found).any(axis=1)).any()


def test_it_ends_by_pymoos_default_criterion_too() -> None:
    from pymoo.termination.default import DefaultMultiObjectiveTermination

    evaluate = Evaluation()
    ending = DefaultMultiObjectiveTermination(period=5, n_max_gen=25)
    result = minimize(make_problem(evaluate), NSGA2(pop_size=12, **INTEGER), ending, seed=1)
    assert len(result.F) >= 3


@pytest.mark.parametrize("name", ALGORITHMS)
def test_pymoo_goes_on_from_a_population_without_a_feasible_one(name: str) -> None:
    """The cost must come down from above the limit before anything is trained: violations must lead the way."""
    evaluate = Evaluation(failing=False, gate=2.0)
    problem = make_problem(evaluate, most=2.0)
    dear = np.array([[5, 2, 5, 3, 5, 1, 2 - i % 2] for i in range(16)], dtype=float)
    operators = {**INTEGER, "sampling": dear, "eliminate_duplicates": False}
    result = minimize(problem, algorithm(name, 2, operators), ("n_gen", 60), seed=1)
    assert {trial.state for trial in evaluate.trials[:16]} == {"infeasible"}
    assert result.F is not None
    assert (result.F[:, 1] <= 2).all()


@pytest.mark.parametrize("name", ALGORITHMS)
@pytest.mark.parametrize("verbose", [False, True])
def test_where_nothing_is_feasible_pymoo_says_so_without_a_warning(
    name: str, verbose: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    problem = make_problem(Evaluation(gate=-1.0), most=-1.0)
    result = minimize(problem, algorithm(name, 2, INTEGER), ("n_gen", 4), seed=1, verbose=verbose)
    assert result.X is None
    assert result.F is None


@pytest.mark.parametrize("name", ALGORITHMS)
def test_where_everything_fails_pymoo_says_so_without_a_warning(name: str) -> None:
    def fail(genotypes: list[Genotype]) -> list[Trial]:
        return [Trial(i, g, ENCODING.decode(g), "failed") for i, g in enumerate(genotypes)]

    result = minimize(make_problem(fail), algorithm(name, 2, INTEGER), ("n_gen", 4), seed=1)
    assert result.F is None


@pytest.mark.parametrize(("goal", "best"), [("maximize", 5 + 2 + 5 + 3 + 5 + 1 + 2), ("minimize", 0)])
def test_a_goal_is_what_is_reached(goal: Any, best: int) -> None:
    """Maximise and minimise the same sum of indices."""

    def evaluate(genotypes: list[Genotype]) -> list[Trial]:
        return [Trial(i, g, ENCODING.decode(g), "complete", {"sum": float(sum(g))}) for i, g in enumerate(genotypes)]

    problem = NASProblem(ENCODING, (Objective("sum", goal),), (), evaluate)
    result = minimize(problem, GA(pop_size=30, **INTEGER), ("n_gen", 25), seed=1)
    assert abs(result.F[0]) == best
    assert sum(problem.genotypes(result.X)[0]) == best


# What pymoo is given.


def test_variables_are_the_genes_within_their_choices() -> None:
    problem = make_problem(Evaluation())
    assert problem.n_var == len(ENCODING.genes)
    assert problem.n_obj == 2
    np.testing.assert_array_equal(problem.xl, [0] * 7)
    np.testing.assert_array_equal(problem.xu, [5, 2, 5, 1, 3, 5, 2])
    assert problem.vtype is int


def evaluated(*trials: tuple[State, dict[str, float]], constraints: tuple[Constraint, ...] = LIMITS) -> dict[str, Any]:
    def evaluate(genotypes: list[Genotype]) -> list[Trial]:
        return [Trial(i, g, ENCODING.decode(g), *trials[i]) for i, g in enumerate(genotypes)]

    problem = NASProblem(ENCODING, (ACCURACY, COST), constraints, evaluate)
    out: dict[str, Any] = problem.evaluate(np.zeros((len(trials), 7)), return_as_dictionary=True)
    return out


def test_objectives_and_violations_of_a_complete_trial() -> None:
    out = evaluated(("complete", {"accuracy": 0.75, "cost": 3.0}))
    np.testing.assert_array_equal(out["F"], [[-0.75, 3.0]])
    np.testing.assert_array_equal(out["G"], [[0, 0, 0]])


def test_an_infeasible_trial_has_the_violation_of_each_limit_and_no_made_up_objective() -> None:
    out = evaluated(("infeasible", {"cost": 18.0}), ("infeasible", {"cost": 18.0, "accuracy": 0.05}))
    np.testing.assert_array_equal(out["F"], [[math.inf, 18.0], [-0.05, 18.0]])
    np.testing.assert_allclose(out["G"], [[0.5, 0, 0], [0.5, 0.5, 0]])


def test_a_failed_trial_is_infeasible_whatever_was_measured() -> None:
    out = evaluated(("failed", {}), ("failed", {"accuracy": 1.0, "cost": 0.0}))
    assert (out["G"][:, -1] > 0).all()
    np.testing.assert_array_equal(out["G"][:, :-1], np.zeros((2, 2)))


def test_a_stopped_trial_is_unfit_but_not_by_limits_on_what_more_training_might_have_reached() -> None:
    out = evaluated(("stopped", {"accuracy": 0.05, "cost": 3.0}), ("failed", {}))
    np.testing.assert_array_equal(out["G"], [[0, 0, 1], [0, 0, np.inf]])


def test_a_problem_without_limits_still_knows_what_failed() -> None:
    out = evaluated(("complete", {"accuracy": 0.5, "cost": 1.0}), ("failed", {}), constraints=())
    np.testing.assert_array_equal(out["G"], [[0], [np.inf]])


def test_a_value_that_is_no_number_is_infeasible() -> None:
    out = evaluated(("infeasible", {"cost": math.nan}))
    assert out["G"].max() > 0
    assert not np.isnan(out["F"]).any()
    assert not np.isnan(out["G"]).any()


def test_every_infeasible_trial_is_infeasible_to_pymoo_even_where_the_broken_metric_is_gone() -> None:
    assert evaluated(("infeasible", {}))["G"].max() > 0


def test_real_variables_are_cut_into_equal_shares_and_kept_within_the_choices() -> None:
    problem = make_problem(Evaluation())
    last = problem.xu.astype(int)
    for position, choices in enumerate(last + 1):
        rows = np.zeros((6000, len(last)))
        rows[:, position] = (np.arange(6000) + 0.5) / 6000 * last[position]
        counts = np.bincount([genotype[position] for genotype in problem.genotypes(rows)], minlength=choices)
        assert np.abs(counts - 6000 / choices).max() <= 1
    beyond = np.stack([problem.xl - 0.3, problem.xu + 0.2, problem.xu + 9])
    assert problem.genotypes(beyond) == [(0,) * len(last), tuple(last), tuple(last)]


def test_one_row_is_one_genotype_of_plain_integers() -> None:
    (genotype,) = make_problem(Evaluation()).genotypes(np.array([1, 2, 3, 0, 1, 0, 2]))
    assert genotype == (1, 2, 3, 0, 1, 0, 2)
    assert all(type(index) is int for index in genotype)
