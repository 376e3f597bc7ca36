"""Searches for frugal networks: energy modelled or measured, labelled so, and never both in one run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import moonas
from moonas.errors import MeterError, MoonasError, NoMeterError, RunFolderError, SpecError
from moonas.registry import path_of
from moonas.report.remarks import remarks
from moonas.spec.metric import ENERGY_COLUMNS
from moonas.study.archive import Archive
from moonas.study.assemble_energy import metered
from moonas.study.retrospect import retrospect
from moonas.study.workshop import ENERGY

Make = Callable[..., moonas.Study]

DEVICE: dict[str, Any] = {"name": "here", "rounds": 2, "round_ms": 0.1, "runtime": "torch", "meter": "none"}
FRUGAL: dict[str, Any] = {
    "objectives": [{"metric": "params", "goal": "maximize"}, {"metric": "energy_mj"}, {"metric": "power_w"}],
    "search": {"population": 3},
    "budget": {"trials": 3},
}
MODEL = "modelled by multiply-adds, bytes and latency, rank only"
INCLUDED = "; what is drawn at rest is included"
NO_METER = "no meter can be used here (nvml: none)"


def watts() -> float:
    return 20.0


OWN = path_of(watts)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure for milliseconds, where users measure for seconds."""
    monkeypatch.setattr("moonas.hardware.energy._SHORTEST_WINDOW_S", 0.01)
    monkeypatch.setattr("moonas.hardware.energy._PAUSE_S", 0.0)
    monkeypatch.setattr("moonas.hardware.energy._WARM_UP_S", 0.0)
    monkeypatch.setattr("moonas.hardware.meter.finding._OWN_PERIOD_S", 1e-4)


@pytest.fixture
def without_a_meter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `auto` find nothing, wherever this runs."""

    def nothing(processor: str) -> str:
        raise NoMeterError(NO_METER)

    monkeypatch.setattr("moonas.study.assemble_energy.find_meter", nothing)


def frugal(tiny: Make, out: str = "run", trials: int = 3, **device: Any) -> moonas.Study:
    return tiny(out, **{**FRUGAL, "budget": {"trials": trials}, "device": {**DEVICE, **device}})


def complete(study: moonas.Study) -> pd.DataFrame:
    trials = study.trials
    assert set(trials["state"]) == {"complete"}, trials["error"].tolist()
    return trials


def test_modelled_energies_are_those_of_the_model_with_the_latency_of_the_same_trial(tiny: Make) -> None:
    from moonas.hardware.energy_model import EnergyModel
    from moonas.hardware.trace import trace

    study = frugal(tiny, power={"static_w": 3.0, "multiply_add_pj": 5.0, "byte_pj": 100.0, "source": SOURCE})
    study.run()
    for row in complete(study).itertuples():
        module = study.architecture(row.key).build(study.task).eval()
        operations = trace(module, study.task.input_shape)
        expected = EnergyModel(5.0, 100.0, 3.0).estimate(operations, row.latency_ms)
        assert row.energy_mj == pytest.approx(expected.energy_mj)
        assert row.energy_above_idle_mj == pytest.approx(expected.above_idle_mj)
        assert row.power_w == pytest.approx(row.energy_mj / row.latency_ms)


SOURCE = {"url": "a data sheet", "date": "2026-11-29"}


@pytest.mark.usefixtures("without_a_meter")
def test_without_a_meter_the_shipped_profile_models_and_all_says_so(tiny: Make) -> None:
    study = frugal(tiny, meter="auto")
    assert study.metric_notes["power_w"] == f"measured where there is a meter, else modelled{INCLUDED}"
    study.run()
    assert complete(study)["energy_uncertainty"].isna().all()
    assert {name: study.metric_notes[name] for name in ENERGY_COLUMNS} == {
        "energy_mj": f"{MODEL}{INCLUDED}",
        "energy_above_idle_mj": f"{MODEL}; what is drawn at rest is subtracted",
        "power_w": f"{MODEL}{INCLUDED}",
        "energy_uncertainty": MODEL,
    }
    for name in ("trials.csv", "pareto.csv"):
        assert set(pd.read_csv(study.out / name)["energy_source"]) == {MODEL}
    assert retrospect(study, study.trials, study.front)[:1] == [
        "Warning: energy_mj and power_w are modelled, not measured: good for a ranking at best, not for joules or "
        "watts; measure with a meter on the device (device.meter)."
    ]


def test_a_meter_that_is_there_and_cannot_be_read_is_told(tiny: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    what = "no meter can be used as it is (rapl: energy_uj is for root to read)"

    def closed(processor: str) -> str:
        raise MeterError(what)

    monkeypatch.setattr("moonas.study.assemble_energy.find_meter", closed)
    study = frugal(tiny, meter="auto")
    study.run()
    said = retrospect(study, study.trials, study.front)
    assert [line for line in said if "modelled" in line] == [
        "Warning: energy_mj and power_w are modelled, not measured: good for a ranking at best, not for joules or "
        f"watts; {what}."
    ]


@pytest.mark.usefixtures("quick")
def test_a_meter_of_ones_own_measures(tiny: Make) -> None:
    study = frugal(tiny, meter=OWN)
    study.run()
    trials = complete(study)
    assert trials["power_w"].between(19, 21).all()  # whose samples are all 20 W
    assert trials["energy_uncertainty"].notna().all()
    measured = f"measured, external, {OWN}, windows of 0.01 s"
    assert study.metric_notes["energy_mj"] == f"{measured}{INCLUDED}"
    assert set(pd.read_csv(study.out / "pareto.csv")["energy_source"]) == {measured}
    assert remarks(study.trials, study.spec.score, objectives=study.objectives, notes=study.metric_notes) == []


@pytest.mark.usefixtures("quick")
def test_a_meter_that_is_found_is_used(tiny: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("moonas.study.assemble_energy.find_meter", lambda processor: OWN)
    study = frugal(tiny, meter="auto")
    study.run()
    assert study.metric_notes["power_w"].startswith(f"measured, external, {OWN}, windows of ")


@pytest.mark.usefixtures("quick")
def test_a_run_of_measured_energies_does_not_go_on_with_modelled_ones(
    tiny: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moonas.study.assemble_energy.find_meter", lambda processor: "rapl")
    study = frugal(tiny, meter="auto")
    with pytest.MonkeyPatch.context() as there:
        there.setattr("moonas.study.assemble_energy.open_meter", lambda *_: own_meter())
        study.run()
    with pytest.MonkeyPatch.context() as elsewhere:
        elsewhere.setattr("moonas.study.assemble_energy.open_meter", no_meter)
        with pytest.raises(RunFolderError) as caught:
            frugal(tiny, trials=6, meter="auto").run()
    assert str(caught.value) == (
        f"{study.out} holds energies that are measured, external, my clamp, windows of 0.01 s, and none of another "
        "kind may come to them; "
        "here device.meter is rapl: energy_uj is for root to read; go on where that can be had, or give another folder"
    )
    assert len(study.trials) == 3


def own_meter() -> Any:
    from moonas.hardware.meter.sampled import Sampled

    return Sampled(watts, scope="external", method="my clamp", period_s=1e-4)


def no_meter(*_: Any) -> Any:
    raise MeterError("energy_uj is for root to read")


def test_a_run_of_modelled_energies_goes_on_so_where_there_is_a_meter(
    tiny: Make, monkeypatch: pytest.MonkeyPatch, without_a_meter: None
) -> None:
    frugal(tiny, meter="auto").run()
    monkeypatch.setattr("moonas.study.assemble_energy.find_meter", lambda processor: OWN)
    study = frugal(tiny, trials=6, meter="auto")
    study.run()
    trials = complete(study)
    assert len(trials) == 6
    assert trials["energy_uncertainty"].isna().all()
    assert study.metric_notes["power_w"] == f"{MODEL}{INCLUDED}"


@pytest.mark.usefixtures("without_a_meter")
def test_without_meter_and_model_it_is_told_what_is_missing_before_anything_is_written(tiny: Make) -> None:
    study = frugal(tiny, meter="auto", power=None)
    with pytest.raises(SpecError) as caught:
        study.run()
    assert str(caught.value) == (
        f"device: power_w and energy_mj need a meter, or device.power to model them by: {NO_METER}"
    )
    assert not study.out.exists()


def test_a_meter_that_is_asked_for_and_not_there_is_no_model(tiny: Make) -> None:
    study = frugal(tiny, meter="nvml")  # which sees no CPU
    with pytest.raises(SpecError, match=r"device\.meter is nvml: sees the GPU alone, and device\.processor is cpu"):
        study.run()


def test_a_meter_of_ones_own_that_cannot_be_imported_is_told(tiny: Make) -> None:
    with pytest.raises(SpecError, match=r"device\.meter is no_such:watts: no module named 'no_such'"):
        frugal(tiny, meter="no_such:watts").run()


def test_a_time_limit_that_no_network_could_keep_is_refused(tiny: Make) -> None:
    changes = {**FRUGAL, "workers": 1, "budget": {"trials": 3, "trial_seconds": 10}, "device": {**DEVICE, "meter": OWN}}
    with pytest.raises(SpecError) as caught:
        tiny(**changes).run()
    assert str(caught.value) == (
        f"budget.trial_seconds: is 10, and measuring the energy of one network takes 26 s with {OWN}; give at least 51"
    )


def test_a_model_knows_no_uncertainty_to_search_by(tiny: Make) -> None:
    changes = {**FRUGAL, "objectives": [{"metric": "energy_uncertainty"}], "device": DEVICE}
    with pytest.raises(SpecError, match="energy_uncertainty is of measured energies, and these are modelled"):
        tiny(**changes).run()


def test_a_search_that_wants_no_energy_looks_for_no_meter(tiny: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("moonas.study.assemble_energy.find_meter", lambda processor: pytest.fail("looked"))
    study = tiny()
    study.run()
    assert metered(study.spec) is study.spec
    archive = Archive(study.out / "trials.sqlite", study.encoding, writable=False)
    assert archive.fact(ENERGY) is None
    archive.close()


@pytest.mark.usefixtures("without_a_meter")
def test_the_command_warns_once_of_modelled_energies(here: Path) -> None:
    from typer.testing import CliRunner

    from moonas.cli import app

    problem = (here / "mine.yaml").read_text()
    (here / "mine.yaml").write_text(problem.replace("goal: maximize}]", "goal: maximize}, {metric: energy_mj}]"))
    told = CliRunner().invoke(app, ["run", "mine.yaml", "--trials", "3", "--set", "device.runtime=torch"])
    assert told.exit_code == 0, told.output
    assert told.stdout.count("Warning: energy_mj is modelled, not measured") == 1


def test_a_run_of_other_things_does_not_mind_what_its_profile_says_of_energy(tiny: Make) -> None:
    tiny(device={**DEVICE, "power": {"static_w": 3.0, "multiply_add_pj": 5.0, "byte_pj": 1.0, "source": SOURCE}}).run()
    assert len(tiny(device=DEVICE).run())
    tiny("frugal", **{**FRUGAL, "device": DEVICE}).run()
    with pytest.raises(RunFolderError, match=r"device\.power\.static_w: was 0(\.0)?, is 3"):
        frugal(tiny, "frugal", power={"static_w": 3.0, "multiply_add_pj": 4.6, "byte_pj": 160, "source": SOURCE}).run()


def test_energies_that_a_table_has_are_looked_up(tiny: Make, tmp_path: Path) -> None:
    with tiny("keys") as known:
        keys = [trial.key for trial in known.evaluate([(0,) * 7])]
    table = tmp_path / "table.csv"
    table.write_text("key,joules\n" + "".join(f"{key},0.25\n" for key in keys))
    metrics = {"energy_mj": {"column": "joules", "scale": 1000}}
    study = tiny(
        objectives=[{"metric": "energy_mj"}, {"metric": "params"}], table={"path": str(table), "metrics": metrics}
    )
    assert "power_w" not in study.metrics
    assert study.metric_notes["energy_mj"] == "from table.csv"
    (trial,) = study.evaluate([(0,) * 7])
    assert trial.metrics["energy_mj"] == 250
    study.close()


def with_tabled_latency(tiny: Make, tmp_path: Path, meter: str) -> moonas.Study:
    with tiny("keys") as known:
        keys = [trial.key for trial in known.evaluate([(0,) * 7])]
    (tmp_path / "table.csv").write_text("key,ms\n" + "".join(f"{key},0.5\n" for key in keys))
    table = {"path": str(tmp_path / "table.csv"), "metrics": {"latency_ms": "ms"}}
    return tiny(**{**FRUGAL, "table": table, "device": {**DEVICE, "meter": meter}})


def test_a_latency_that_is_looked_up_is_what_energy_is_modelled_from(tiny: Make, tmp_path: Path) -> None:
    with with_tabled_latency(tiny, tmp_path, "none") as study:
        (trial,) = study.evaluate([(0,) * 7])
    assert trial.metrics["latency_ms"] == 0.5
    assert trial.metrics["power_w"] == pytest.approx(trial.metrics["energy_mj"] / 0.5)


@pytest.mark.usefixtures("quick")
def test_networks_are_tried_alone_before_they_are_metered(tiny: Make, tmp_path: Path) -> None:
    from moonas.evaluation.latency import DryRunEvaluator
    from moonas.study.assemble_evaluation import assemble_evaluators

    looked_up = metered(with_tabled_latency(tiny, tmp_path, OWN).spec)
    timed = metered(frugal(tiny, meter=OWN).spec)
    for spec in (looked_up, timed):
        names = [type(evaluator).__name__ for evaluator in assemble_evaluators(spec, None)]
        assert names.count(DryRunEvaluator.__name__) == 1
        assert names.index(DryRunEvaluator.__name__) < names.index("MeteredEnergyEvaluator") == len(names) - 1


@pytest.mark.usefixtures("quick")
def test_measured_and_modelled_spaces_do_not_compare(tiny: Make) -> None:
    from moonas.design_space import compare

    drawn = {**FRUGAL, "objectives": [{"metric": "energy_mj"}], "search": {"strategy": "random", "population": 3}}
    device = {**DEVICE, "meter": "auto"}
    studies = []
    for out, found in (("one", OWN), ("two", "none")):
        with pytest.MonkeyPatch.context() as there:
            there.setattr("moonas.study.assemble_energy.find_meter", lambda processor, found=found: found)
            studies.append(tiny(out, **drawn, device=device))
            studies[-1].run()
    with pytest.raises(MoonasError, match=r"its energy_mj is modelled by .*, and not measured, external"):
        compare(*studies)
