"""Values laid over a problem: `--set KEY.PATH=VALUE` on the command line, `overrides` from Python."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from moonas.errors import SpecError
from moonas.registry import STRATEGIES
from moonas.spec.load import load_problem
from moonas.spec.problem import ProblemSpec

PROBLEM = """\
name: small
encoding: tiny_cnn
data: {name: digits}
device: here
objectives:
  - {metric: accuracy, reference: 0.1}
  - {metric: params, at_most: 9000}
search: {population: 8, strategy: random}
budget: {hours: 1}
constraints: []
"""
FIELDS = ", ".join(sorted(ProblemSpec.model_fields))


@pytest.fixture
def problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = Path("problem.yaml")
    path.write_text(PROBLEM)
    return path


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("seed", 7),
        ("search.population", 16),
        ("data.split", {"train": 0.8, "val": 0.1, "test": 0.1}),
        ("fidelity.epochs", 3),  # the file says nothing of fidelity
        ("search.options.pressure", {"high": 2}),
        ("objectives.0.reference", 0.5),
        ("objectives.1.at_most", 5000.0),
        ("device.runtime", "torch"),  # the file has only a name there
        ("device.threads", 2),
        ("workers", 0),
    ],
)
def test_a_value_lands_where_its_path_leads(problem: Path, key: str, value: Any) -> None:
    found: Any = load_problem(problem, overrides={key: value}).model_dump(mode="json")
    for step in key.split("."):
        found = found[int(step)] if isinstance(found, list) else found[step]
    assert found == value


def test_the_rest_stays_as_the_file_says(problem: Path) -> None:
    plain, changed = load_problem(problem), load_problem(problem, overrides={"objectives.0.reference": 0.5})
    assert changed.objectives[1] == plain.objectives[1]
    assert changed.objectives[0].metric == "accuracy"
    assert changed.model_copy(update={"objectives": plain.objectives}) == plain


def test_a_field_beside_a_bare_name_keeps_what_the_name_stands_for(problem: Path) -> None:
    Path("bench.yaml").write_text("threads: 3\nrounds: 5\n")
    problem.write_text(PROBLEM.replace("here", "bench.yaml"))
    device = load_problem(problem, overrides={"device.rounds": 9}).device
    assert (device.name, device.threads, device.rounds) == ("bench", 3, 9)


def test_a_whole_mapping_is_replaced_not_merged(problem: Path) -> None:
    search = load_problem(problem, overrides={"search": {"population": 16}}).search
    assert (search.population, search.strategy) == (16, "nsga2")  # random went with the mapping


def test_a_whole_list_is_replaced(problem: Path) -> None:
    spec = load_problem(problem, overrides={"objectives": [{"metric": "size_mb"}]})
    assert [use.metric for use in spec.objectives] == ["size_mb"]


def test_an_objective_is_replaced_as_a_whole(problem: Path) -> None:
    use = load_problem(problem, overrides={"objectives.1": {"metric": "flops"}}).objectives[1]
    assert (use.metric, use.at_most) == ("flops", None)


def test_another_encoding_and_device_are_chosen_by_name(problem: Path) -> None:
    Path("bench.yaml").write_text("threads: 3\n")
    spec = load_problem(problem, overrides={"encoding": "small_cnn", "device": "bench.yaml"})
    assert (spec.encoding.name, spec.device.name, spec.device.threads) == ("small_cnn", "bench", 3)


def test_what_is_optional_can_be_taken_away(problem: Path) -> None:
    spec = load_problem(problem, overrides={"budget.hours": None, "objectives.0.reference": None})
    assert spec.budget.hours is None
    assert spec.objectives[0].reference is None


def test_data_can_give_way_to_a_task(problem: Path) -> None:
    task = {"input_shape": [1, 8, 8], "classes": 10}
    spec = load_problem(problem, overrides={"data": None, "task": task, "objectives": [{"metric": "params"}]})
    assert spec.data is None
    assert spec.task is not None
    assert spec.task.input_shape == (1, 8, 8)


def test_later_overrides_are_laid_over_earlier_ones(problem: Path) -> None:
    whole, part = ("search", {"population": 4}), ("search.population", 16)
    assert load_problem(problem, overrides=dict([whole, part])).search.population == 16
    assert load_problem(problem, overrides=dict([part, whole])).search.population == 4


def test_what_the_caller_hands_over_stays_as_it_was(problem: Path) -> None:
    overrides = {"search": {"options": {"a": [1]}}, "search.population": 16, "search.options.a.0": 2}
    content = {
        "encoding": "tiny_cnn",
        "data": {"name": "digits"},
        "objectives": [{"metric": "params"}],
        "device": "here",
    }
    before = copy.deepcopy((overrides, content))
    load_problem(problem, overrides=overrides)
    load_problem(content, overrides=overrides | {"device.threads": 2, "objectives.0.reference": 1.0, "data.seed": 1})
    assert (overrides, content) == before


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        # A wrong value is placed at its key, not at the line of the file that it replaced.
        ({"seed": "x"}, "{file}, --set seed, seed: must be a whole number, is the text 'x'"),
        ({"seed": None}, "{file}, --set seed, seed: must be a whole number, is empty"),
        ({"search.population": 0}, "{file}, --set search.population, search.population: must be at least 2, is 0"),
        ({"search": {"population": 0}}, "{file}, --set search, search.population: must be at least 2, is 0"),
        (
            {"objectives.0.reference": "2e6"},
            "{file}, --set objectives.0.reference, objectives.0.reference: must be a number, is the text '2e6'; "
            "YAML takes that for text, write 2000000",
        ),
        (
            {"objectives.0": "params"},
            "{file}, --set objectives.0, objectives.0: must be `key: value` pairs, is the text 'params'",
        ),
        ({"training": None}, "{file}, --set training, training: must be `key: value` pairs, is empty"),
        (
            {"device.runtime": "tourch"},
            "{file}, --set device.runtime, device.runtime: must be one of onnxruntime, torch, ncnn, is the text "
            "'tourch'; did you mean 'torch'?",
        ),
        (
            {"device.processor": "cuda"},
            "{file}, line 4, device.runtime: onnxruntime measures on cpu only; for cuda set runtime: torch",
        ),
        (
            {"encoding.stem": {"width": 4}},
            "{file}, --set encoding.stem, encoding.stem: cannot be set beside a named encoding; "
            "`moonas copy NAME` gives you a file of your own to edit",
        ),
        (
            {"constraints": [{"metric": "params"}]},
            "{file}, --set constraints, constraints.0: sets no limit; give at_most or at_least",
        ),
        (
            {"data.split.train": 0.7},
            "{file}, --set data.split.train, data.split: the shares must sum to one, they sum to 1.1",
        ),
        (
            {"data.name": "npz"},
            "{file}, line 3, data.path: is missing; say where the data lies, as in --set data.path=FILE",
        ),
        # A path that leads nowhere.
        (
            {"search.populaton": 8},
            "{file}, --set search.populaton, search.populaton: unknown key; "
            "choose from halving, options, population, screen, strategy; "
            "did you mean 'population'?",
        ),
        (
            {"serch.population": 8},
            f"{{file}}, --set serch.population, serch: unknown key; choose from {FIELDS}; did you mean 'search'?",
        ),
        ({"seed.x": 5}, "{file}, --set seed.x, seed: must be a whole number, is a mapping"),
        ({"name.x": 5}, "--set name.x: there is a plain value where 'x' would go"),
        ({"budget.hours.x": 5}, "--set budget.hours.x: there is a plain value where 'x' would go"),
        ({"objectives.0.metric.x": 5}, "--set objectives.0.metric.x: there is a plain value where 'x' would go"),
        ({"search.strategy.name.x": 5}, "--set search.strategy.name.x: there is a plain value where 'name' would go"),
        ({"record.0": "flops"}, "{file}, --set record.0, record: must be a list, is a mapping"),
        ({"objectives.2": {"metric": "flops"}}, "--set objectives.2: '2' must be a position from 0 to 1"),
        ({"objectives.-1.reference": 1}, "--set objectives.-1.reference: '-1' must be a position from 0 to 1"),
        (
            {"objectives.params.at_most": 1},
            "--set objectives.params.at_most: 'params' must be a position from 0 to 1",
        ),
        ({"objectives.².reference": 1}, "--set objectives.².reference: '²' must be a position from 0 to 1"),
        ({"constraints.0.at_most": 1}, "--set constraints.0.at_most: there is no '0', the list is empty"),
        # A path that is none.
        ({"": 5}, "--set : must be keys joined by dots, as in search.population"),
        ({".": 5}, "--set .: must be keys joined by dots, as in search.population"),
        ({"search.": 5}, "--set search.: must be keys joined by dots, as in search.population"),
        ({"search..population": 5}, "--set search..population: must be keys joined by dots, as in search.population"),
    ],
    ids=lambda part: next(iter(part), "nothing") if isinstance(part, dict) else "",
)
def test_a_wrong_override_is_explained_by_its_key(problem: Path, overrides: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        load_problem(problem, overrides=overrides)
    assert str(caught.value) == message.replace("{file}", str(problem))


def test_a_misspelled_device_is_placed_where_the_name_was_given(problem: Path) -> None:
    for overrides, where in [
        ({"device": "heer"}, "problem.yaml, --set device, device.name: unknown device profile 'heer'"),
        ({"device.name": "heer"}, "problem.yaml, --set device.name, device.name: unknown device profile 'heer'"),
    ]:
        with pytest.raises(SpecError) as caught:
            load_problem(problem, overrides=overrides)
        assert str(caught.value).startswith(where)
    problem.write_text(PROBLEM.replace("here", "heer"))
    with pytest.raises(SpecError, match=r"^problem\.yaml, line 4, device"):
        load_problem(problem, overrides={"device.threads": 2})


def test_two_wrong_overrides_are_two_lines(problem: Path) -> None:
    with pytest.raises(SpecError) as caught:
        load_problem(problem, overrides={"seed": -1, "search.strategy": "nsga"})
    names = ", ".join(STRATEGIES.names())
    own = "or give your own as package.module:name"
    assert sorted(str(caught.value).splitlines()) == [
        f"problem.yaml, --set search.strategy, search.strategy: unknown strategy 'nsga'; choose from {names}, {own}; "
        "did you mean 'nsga2'?",
        "problem.yaml, --set seed, seed: must be at least 0, is -1",
    ]


def test_overrides_from_python_are_called_overrides(problem: Path) -> None:
    with pytest.raises(SpecError) as caught:
        load_problem(problem, overrides={"seed": -1}, label="overrides")
    assert str(caught.value) == "problem.yaml, overrides seed, seed: must be at least 0, is -1"


def test_overrides_of_a_problem_from_python() -> None:
    content = {"encoding": "tiny_cnn", "data": "digits", "objectives": [{"metric": "params"}]}
    assert load_problem(content, overrides={"data.seed": 3, "search.population": 4}).search.population == 4
    with pytest.raises(SpecError) as caught:
        load_problem(content, overrides={"seed": -1})
    assert str(caught.value) == "<python>, --set seed, seed: must be at least 0, is -1"
