"""The benchmark of memory: every process has its rows, and workers share what was handed over."""

from __future__ import annotations

import io

import pandas as pd
import pytest
from typer.testing import CliRunner

from moonas.benchmark.__main__ import app


@pytest.mark.skipif("sys.platform != 'linux'", reason="only Linux tells which memory is shared")
def test_workers_map_the_same_data() -> None:
    ran = CliRunner().invoke(app, ["memory", "--candidates", "20", "--workers", "2"])
    assert ran.exit_code == 0, ran.output
    frame = pd.read_csv(io.StringIO(ran.stdout.replace("worker ", "worker-")), sep=r"\s+")
    last = frame[frame["trained"] == 20].set_index("process")
    assert list(last.index) == ["search", "worker-1", "worker-2"]
    workers = last.loc[["worker-1", "worker-2"]]
    assert (workers["own_mb"] > 50).all()
    assert (workers["data_resident_mb"] > 0).all()
    assert (workers["data_proportional_mb"] < 0.8 * workers["data_resident_mb"]).all()
