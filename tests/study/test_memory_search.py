"""Searches that look at peak memory: as an objective, a limit, a recorded metric, and in a check."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import moonas
from moonas.hardware.device import FUSION
from moonas.hardware.memory import peak_activation_bytes

Make = Callable[..., moonas.Study]

SMALL: dict[str, Any] = {
    "objectives": [{"metric": "params", "goal": "maximize"}, {"metric": "peak_memory_mb"}],
    "record": ["size_mb", "peak_activations_mb"],
    "budget": {"trials": 12},
}


def activations(study: moonas.Study, key: str, **device: Any) -> float:
    module = study.architecture(key).build(study.task).eval()
    return peak_activation_bytes(module, study.task.input_shape, **device) / 1e6


def test_a_search_by_peak_memory_finds_networks_that_hold_less(tiny: Make) -> None:
    study = tiny(**SMALL)
    front, trials = study.run(), study.trials
    assert set(trials["state"]) == {"complete"}
    assert trials["peak_memory_mb"].nunique() > 1
    assert front["peak_memory_mb"].min() == trials["peak_memory_mb"].min()
    assert trials["peak_memory_mb"].tolist() == pytest.approx(
        (trials["size_mb"] + trials["peak_activations_mb"]).tolist()
    )
    for row in front.itertuples():
        expected = activations(study, row.key, runtime="onnxruntime", fusion=FUSION["onnxruntime"])
        assert row.peak_activations_mb == pytest.approx(expected)
    written = pd.read_csv(study.out / "pareto.csv")
    assert written["peak_memory_mb"].tolist() == front["peak_memory_mb"].tolist()


def test_the_same_search_finds_the_same_peaks(tiny: Make) -> None:
    one, two = tiny("one", **SMALL).run(), tiny("two", **SMALL).run()
    assert one["peak_memory_mb"].tolist() == two["peak_memory_mb"].tolist()


def test_who_breaks_a_limit_on_memory_is_infeasible(tiny: Make) -> None:
    median = float(tiny("free", **SMALL).run()["peak_activations_mb"].median())
    limit = {"metric": "peak_activations_mb", "at_most": median}
    study = tiny("limited", **{**SMALL, "constraints": [limit]})
    study.run()
    assert set(study.trials["state"]) == {"complete", "infeasible"}
    is_complete = study.trials["state"] == "complete"
    assert (study.trials.loc[is_complete, "peak_activations_mb"] <= median).all()
    assert (study.trials.loc[~is_complete, "peak_activations_mb"] > median).all()


@pytest.mark.parametrize(
    ("device", "expected"),
    [
        ("raspberry_pi_4", {"runtime": "ncnn", "fusion": ("native_batch_norm", "relu", "hardtanh", "sigmoid")}),
        ("t4", {"runtime": "torch"}),
        ({"name": "here", "runtime": "torch", "batch": 3}, {"runtime": "torch", "batch": 3}),
    ],
    ids=["ncnn", "torch", "batch"],
)
def test_the_peak_is_that_of_the_devices_runtime_and_batch(
    tiny: Make, device: str | dict[str, Any], expected: dict[str, Any]
) -> None:
    study = tiny(**{**SMALL, "device": device, "budget": {"trials": 3}, "search": {"population": 3}})
    study.run()
    for row in study.trials.itertuples():
        assert row.peak_activations_mb == pytest.approx(activations(study, row.key, **expected))


def test_it_is_said_that_the_peak_is_computed(tiny: Make) -> None:
    notes = tiny(**{**SMALL, "device": "raspberry_pi_4"}).metric_notes
    assert notes["peak_memory_mb"] == "computed for ncnn on CPU, 1 thread, batch 1"


def test_a_peak_that_a_table_has_is_looked_up(tiny: Make, tmp_path: Path) -> None:
    keys = tiny("free", **SMALL).run()["key"]
    table = tmp_path / "peaks.csv"
    pd.DataFrame({"key": keys, "peak": 7.0}).to_csv(table, index=False)
    metrics = {"peak_memory_mb": "peak"}
    study = tiny("tabled", **SMALL, table={"path": str(table), "metrics": metrics})
    study.run()
    complete = study.trials[study.trials["state"] == "complete"]
    assert set(complete["peak_memory_mb"]) == {7.0}
    assert (complete["peak_activations_mb"] < 1).all()


def test_a_check_shows_peaks_and_the_share_that_keeps_a_limit(tmp_path: Path) -> None:
    problem = {
        "name": "check",
        "encoding": "tiny_cnn",
        "task": {"input_shape": [1, 8, 8], "classes": 10},
        "objectives": [{"metric": "params"}, {"metric": "peak_memory_mb", "at_most": 0.01}],
        "record": [],
        "workers": 0,
    }
    found = moonas.check(problem, samples=6)
    assert found.metrics["metric"].tolist() == ["params", "peak_memory_mb"]
    assert found.limits["limit"][0] == "peak_memory_mb <= 0.01"
    assert found.summary[-1] == "peak_memory_mb: computed for ONNX Runtime on CPU, 1 thread, batch 1."
