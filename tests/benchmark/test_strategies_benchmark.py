"""NSGA-II against random search."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from moonas.benchmark.__main__ import app


def test_both_search_with_all_seeds_and_are_compared_in_one_box(here: Path) -> None:
    result = CliRunner().invoke(app, ["strategies", "mine.yaml", "--seeds", "2"])
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert [line.split()[:3] for line in lines[:4]] == [
        ["seed", seed, strategy] for seed in "01" for strategy in ("nsga2", "random")
    ]
    theirs = {line.split()[0]: [float(word) for word in line.split()[2:4]] for line in lines[4:6]}
    assert all(0 < share <= 1 for shares in theirs.values() for share in shares)
    gain = sum(a - b for a, b in zip(theirs["nsga2"], theirs["random"], strict=True)) / 2
    assert abs(float(lines[6].split(": ")[1].split()[0]) - gain) < 2e-4
    assert sorted(path.name for path in (here / "runs" / "strategies").iterdir()) == [
        "nsga2-0",
        "nsga2-1",
        "random-0",
        "random-1",
    ]


def test_a_mistake_is_one_sentence(here: Path) -> None:
    result = CliRunner().invoke(app, ["strategies", "nonsense"])
    assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1)
    assert "unknown problem 'nonsense'" in result.stderr
