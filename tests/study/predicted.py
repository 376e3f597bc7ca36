"""A search whose latencies are predicted, and a profile that was measured on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

import moonas
from moonas.hardware.table import COLUMNS
from moonas.study.environment import machine
from moonas.study.retrospect import retrospect

PI: dict[str, Any] = {
    "device": "raspberry_pi_4",
    "objectives": [{"metric": "flops", "goal": "maximize"}, {"metric": "latency_ms"}],
    "budget": {"trials": 12},
}
OTHER = {**machine("torch").model_dump(), "cores": 4096}


def said(study: moonas.Study) -> list[str]:
    return retrospect(study, study.trials, study.front)


def profile(folder: Path, *, microseconds: float = 10.0, **changes: Any) -> Path:
    """A profile measured on this machine, whose table knows a call, and six kernels of no network."""
    folder.mkdir(exist_ok=True)
    path = folder / "mine.yaml"
    tree = {
        "kind": "measured",
        "runtime": "torch",
        "rounds": 2,
        "round_ms": 0.1,
        "table": "mine.csv",
        "machine": machine("torch").model_dump(),
        "validation": {"networks": 20, "of": "networks", "mape": 0.034},
    }
    path.write_text(yaml.safe_dump(tree | changes))
    call = ["call", microseconds, 0, 1, 0, 0, 0, 0, 0, 0]
    rows = [[f"made up {i}", 100 + i, 0, 0, 1, 1000 * i, 0, 0, 0, 4000] for i in range(6)]
    path.with_suffix(".csv").write_text("".join(f"{','.join(map(str, line))}\n" for line in (COLUMNS, call, *rows)))
    return path
