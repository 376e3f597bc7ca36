"""A loaded problem, written in full and loaded again, is the same problem: a run folder rests on that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from moonas import content
from moonas.spec.data import SCORES
from moonas.spec.load import load_problem, to_yaml
from moonas.spec.metric import METRICS
from moonas.spec.problem import ProblemSpec

SHIPPED = sorted(path.stem for path in content.shipped_folder("problems").glob("*.yaml"))
CONTENT = {"encoding": "tiny_cnn", "data": "digits", "objectives": [{"metric": "accuracy"}, {"metric": "params"}]}


def again(spec: ProblemSpec, folder: Path) -> ProblemSpec:
    """Write the problem into a folder, and load that."""
    path = folder / "problem.yaml"
    path.write_text(to_yaml(spec), encoding="utf-8")
    return load_problem(path)


def shipped(name: str) -> ProblemSpec:
    needs_path = "path: " in (content.shipped_folder("problems") / f"{name}.yaml").read_text()
    tabled = name == "nas_bench_201"
    overrides = {"table.path": "table.csv"} if tabled else {"data.path": "data.npz"} if needs_path else None
    return load_problem(name, overrides=overrides)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_problem_survives_writing(name: str, tmp_path: Path) -> None:
    spec = shipped(name)
    second = again(spec, tmp_path)
    assert second == spec
    assert to_yaml(second) == to_yaml(spec)


@pytest.mark.parametrize("name", SHIPPED)
def test_what_is_written_needs_no_other_file(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = shipped(name)
    monkeypatch.setattr(content, "_package", tmp_path / "nothing" / "moonas")
    monkeypatch.chdir(tmp_path)
    assert again(spec, tmp_path) == spec


def test_a_problem_without_training_survives_writing(tmp_path: Path) -> None:
    spec = load_problem(
        {
            "encoding": "tiny_cnn",
            "task": {"input_shape": [3, 32, 32], "classes": 100},
            "objectives": [{"metric": "my.module:joules", "goal": "minimize", "cost": "cheap", "at_least": 0.1}],
            "constraints": [{"metric": "params", "at_most": 9}],
            "record": [],
            "budget": {"hours": 0.5, "trial_memory_gb": 2},
            "workers": 0,
        }
    )
    assert again(spec, tmp_path) == spec


def test_an_encoding_of_ones_own_survives_writing(tmp_path: Path) -> None:
    spec = load_problem(
        CONTENT | {"encoding": {"name": "my.module:Space", "options": {"width": [8, 16], "deep": None}}}
    )
    assert again(spec, tmp_path) == spec


def test_defaults_are_written_out(tmp_path: Path) -> None:
    tree = yaml.safe_load(to_yaml(load_problem(CONTENT)))
    assert tree["search"]["strategy"] == "nsga2"
    assert tree["device"]["runtime"] == "onnxruntime"
    assert tree["encoding"]["stages"][1]["block"] == ["residual", "inverted_residual"]
    assert tree["data"]["split"] == {"train": 0.6, "val": 0.2, "test": 0.2}


def test_the_path_of_the_data_survives_a_change_of_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    spec = load_problem(CONTENT | {"data": {"name": "npz", "path": "images.npz"}})
    (tmp_path / "elsewhere").mkdir()
    second = again(spec, tmp_path / "elsewhere")
    assert second.data is not None
    assert second.data.path == str(tmp_path / "images.npz")


@pytest.mark.parametrize(
    "text",
    [
        # These look like something else to YAML 1.1; they must come back as the text they are.
        *(
            "on",
            "yes",
            "null",
            "~",
            "2e6",
            "1:30",
            "010",
            "0x10",
            "2001-01-02",
            "1_000",
            ".nan",
            "=",
            "<<",
            "!x",
            "&a",
            "*a",
        ),
        *("", " a ", "a\nb", "a: b", "a #b", "'a'", '"a"', "größer", "x" * 500, "- a", "[a", "{a", "@a", "%a", "\t"),
    ],
)
def test_text_among_options_stays_text(text: str, tmp_path: Path) -> None:
    spec = load_problem(CONTENT | {"search": {"options": {"text": text, "list": [text]}}})
    assert again(spec, tmp_path).search.options == {"text": text, "list": [text]}


@pytest.mark.parametrize("key", ["a b", "on", "1", "a.b", "null", "größer", "<<", "=", "a: b"])
def test_a_name_of_an_option_stays_the_name(key: str, tmp_path: Path) -> None:
    spec = load_problem(CONTENT | {"search": {"options": {key: 1}}})
    assert again(spec, tmp_path).search.options == {key: 1}


@pytest.mark.parametrize("number", [float("inf"), float("-inf"), 1e22, 1e-7, 10**30, -0.0, True, None])
def test_a_value_among_options_stays_that_value(number: Any, tmp_path: Path) -> None:
    spec = load_problem(CONTENT | {"search": {"options": {"a": number}}})
    found = again(spec, tmp_path).search.options["a"]
    assert found == number
    assert type(found) is type(number)


_LIVE = {*METRICS} - {"coverage", "latency_wall_ms"}  # which are of devices that predict, and of GPUs
_OF_CLASSES = sorted({*_LIVE, "latency_ms@t4"} - {*SCORES.values()} | {SCORES["class"]})
numbers = st.floats(allow_nan=False, allow_infinity=False)
limits = st.fixed_dictionaries(
    {"metric": st.sampled_from(_OF_CLASSES)}, optional={"at_most": numbers, "reference": numbers}
)
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | numbers | st.text(st.characters(min_codepoint=32, max_codepoint=126)),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.from_regex(r"[a-z_]{1,9}", fullmatch=True), inner, max_size=3)
    ),
    max_leaves=6,
)
problems = st.fixed_dictionaries(
    {
        "encoding": st.sampled_from(["tiny_cnn", "small_cnn"]),
        "data": st.just("digits"),
        "objectives": st.lists(limits, min_size=1, max_size=4, unique_by=lambda use: use["metric"]),
    },
    optional={
        "name": st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,20}", fullmatch=True),
        "seed": st.integers(0, 2**40),
        "workers": st.just("auto") | st.integers(0, 64),
        "record": st.lists(st.sampled_from(_OF_CLASSES), unique=True),
        "fidelity": st.fixed_dictionaries(
            {}, optional={"epochs": st.integers(1, 99), "samples": st.integers(1, 10**6)}
        ),
        "budget": st.fixed_dictionaries({}, optional={"trials": st.integers(1, 10**6), "hours": st.floats(1e-6, 1e6)}),
        "search": st.fixed_dictionaries({}, optional={"options": st.dictionaries(st.just("a"), plain)}),
        "training": st.fixed_dictionaries({}, optional={"learning_rate": st.floats(1e-9, 100), "flip": st.booleans()}),
    },
)


@given(problem=problems)
@settings(deadline=None, max_examples=60, database=None)
def test_any_problem_survives_writing(problem: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> None:
    spec = load_problem(problem)
    second = again(spec, tmp_path_factory.mktemp("again"))
    assert second == spec
    assert to_yaml(second) == to_yaml(spec)
