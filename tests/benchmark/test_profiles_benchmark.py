"""The fitting program: the shipped profiles are what it writes, and it keeps its word on errors."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

from moonas import content
from moonas.benchmark.__main__ import app
from moonas.benchmark.devices import DEVICES, Device
from moonas.benchmark.profiles import left_out
from moonas.benchmark.published import Setting, read_settings, read_works, setting_of
from moonas.errors import MoonasError
from moonas.hardware.fit import FLOPS_ONLY

DATA = Path(__file__).parents[3] / "shared" / "data"
TIMINGS, NETWORKS = DATA / "ncnn_timings.csv", DATA / "ncnn_networks.csv"
published = pytest.mark.skipif(not TIMINGS.exists(), reason="ncnn's timings are development data, and not here")
PI = Device("Pi", "A Pi")


def setting(threads: int, factor: float, *, powersave: int = 0, device: str = "Pi") -> Setting:
    return Setting(device, threads, powersave, {"a": factor, "b": 10 * factor})


@published
def test_the_shipped_profiles_are_what_the_program_writes(tmp_path: Path) -> None:
    ran = CliRunner().invoke(app, ["profiles", str(TIMINGS), str(NETWORKS), "--out", str(tmp_path)])
    assert ran.exit_code == 0, ran.output
    assert {path.stem for path in tmp_path.iterdir()} == DEVICES.keys()
    for name in DEVICES:
        written, shipped = [folder / f"{name}.yaml" for folder in (tmp_path, content.shipped_folder("hw_profiles"))]
        assert content.summary(written) == content.summary(shipped)
        one, other = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in (written, shipped)]
        assert one.pop("roofline") == pytest.approx(other.pop("roofline"), rel=1e-3)
        assert one == other


@published
def test_networks_left_out_are_predicted_better_than_by_their_flops() -> None:
    works = read_works(NETWORKS)
    settings = read_settings(TIMINGS, list(works))[::6]
    ours = pd.Series([left_out(each, works)["mape"] for each in settings])
    flops = pd.Series([left_out(each, works, FLOPS_ONLY)["mape"] for each in settings])
    assert ours.median() <= 0.26
    assert ours.median() < 0.6 * flops.median()
    assert (ours < flops).mean() > 0.9


def test_one_thread_is_taken_where_it_was_published() -> None:
    settings = [setting(4, 1.0), setting(1, 3.0), setting(1, 2.0, powersave=2), setting(1, 1.0, device="other")]
    assert setting_of(PI, settings) == settings[2]


def test_the_fastest_is_taken_where_one_thread_was_not_published() -> None:
    settings = [setting(4, 2.0), setting(8, 1.0), setting(8, 0.1, powersave=1)]
    assert setting_of(PI, settings) == settings[1]


def test_a_device_that_was_not_published_is_told() -> None:
    with pytest.raises(MoonasError, match="A Pi: there are no latencies of 'Pi'"):
        setting_of(PI, [setting(1, 1.0, device="other")])


def test_other_tables_are_refused_with_the_columns_that_they_lack(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("network,kernels\nnet,3\n")
    ran = CliRunner().invoke(app, ["profiles", str(tmp_path / "table.csv"), str(tmp_path / "table.csv")])
    assert ran.exit_code == 2
    assert "table.csv has no column params, macs_dense_conv" in ran.output
