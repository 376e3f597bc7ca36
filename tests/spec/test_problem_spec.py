"""What a valid problem means: defaults, directions of metrics, and where its parts stand."""

from __future__ import annotations

from typing import Any

import pytest

from moonas.errors import SpecError
from moonas.spec.data import SCORES
from moonas.spec.load import load_problem
from moonas.spec.metric import LATENCY_COLUMNS, METRICS

CONTENT: dict[str, Any] = {"encoding": "tiny_cnn", "data": "digits", "objectives": [{"metric": "accuracy"}]}


def load(**changes: Any) -> Any:
    return load_problem(CONTENT | changes)


def test_only_encoding_data_and_objectives_are_needed() -> None:
    spec = load()
    assert (spec.device.name, spec.search.strategy, spec.workers, spec.constraints) == ("here", "nsga2", "auto", ())


def test_leaving_the_device_out_is_naming_the_one_here() -> None:
    assert load().device == load(device="here").device


@pytest.mark.parametrize("metric", METRICS)
def test_the_goal_of_a_known_metric_is_known(metric: str) -> None:
    target = next((kind for kind, score in SCORES.items() if score == metric), "class")
    data = {"name": "my.module:images", "target": target}
    direction = load(objectives=[{"metric": metric}], data=data).objectives[0].direction
    benefit = metric in SCORES.values() or METRICS[metric].source == "zero_cost"
    assert direction == ("maximize" if benefit else "minimize")


def test_a_goal_given_wins_over_the_one_known() -> None:
    assert load(objectives=[{"metric": "params", "goal": "maximize"}]).objectives[0].direction == "maximize"


@pytest.mark.parametrize(
    ("metric", "column"),
    [("params", "params"), ("my.module:joules", "joules"), ("module:Class.joules", "joules")],
)
def test_the_column_of_a_metric_is_the_last_part_of_its_path(metric: str, column: str) -> None:
    use = load(objectives=[{"metric": metric, "goal": "minimize"}]).objectives[0]
    assert use.column == column
    assert use.is_function == (":" in metric)


def test_a_constraint_may_name_a_function_by_its_column() -> None:
    objectives = [{"metric": "my.module:joules", "goal": "minimize"}]
    assert load(objectives=objectives, constraints=[{"metric": "joules", "at_most": 1}]).constraints[0].at_most == 1


def test_a_metric_may_be_both_objective_and_constraint() -> None:
    spec = load(objectives=[{"metric": "params"}], constraints=[{"metric": "params", "at_most": 1}])
    assert [(place, use.column) for place, use in spec.metric_uses] == [
        (("objectives", 0), "params"),
        (("constraints", 0), "params"),
    ]


def test_limits_may_meet_but_not_cross() -> None:
    same = {"metric": "params", "at_most": 5, "at_least": 5}
    assert load(constraints=[same]).constraints[0].at_least == 5
    with pytest.raises(SpecError, match="nothing fits"):
        load(constraints=[same | {"at_most": 4.999}])


def test_shares_need_only_sum_to_one_as_well_as_floats_can() -> None:
    split = load(data={"name": "digits", "split": {"train": 0.7, "val": 0.2, "test": 0.1}}).data.split
    assert (split.train, split.val, split.test) == (0.7, 0.2, 0.1)
    assert load(data={"name": "digits", "split": {"train": 0.9, "val": 0.1, "test": 0}}).data.split.test == 0
    with pytest.raises(SpecError, match=r"they sum to 0\.99"):
        load(data={"name": "digits", "split": {"train": 0.7, "val": 0.2, "test": 0.09}})


def test_a_whole_number_will_do_for_a_number_but_not_the_reverse() -> None:
    assert load(budget={"hours": 2}).budget.hours == 2.0
    with pytest.raises(SpecError, match="must be a whole number, is 2"):
        load(budget={"trials": 2.0})


@pytest.mark.parametrize("workers", ["auto", 0, 1, 1024])
def test_workers_are_auto_or_a_number(workers: Any) -> None:
    assert load(workers=workers).workers == workers


def test_cuda_needs_torch() -> None:
    device = load(device={"processor": "cuda", "runtime": "torch"}).device
    assert (device.processor, device.runtime) == ("cuda", "torch")


def test_options_of_strategies_and_data_go_through_as_they_are() -> None:
    options = {"a": [1, {"b": None}], "c": "x"}
    assert load(search={"options": options}).search.options == options
    assert load(data={"name": "my.module:images", "options": options}).data.options == options


def test_metrics_are_named_with_their_unit_and_explained() -> None:
    for name, metric in METRICS.items():
        assert metric.name == name
        assert metric.meaning
        assert (metric.source == "training") == (name in (*SCORES.values(), "training_loss"))
        if metric.source != "zero_cost":  # whose values have no end
            assert metric.ideal == (1.0 if metric.goal == "maximize" else 0.0)


def test_latency_columns_are_what_is_timed() -> None:
    assert "latency_ms" in LATENCY_COLUMNS
    assert all(METRICS[name].source == "latency" for name in LATENCY_COLUMNS)
    assert all(name in LATENCY_COLUMNS for name in METRICS if name.startswith("latency"))
