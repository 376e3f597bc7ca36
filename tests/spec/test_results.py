"""Results of another device are read whole, or refused in one sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from moonas.errors import SpecError
from moonas.spec.results import read_results

FIGURE = {
    "best_ms": 1.0,
    "median_ms": 1.5,
    "p10_ms": 1.1,
    "p90_ms": 2.0,
    "uncertainty": 0.1,
    "repeatability": 0.01,
    "calls": 18,
    "rounds": 6,
    "cpu_over_wall": 0.99,
}


def tree() -> Any:
    """Results of a bundle with one kernel and one network."""
    works = {"convolution": [0, 1, 100, 0, 0, 0, 400]}
    comparisons = [{"key": "convolution", "whole": 0, "less": 1}]
    groups = [
        {"kind": "call", "files": ["a"]},
        {"kind": "kernels", "files": ["b", "a"], "comparisons": comparisons},
        {"kind": "networks", "files": ["c"]},
    ]
    manifest = {
        "schema_version": 1,
        "profile": {"name": "board", "table": "board.csv"},
        "seed": 0,
        "rest": "r",
        "groups": groups,
        "works": works,
        "networks": [["convolution"]],
    }
    return {
        "schema_version": 1,
        "device": {"processor": "A72", "cores": 4, "runtime_version": "1.20.0", "system": "Linux aarch64"},
        "environment": {"date": "2026-11-29", "system": "Linux", "python": "3.11.2", "load": 1.0},
        "rounds": 6,
        "manifest": manifest,
        "groups": [{"figures": [dict(FIGURE) for _ in range(count)]} for count in (1, 2, 1)],
    }


def refusal(tmp_path: Path, text: str) -> str:
    path = tmp_path / "results.json"
    path.write_text(text)
    with pytest.raises(SpecError) as caught:
        read_results(path)
    message = str(caught.value)
    assert "\n" not in message
    return message.replace(f"{path}: ", "").replace(f"{path}, ", "")


def test_results_are_read(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text(json.dumps(tree()))
    found = read_results(path)
    assert found.device.processor == "A72"
    assert found.manifest.groups[1].comparisons[0].less == 1
    assert found.groups[2].figures[0].best_ms == 1.0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is damaged, or no JSON: "),
        (json.dumps(tree())[:-40], "is damaged, or no JSON: "),
        ("[" * 100_000, "is damaged, or no JSON: "),
        ("[]", "is no results file of measure.py, which has a schema_version"),
        ("{}", "is no results file of measure.py, which has a schema_version"),
        (
            '{"schema_version": 2}',
            "is of schema 2, and this moonas reads 1; make the bundle with this moonas, and measure again",
        ),
        ('{"schema_version": 1}', "device: is missing"),
    ],
)
def test_what_cannot_be_read_is_refused(tmp_path: Path, text: str, words: str) -> None:
    assert refusal(tmp_path, text).startswith(words)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"nowhere.json: cannot be read: No such file"):
        read_results(tmp_path / "nowhere.json")


def _without(*path: Any) -> Callable[[Any], None]:
    def change(found: Any) -> None:
        for part in path[:-1]:
            found = found[part]
        del found[path[-1]]

    return change


def _with(value: Any, *path: Any) -> Callable[[Any], None]:
    def change(found: Any) -> None:
        for part in path[:-1]:
            found = found[part]
        found[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_without("manifest"), "manifest: is missing"),
        (_without("manifest", "works"), "manifest.works: is missing"),
        (_without("groups", 1, "figures", 0, "best_ms"), "groups.1.figures.0.best_ms: is missing"),
        (_with(-1.0, "groups", 0, "figures", 0, "best_ms"), "groups.0.figures.0.best_ms: must be more than 0, is -1.0"),
        (_without("groups", 2), "groups: are 2 of 3; run measure.py again, which goes on"),
        (_without("groups", 1, "figures", 0), "groups.1.figures: must be 2, are 1"),
        (_without("manifest", "works", "convolution"), "manifest.works: lacks the kernel 'convolution'"),
        (_with(["sum"], "manifest", "networks", 0), "manifest.works: lacks the kernel 'sum'"),
        (_without("manifest", "networks", 0), "manifest.networks: must list the kernels of 1, are 0"),
        (_without("manifest", "groups", 0), "manifest.groups: must be a call, kernels and calls, and at last networks"),
        (_with([], "manifest", "groups"), "manifest.groups: must be a call, kernels and calls, and at last networks"),
        (_with(["a", "b"], "manifest", "groups", 0, "files"), "manifest.groups.0: must time one model, the call"),
        (
            _with(2, "manifest", "groups", 1, "comparisons", 0, "less"),
            "manifest.groups.1.comparisons.0: is of a model that is not among the 2 of its group",
        ),
        (
            _with("tpu", "manifest", "profile", "processor"),
            "manifest.profile.processor: must be one of cpu, cuda, is the text 'tpu'; did you mean 'cpu'?",
        ),
        (
            _with(3, "manifest", "groups", 1, "networks"),
            "manifest.groups.1.networks: must be at most the 2 files of its group, are 3",
        ),
        (_without("manifest", "groups", 2, "files", 0), "manifest.networks: must list the kernels of 0, are 1"),
        (_with(2000, "rounds"), "rounds: must be at most 1000, is 2000"),
        (
            _with(3.0, "groups", 0, "figures", 0, "cpu_over_wall"),
            "groups.0.figures.0.cpu_over_wall: must be at most 1, is 3.0",
        ),
        (_with("four", "device", "cores"), "device.cores: must be a whole number, is the text 'four'"),
    ],
)
def test_damaged_results_are_refused_with_the_place(tmp_path: Path, change: Callable[[Any], None], words: str) -> None:
    damaged = tree()
    change(damaged)
    assert refusal(tmp_path, json.dumps(damaged)) == words
