"""The devices of a problem, read from the files that name them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from moonas.errors import SpecError
from moonas.spec.device import load_device_tree
from moonas.spec.load import load_problem, to_yaml
from moonas.spec.problem import ProblemSpec

TABLE = {
    "kind": "measured",
    "table": "mine.csv",
    "scale": 1.25,
    "fusion": ["relu"],
    "threads": 2,
    "machine": {"processor": "A", "cores": 4, "runtime_version": "1.0", "system": "Linux x86_64"},
    "validation": {"networks": 20, "of": "networks", "mape": 0.034},
}


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def problem(*metrics: str, overrides: dict[str, Any] | None = None, **changes: Any) -> ProblemSpec:
    objectives = [{"metric": metric} for metric in metrics or ("params", "latency_ms")]
    task = {"input_shape": [1, 8, 8], "classes": 10}
    return load_problem(
        {"encoding": "tiny_cnn", "task": task, "objectives": objectives, **changes}, overrides=overrides
    )


def profile(name: str, folder: str = "hw_profiles") -> Path:
    path = Path(folder) / f"{name}.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(yaml.safe_dump(TABLE))
    path.with_suffix(".csv").touch()
    return path


def test_a_profile_that_a_metric_names_is_read_in() -> None:
    spec = problem("latency_ms@t4", constraints=[{"metric": "latency_ms@v100", "at_most": 1}], record=["latency_ms@t4"])
    assert set(spec.devices) == {"t4", "v100"}
    assert spec.devices["t4"].model_dump() == load_device_tree("t4")
    assert spec.device_of("latency_ms@t4") is spec.devices["t4"]
    assert spec.device_of("latency_ms") is spec.device


def test_ones_own_profiles_are_found_by_name_and_by_path() -> None:
    profile("mine")
    path = profile("other", "elsewhere")
    spec = problem("latency_ms@mine", f"latency_ms@{path}")
    assert {name: device.name for name, device in spec.devices.items()} == {"mine": "mine", str(path): "other"}
    assert spec.devices["mine"].table == str(Path("hw_profiles/mine.csv").resolve())


def test_a_further_device_may_have_a_name_and_values_of_its_own() -> None:
    devices = {"pi": {"name": "raspberry_pi_4", "meter": "none"}, "t4": {"batch": 8}, "gpu": "v100"}
    spec = problem("latency_ms@pi", "latency_ms@t4", "latency_ms@gpu", devices=devices)
    assert [(each.name, each.threads, each.batch) for each in spec.devices.values()] == [
        ("raspberry_pi_4", 1, 1),
        ("t4", 1, 8),
        ("v100", 1, 1),
    ]


@pytest.mark.parametrize("key", ["threads", "runtime", "scale", "fusion"])
def test_what_the_figures_of_a_profile_hold_for_cannot_be_changed(key: str) -> None:
    value: Any = {"threads": 4, "runtime": "torch", "scale": 2.0, "fusion": ["relu"]}[key]
    message = f"device.{key}: is what the figures of raspberry_pi_4 hold for, and cannot be changed"
    with pytest.raises(SpecError, match=message):
        problem("latency_ms", overrides={"device": "raspberry_pi_4", f"device.{key}": value})


def test_a_field_of_a_further_device_is_set_by_its_path() -> None:
    spec = problem("latency_ms@t4", overrides={"devices.t4.batch": 8})
    assert (spec.devices["t4"].name, spec.devices["t4"].batch) == ("t4", 8)
    spec = problem("latency_ms@gpu", devices={"gpu": "t4"}, overrides={"devices.gpu.batch": 8})
    assert (spec.devices["gpu"].name, spec.devices["gpu"].batch) == ("t4", 8)


def test_a_problem_in_full_needs_no_other_file() -> None:
    path = profile("mine")
    spec = problem("params", "latency_ms@mine", "latency_ms@t4", device="raspberry_pi_4")
    Path("full.yaml").write_text(to_yaml(spec))
    path.unlink()
    assert load_problem("full.yaml") == spec


def test_another_device_may_be_set_over_that_of_a_problem_in_full() -> None:
    Path("full.yaml").write_text(to_yaml(problem(device="raspberry_pi_4")))
    spec = load_problem("full.yaml", overrides={"device": "t4"})
    assert spec.device.model_dump() == load_device_tree("t4")


def test_a_table_for_this_machine_brings_the_profile_beside_it() -> None:
    profile("mine")
    device = problem(overrides={"device.table": "hw_profiles/mine.csv"}).device
    assert device.name == "here"
    assert (device.scale, device.fusion, device.threads) == (1.25, ("relu",), 2)
    assert device.machine is not None
    assert device.machine.cores == 4
    assert device.power is not None  # of here.yaml, on which the other says nothing


def test_how_far_predictions_can_be_relied_on_is_said_in_a_few_words() -> None:
    profile("mine")
    said = {
        name: device.reliability
        for name, device in problem("latency_ms@mine", "latency_ms@raspberry_pi_4", "latency_ms@t4").devices.items()
    }
    assert said == {
        "mine": "measured kernels, +-3 %",
        "raspberry_pi_4": "fitted, +-10 %",
        "t4": "spec-sheet, rank only",
    }
