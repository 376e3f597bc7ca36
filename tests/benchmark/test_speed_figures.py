"""Figures from rows whose answer is known, rows that survive, networks that are drawn."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
import pytest
from torch import nn

from moonas.benchmark.networks import random_networks
from moonas.benchmark.rows import Rows
from moonas.benchmark.speed import accuracies, accuracy_gain, rates, speed_up, timed_blocks
from moonas.benchmark.training_report import print_training
from moonas.encoding.catalogue import search_space
from moonas.encoding.encoding import Encoding, Gene
from moonas.errors import EncodingError, MoonasError
from moonas.network.architecture import Architecture, Task
from moonas.problem.objective import Constraint

TASK = Task((1, 8, 8), 10)


def turns(*seconds: tuple[str, int, float], networks: int = 2) -> pd.DataFrame:
    """Rows of turns: contender, block, seconds of the turn."""
    return pd.DataFrame(
        [
            {
                **{"encoding": "tiny", "pass": 0, "block": block, "contender": contender, "turn_seconds": taken},
                **{"key": f"net-{block}-{i}", "accuracy": 0.5 + 0.1 * (contender == "fast"), "error": ""},
            }
            for contender, block, taken in seconds
            for i in range(networks)
        ]
    )


def test_rates_are_of_whole_turns_and_not_of_networks() -> None:
    rows = turns(("slow", 0, 10.0), ("fast", 0, 2.0), ("slow", 1, 30.0), ("fast", 1, 2.0))
    table = rates(rows)
    assert table.loc["slow"].tolist() == [10.0, 360.0, 240.0, 720.0]
    assert table.loc["fast"].tolist() == [1.0, 3600.0, 3600.0, 3600.0]


def test_speed_up_is_of_all_seconds_between_its_best_and_worst_block() -> None:
    found = speed_up(turns(("slow", 0, 10.0), ("fast", 0, 2.0), ("slow", 1, 30.0), ("fast", 1, 2.0)), "slow", "fast")
    assert (found.value, found.low, found.high) == (10.0, 5.0, 15.0)


def test_blocks_cut_short_or_with_a_failure_are_not_timed() -> None:
    rows = turns(
        *(("slow", 0, 10.0), ("fast", 0, 2.0), ("slow", 1, 30.0), ("fast", 1, 0.1)),
        ("slow", 2, 10.0),  # interrupted before the other's turn
    )
    rows.loc[(rows["block"] == 1) & (rows["contender"] == "fast") & (rows["key"] == "net-1-0"), "accuracy"] = None
    assert set(timed_blocks(rows)["block"]) == {0}
    table = accuracies(rows)
    assert [key for _, key in table.index] == ["net-0-0", "net-0-1", "net-1-1"]
    assert accuracy_gain(table, "slow", "fast").value == pytest.approx(0.1)


def test_a_contender_that_fails_on_a_whole_encoding_spoils_no_other(capsys: pytest.CaptureFixture[str]) -> None:
    good = turns(("moonas", 0, 2.0), ("one_cycle", 0, 10.0))
    bad = good.assign(encoding="hard", key=good["key"] + "-hard")
    bad.loc[bad["contender"] == "moonas", ["accuracy", "error"]] = [None, "diverged"]
    print_training(pd.concat([good, bad]))
    output = capsys.readouterr().out
    assert "2 trainings failed; what is below leaves them out. The first: diverged" in output
    assert re.search(r"tiny +one_cycle +5\.00 +\+0\.0000", output)  # one block has no interval
    assert re.search(r"hard +one_cycle +- +-", output)


def test_rows_go_on_after_half_a_row(tmp_path: Path) -> None:
    rows = Rows(tmp_path / "new" / "rows.csv", ("name", "error"))
    rows.add({"name": "a", "error": ""}, {"name": "b", "error": 'says "no", twice'})
    with rows.path.open("a") as file:
        file.write("c,ha")
    again = Rows(rows.path, ("name", "error"))
    again.add({"name": "d", "error": ""})
    assert again.frame.to_dict("list") == {"name": ["a", "b", "d"], "error": ["", 'says "no", twice', ""]}


def test_rows_of_another_kind_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("key,accuracy\n")
    with pytest.raises(MoonasError, match="holds other columns"):
        Rows(path, ("name", "error"))
    assert path.read_text() == "key,accuracy\n"


def test_drawn_networks_differ_keep_limits_and_repeat() -> None:
    limit = Constraint("params", 5000, None)
    draw = [random_networks(search_space("tiny_cnn"), [TASK], 20, seed=3, constraints=[limit]) for _ in range(2)]
    assert draw[0] == draw[1]
    assert len({network.key for network in draw[0]}) == 20
    for network in draw[0]:
        module = network.architecture.build(TASK)
        assert network.params == sum(parameter.numel() for parameter in module.parameters()) <= 5000
    assert random_networks(search_space("tiny_cnn"), [TASK], 20, seed=4) != draw[0]


@dataclass(frozen=True)
class Sized(Architecture):
    """Classifies images of at least so many pixels a side."""

    side: int
    family: ClassVar[str] = "sized"

    def build(self, task: Task) -> nn.Module:
        if task.input_shape[1] < self.side:
            raise EncodingError("too small an input")
        return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(task.input_shape), task.classes))


class Sides(Encoding):
    """Networks for images of 1, 2, ... pixels a side."""

    genes = (Gene("side", tuple(range(1, 13))),)

    def decode(self, genotype: tuple[int, ...]) -> Sized:
        return Sized(genotype[0] + 1)

    def encode(self, architecture: Any) -> tuple[int, ...]:
        return (architecture.side - 1,)


def test_only_networks_that_serve_all_tasks_are_drawn() -> None:
    small = Task((1, 6, 6), 10)
    networks = random_networks(Sides(), [TASK, small], 6, seed=0)
    assert sorted(network.architecture.side for network in networks) == [1, 2, 3, 4, 5, 6]
    assert {network.params for network in networks} == {64 * 10 + 10}  # counted for the first
    complaint = "--networks 7: only 6 networks were found that take inputs of 1x8x8 and 1x6x6 and keep the limits"
    with pytest.raises(MoonasError, match=complaint):
        random_networks(Sides(), [TASK, small], 7, seed=0)
