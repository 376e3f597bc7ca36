"""Results become a profile as a local measurement does, without the encoding."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from boards import planned

from moonas.errors import MoonasError
from moonas.hardware.latency import Latency
from moonas.hardware.table import COLUMNS, read_table
from moonas.profiling import measure
from moonas.remote.imported import import_results, kernel_times
from moonas.spec.device import DeviceSpec, load_device_tree
from moonas.spec.results import read_results
from moonas.study.assemble import assemble_latency_model


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_profile_has_the_machine_and_the_table_of_the_device(measured: Path, results: Any, tmp_path: Path) -> None:
    results["device"] = {"processor": "A72", "cores": 4, "runtime_version": "1.20.0", "system": "Linux aarch64"}
    (tmp_path / "results.json").write_text(json.dumps(results))
    found = import_results(tmp_path / "results.json", folder=tmp_path)
    written = DeviceSpec.model_validate(load_device_tree(str(tmp_path / "board.yaml")))
    assert written.model == "A72"
    assert written.machine is not None
    assert written.machine.system == "Linux aarch64"
    assert written.kind == "measured"
    assert not written.is_live
    assert written.table == str(tmp_path / "board.csv")
    assert written.validation == found.validation
    assert written.validation is not None
    assert written.validation.networks == 20
    assert written.environment is not None
    assert written.environment.model_dump(exclude_none=True, exclude={"cpu_over_wall"}) == results["environment"]
    shares = [each["cpu_over_wall"] for each in results["groups"][-1]["figures"]]
    assert written.environment.cpu_over_wall == pytest.approx(np.median(shares), abs=1e-4)


def test_kernels_are_differences_of_what_was_timed_together(measured: Path) -> None:
    read = read_results(measured)
    times = {time.key: time for time in kernel_times(read)}
    (group,), (found,) = (
        [pair[i] for pair in zip(read.manifest.groups, read.groups, strict=True)][1:2] for i in (0, 1)
    )
    assert len(times) == 1 + len(group.comparisons) + 5  # with networks that tell the pace
    for each in group.comparisons:
        whole, less = found.figures[each.whole], found.figures[each.less]
        assert times[each.key].microseconds == pytest.approx(1000 * (whole.best_ms - less.best_ms) / each.times)
        assert each.times == 4
    assert times["call"].microseconds == pytest.approx(1000 * read.groups[0].figures[0].best_ms)


def test_the_scale_is_of_five_networks_and_the_errors_are_of_the_others(measured: Path, tmp_path: Path) -> None:
    found = import_results(measured, folder=tmp_path)
    read, table = read_results(measured), read_table(tmp_path / "board.csv")
    sums = [sum(table.times[key].microseconds for key in ("call", *keys)) / 1000 for keys in read.manifest.networks]
    truth = [each.best_ms for each in read.groups[-1].figures]
    scale = float(np.median(np.divide(truth[:5], sums[:5])))
    assert found.scale == pytest.approx(scale, abs=1e-3)
    assert found.validation is not None
    errors = np.abs(scale * np.array(sums[5:]) / np.array(truth[5:]) - 1)
    assert found.validation.mape == pytest.approx(float(errors.mean()), abs=1e-3)


def test_a_model_of_latencies_predicts_from_an_imported_profile(measured: Path, tmp_path: Path) -> None:
    import_results(measured, name="other", folder=tmp_path)
    model = assemble_latency_model(DeviceSpec.model_validate(load_device_tree(str(tmp_path / "other.yaml"))))
    network = planned(tmp_path).proof()[0]
    found = model.predict(network, (1, 8, 8))
    truth = read_results(measured).groups[-1].figures[0].best_ms
    assert found.coverage == 1
    assert 0.1 * truth < found.latency_ms < 10 * truth


def test_an_imported_profile_is_built_like_a_local_one(
    measured: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bundle: Any
) -> None:
    from moonas.hardware import kernel_times as local_times
    from moonas.hardware import latency

    def at_once(inferences: Any, *_: Any, **__: Any) -> list[Latency]:
        return [Latency(100 - i / 10, 200.0, 150.0, 300.0, 0.1, 0.0, 18, 6, 1.0) for i in range(len(inferences))]

    monkeypatch.setattr(local_times, "measure", at_once)
    monkeypatch.setattr(latency, "measure", at_once)
    made = planned(tmp_path)
    here, there = measure(made), import_results(measured, folder=tmp_path / "there")
    of_here, of_there = rows(made.table_path), rows(tmp_path / "there" / "board.csv")
    assert tuple(of_there[0]) == tuple(of_here[0]) == COLUMNS
    kept = [column for column in COLUMNS if column not in ("microseconds", "uncertainty_us")]
    assert [[row[column] for column in kept] for row in of_there] == [[row[c] for c in kept] for row in of_here]
    differ = {"scale", "validation", "environment", "space"}
    assert there.model_dump(exclude=differ) == here.model_dump(exclude=differ)
    assert here.space is not None
    assert there.space is not None
    assert there.space.model_dump(exclude={"encoding"}) == here.space.model_dump(exclude={"encoding"})


def test_results_can_be_imported_again_and_not_over_another_profile(
    measured: Path, results: Any, tmp_path: Path
) -> None:
    first = import_results(measured, folder=tmp_path)
    table = (tmp_path / "board.csv").read_text()
    assert import_results(measured, folder=tmp_path) == first
    assert (tmp_path / "board.csv").read_text() == table
    results["device"]["cores"] += 1
    (tmp_path / "other.json").write_text(json.dumps(results))
    with pytest.raises(MoonasError, match=r"board.yaml is another profile \(machine.cores: was .*choose another name"):
        import_results(tmp_path / "other.json", folder=tmp_path)
    assert (tmp_path / "board.csv").read_text() == table
    assert import_results(tmp_path / "other.json", name="second", folder=tmp_path).name == "second"


def test_other_results_of_the_same_device_do_not_change_a_profile_that_proved(
    measured: Path, results: Any, tmp_path: Path
) -> None:
    import_results(measured, folder=tmp_path)
    before = [(tmp_path / name).read_bytes() for name in ("board.yaml", "board.csv")]
    results["groups"][0]["figures"][0]["best_ms"] *= 2
    (tmp_path / "again.json").write_text(json.dumps(results))
    with pytest.raises(MoonasError, match=r"board\.csv was measured another time; choose another name, or remove it"):
        import_results(tmp_path / "again.json", folder=tmp_path)
    assert [(tmp_path / name).read_bytes() for name in ("board.yaml", "board.csv")] == before
    assert not list(tmp_path.glob(".*.draft"))


def test_an_import_that_was_killed_between_its_files_is_made_again(measured: Path, tmp_path: Path) -> None:
    first = import_results(measured, folder=tmp_path)
    (tmp_path / "board.yaml").unlink()
    assert import_results(measured, folder=tmp_path) == first
    (tmp_path / "board.yaml").unlink()
    (tmp_path / "board.csv").write_text("mine")
    with pytest.raises(MoonasError, match=r"board\.csv is there without its profile; choose another name"):
        import_results(measured, folder=tmp_path)
    assert (tmp_path / "board.csv").read_text() == "mine"
