"""What a valid problem means: defaults, directions of metrics, and where its parts stand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from moonas.errors import SpecError
from moonas.registry import METERS
from moonas.spec.data import SCORES
from moonas.spec.load import load_problem
from moonas.spec.metric import ENERGY_COLUMNS, LATENCY_COLUMNS, METRICS

CONTENT: dict[str, Any] = {"encoding": "tiny_cnn", "data": "digits", "objectives": [{"metric": "accuracy"}]}

NEEDS: dict[str, Any] = {
    "coverage": {"table": "kernels.csv"},
    "latency_wall_ms": {"processor": "cuda", "runtime": "torch"},
}
"""What a device has to be for some metrics."""


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
    device = "here" if metric not in NEEDS else {"name": "here", **NEEDS[metric]}
    direction = load(objectives=[{"metric": metric}], data=data, device=device).objectives[0].direction
    benefit = metric in SCORES.values() or METRICS[metric].source in ("zero_cost", "prediction")
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


def test_the_time_until_a_result_is_there_is_of_gpus_alone() -> None:
    wanted = [{"metric": "latency_wall_ms"}]
    gpu = {"processor": "cuda", "runtime": "torch"}
    assert load(objectives=wanted, device=gpu).device.processor == "cuda"
    with pytest.raises(SpecError, match=r"latency_wall_ms is of a GPU; on a CPU latency_median_ms is the same"):
        load(objectives=wanted)


# --- energy

POWER = {"static_w": 1, "multiply_add_pj": 4.6, "byte_pj": 160, "source": {"url": "a book", "date": "2026-11-29"}}
SHEET = {"kind": "spec-sheet", "roofline": {"dense_ps": 1.0}, "source": {"url": "a sheet", "date": "2026-11-29"}}
FRUGAL = [{"metric": "energy_mj"}]


def test_energy_columns_are_what_is_metered_or_modelled() -> None:
    assert set(ENERGY_COLUMNS) == {"energy_mj", "energy_above_idle_mj", "power_w", "energy_uncertainty"}


def test_energy_is_wanted_where_it_is_named_and_not_tabled() -> None:
    assert load(objectives=FRUGAL).wants_energy
    assert load(record=["power_w"]).wants_energy
    assert load(constraints=[{"metric": "power_w", "at_most": 5}]).wants_energy
    assert not load().wants_energy
    table = {"path": "t.csv", "metrics": {"energy_mj": "joules"}}
    assert not load(objectives=FRUGAL, table=table).wants_energy


@pytest.mark.parametrize("meter", [*METERS.built_in, "auto", "none", "my.clamp:watts"])
def test_a_meter_is_one_of_those_known_or_ones_own(meter: str) -> None:
    assert load(device={"meter": meter}).device.meter == meter


def test_a_recording_is_found_beside_the_file_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "bench.yaml").write_text("kind: measured\nmeter: clamp.csv\n")
    problem = tmp_path / "problem.yaml"
    text = "encoding: tiny_cnn\ndata: digits\nobjectives: [{metric: energy_mj}]\ndevice: "
    problem.write_text(text + "{name: here, meter: own.csv}\n")
    assert load_problem(problem).device.meter == str(tmp_path / "own.csv")
    problem.write_text(text + "profiles/bench.yaml\n")
    assert load_problem(problem).device.meter == str(tmp_path / "profiles" / "clamp.csv")


def test_a_meter_that_is_none_is_refused() -> None:
    with pytest.raises(SpecError) as caught:
        load(device={"meter": "rappl"})
    assert str(caught.value) == (
        "<python>, device.meter: unknown meter 'rappl'; choose from auto, jetson, none, nvml, rapl, raspberry_pi_5, or "
        "give a function of your own as package.module:function, or a .csv file of seconds,watts; did you mean 'rapl'?"
    )


def test_what_is_not_run_here_is_not_metered_here() -> None:
    assert not load(device={**SHEET, "power": POWER}, objectives=FRUGAL).device.may_be_metered
    with pytest.raises(SpecError, match=r"device\.meter: measures what runs here, and the latencies of this profile"):
        load(device={**SHEET, "meter": "rapl"})


@pytest.mark.parametrize("device", [{"meter": "none", "power": None}, {**SHEET, "power": None}])
def test_energy_that_nothing_gives_is_refused(device: dict[str, Any]) -> None:
    with pytest.raises(SpecError, match=r"device\.power: is missing; energy that is not measured is modelled by it"):
        load(device=device, objectives=FRUGAL)
    assert load(device=device).device.power is None
