"""Searches on devices that are not here: latencies predicted by profiles, the same ones whenever they are asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from predicted import OTHER, PI, profile, said

import moonas
from moonas.errors import RunFolderError, SpecError
from moonas.report import plot
from moonas.spec.load import load_problem
from moonas.study.assemble import assemble_latency_model
from moonas.study.environment import machine

Make = Callable[..., moonas.Study]
rendered = plot.save  # before fixtures leave pictures out

TWO = {**PI, "objectives": [*PI["objectives"], {"metric": "latency_ms@jetson_nano_cpu"}]}


def test_latencies_are_those_of_the_profile_and_the_same_in_every_run(tiny: Make) -> None:
    one, two = tiny("one", **PI), tiny("two", **PI)
    pd.testing.assert_frame_equal(one.run(), two.run().assign(seconds=one.front["seconds"]))
    assert set(one.trials["state"]) == {"complete"}
    model = assemble_latency_model(one.spec.device)
    for row in one.front.itertuples():
        module = one.architecture(row.key).build(one.task).eval()
        assert row.latency_ms == pytest.approx(model.predict(module, one.task.input_shape).latency_ms)


def test_what_only_timing_gives_is_no_column(tiny: Make) -> None:
    assert tiny(**PI).metrics == ("flops", "latency_ms", "params", "size_mb")
    assert tiny(**TWO).metrics == ("flops", "latency_ms", "latency_ms@jetson_nano_cpu", "params", "size_mb")


def test_two_devices_are_two_metrics_of_one_search(tiny: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plot, "save", rendered)
    limit = {"metric": "latency_ms@raspberry_pi_5", "at_most": 0.05}
    study = tiny(**TWO, constraints=[limit])
    front = study.run()
    trials = study.trials
    assert front["latency_ms@raspberry_pi_5"].max() <= 0.05
    assert set(trials["state"]) == {"complete", "infeasible"}
    broken = trials[trials["state"] == "infeasible"]
    assert broken["error"].str.startswith("breaks latency_ms@raspberry_pi_5 <= 0.05: ").all()
    written = pd.read_csv(study.out / "pareto.csv")
    assert written["latency_ms@jetson_nano_cpu"].tolist() == front["latency_ms@jetson_nano_cpu"].tolist()
    assert (study.out / "pareto.png").stat().st_size > 0


def test_predicted_latencies_say_so_and_how_well(tiny: Make) -> None:
    notes = tiny(**{**TWO, "device": "t4"}).metric_notes
    assert notes["latency_ms"] == "predicted by hw_profiles/t4 (spec-sheet, rank only), PyTorch on CUDA, batch 1"
    assert notes["latency_ms@jetson_nano_cpu"] == (
        "predicted by hw_profiles/jetson_nano_cpu (fitted, +-16 %), ncnn on CPU, 1 thread, batch 1"
    )


def test_energies_are_modelled_from_predicted_latencies(tiny: Make) -> None:
    source = {"url": "a data sheet", "date": "2026-11-29"}
    power = {"static_w": 2.0, "multiply_add_pj": 0.0, "byte_pj": 0.0, "source": source}
    changes = {"device": {"name": "raspberry_pi_4", "power": power}, "record": ["energy_mj"]}
    study = tiny(**{**PI, **changes})
    study.run()
    trials = study.trials
    assert trials["energy_mj"].tolist() == pytest.approx((2 * trials["latency_ms"]).tolist())


def test_the_problem_of_a_run_folder_runs_again_by_itself(tiny: Make, tmp_path: Path) -> None:
    path = profile(tmp_path / "hw_profiles")
    study = tiny(**{**PI, "objectives": [*PI["objectives"], {"metric": f"latency_ms@{path}"}]})
    front = study.run()
    path.unlink()
    again = moonas.load(load_tree(study.out / "problem.yaml"), out=tmp_path / "again")
    assert load_problem(study.out / "problem.yaml") == study.spec
    pd.testing.assert_frame_equal(again.run().drop(columns="seconds"), front.drop(columns="seconds"))
    assert len(moonas.load(study.out).run()) == len(front)


def load_tree(path: Path) -> Path:
    """A copy in a folder of its own, so that it is no run folder."""
    copy = path.parent.parent / "copied.yaml"
    copy.write_text(path.read_text())
    return copy


def test_a_run_goes_on_only_with_the_table_that_it_began_with(tiny: Make, tmp_path: Path) -> None:
    path = profile(tmp_path / "hw_profiles")
    tiny(**{**PI, "device": str(path)}).run()
    moved = profile(tmp_path / "elsewhere")
    tiny(**{**PI, "device": str(moved), "budget": {"trials": 13}}).run()
    profile(tmp_path / "hw_profiles", microseconds=20.0)
    with pytest.raises(RunFolderError, match="holds latencies of another table of kernels; give another folder"):
        tiny(**{**PI, "device": str(path), "budget": {"trials": 14}}).run()


def test_a_table_that_knows_few_kernels_is_warned_of_once(tiny: Make, tmp_path: Path) -> None:
    study = tiny(**{**PI, "device": str(profile(tmp_path / "hw_profiles"))})
    study.run()
    assert "coverage" in study.metrics
    assert study.trials["coverage"].between(0.001, 0.1).all()  # of the call
    (warning,) = [line for line in said(study) if line.startswith("Warning: hardly any kernels")]
    assert warning.endswith("moonas profile NAME --encoding tiny_cnn --input 1x8x8 --classes 10 --runtime torch")


def test_errors_of_fitted_profiles_are_not_taken_for_those_of_small_images(tiny: Make) -> None:
    study = tiny(**PI)
    study.run()
    assert "found for images of at least 128 pixels: for these, of 8x8, it is likely larger" in said(study)[0]


def test_a_table_of_another_machine_is_not_taken_for_this_one(tiny: Make, tmp_path: Path) -> None:
    table = profile(tmp_path / "hw_profiles", machine=OTHER).with_suffix(".csv")
    study = tiny(**{**PI, "device": {"name": "here", "table": str(table)}})
    with pytest.raises(SpecError) as caught:
        study.run()
    assert str(caught.value) == (
        f"device.table: {table} was not measured on this machine (cores: was 4096, is {machine('torch').cores}), which "
        "device: here is; measure one by `moonas profile NAME --encoding E`, or give its profile by name: it predicts "
        "for where it was measured"
    )
    assert not study.out.exists()


def test_a_table_that_does_not_say_where_it_was_measured_is_not_taken_for_this_machine(
    tiny: Make, tmp_path: Path
) -> None:
    path = profile(tmp_path / "hw_profiles")
    path.unlink()
    study = tiny(**{**PI, "device": {"name": "here", "table": str(path.with_suffix(".csv"))}})
    with pytest.raises(SpecError, match="its profile names no machine"):
        study.run()


def test_a_table_of_this_machine_predicts_for_it(tiny: Make, tmp_path: Path) -> None:
    table = profile(tmp_path / "hw_profiles").with_suffix(".csv")
    study = tiny(**{**PI, "device": {"name": "here", "table": str(table)}})
    assert len(study.run())
    assert study.metric_notes["latency_ms"].startswith(
        "predicted by hw_profiles/mine (measured kernels, +-3 %), PyTorch"
    )


def test_a_named_profile_predicts_for_where_it_was_measured(tiny: Make, tmp_path: Path) -> None:
    study = tiny(**{**PI, "device": str(profile(tmp_path / "hw_profiles", machine=OTHER))})
    assert "measured_latency_ms" not in study.run()
    assert said(study)[-1] == (
        "The latencies of the front were not measured: the table of mine was not measured on this machine "
        f"(cores: was 4096, is {machine('torch').cores})."
    )
