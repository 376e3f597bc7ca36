"""Loading problems: from shipped files, from files of one's own, and from Python with functions in place of paths."""

from __future__ import annotations

import datetime
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import moonas
from moonas import content
from moonas.encoding.encoding import Encoding
from moonas.errors import MoonasError, SpecError
from moonas.registry import DATA_SETS, import_path
from moonas.spec.family import FactorySpec
from moonas.spec.load import load_problem, objective, to_yaml

CONTENT: dict[str, Any] = {"encoding": "tiny_cnn", "data": "digits", "objectives": [{"metric": "accuracy"}]}
FILE = "encoding: tiny_cnn\ndata: {name: npz, path: %s}\nobjectives: [{metric: accuracy}]\n"
ENCODING = "family: staged_cnn\nstem: {width: 8}\nstages: [{block: plain, depth: 1, width: [8, 16]}]\n"


def joules(module: Any, context: Any) -> float:
    return 1.0


def images(**options: Any) -> str:
    return f"images with {options}"


class Space(Encoding):
    """Stands for an encoding of the user's own; nothing here calls it."""


def path_of_data(problem: Any, overrides: dict[str, Any] | None = None) -> str | None:
    data = load_problem(problem, overrides=overrides).data
    assert data is not None
    return data.path


# Shipped problems


def test_the_shipped_digits_say_what_their_file_says() -> None:
    spec = load_problem("digits")
    assert spec.name == "digits"
    assert spec.encoding.name == "small_cnn"
    assert [use.metric for use in spec.objectives] == ["accuracy", "latency_ms", "size_mb"]
    assert [use.reference for use in spec.objectives] == [0.8, None, 0.2]
    assert [(use.metric, use.at_most) for use in spec.constraints] == [("params", 50_000)]
    assert (spec.search.population, spec.budget.trials, spec.seed) == (24, 120, 0)


def test_the_shipped_power_problem_has_four_objectives_and_a_model_where_there_is_no_meter() -> None:
    spec = load_problem("digits_power")
    assert [use.metric for use in spec.objectives] == ["accuracy", "latency_ms", "size_mb", "power_w"]
    assert spec.device.meter == "auto"
    assert spec.device.power is not None
    assert spec.device.power.source.url


@pytest.mark.parametrize("kind", ["encodings", "hw_profiles"])
def test_every_shipped_encoding_and_device_loads_into_a_problem(kind: str) -> None:
    key = {"encodings": "encoding", "hw_profiles": "device"}[kind]
    paths = sorted(content.shipped_folder(kind).glob("*.yaml"))
    assert paths
    for path in paths:
        loaded = getattr(load_problem(CONTENT | {key: path.stem}), key)
        assert loaded.name == path.stem


def test_a_problem_may_be_given_by_its_path(tmp_path: Path) -> None:
    (tmp_path / "digits.yaml").write_text(
        "seed: 9\n" + (content.shipped_folder("problems") / "digits_tiny.yaml").read_text()
    )
    assert load_problem(tmp_path / "digits.yaml").seed == 9
    assert load_problem(str(tmp_path / "digits.yaml")).name == "digits"


# Files of one's own


def test_a_problem_without_a_name_is_called_like_its_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("encoding: tiny_cnn\ndata: digits\nobjectives: [{metric: accuracy}]\n")
    assert load_problem(path).name == "mine"
    path.write_text("name: other\nencoding: tiny_cnn\ndata: digits\nobjectives: [{metric: accuracy}]\n")
    assert load_problem(path).name == "other"


def test_an_encoding_can_be_written_into_the_problem(tmp_path: Path) -> None:
    named, inline = tmp_path / "own.yaml", tmp_path / "problem.yaml"
    named.write_text(ENCODING)
    indented = ENCODING.replace("\n", "\n  ")
    inline.write_text(f"encoding:\n  {indented}\ndata: digits\nobjectives: [{{metric: accuracy}}]\n")
    one, other = load_problem(inline).encoding, load_problem(CONTENT | {"encoding": str(named)}).encoding
    assert one.model_copy(update={"name": "own"}) == other


def test_a_list_is_a_gene_and_a_scalar_is_fixed(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(ENCODING)
    encoding = load_problem(CONTENT | {"encoding": str(path)}).encoding
    assert not isinstance(encoding, FactorySpec)
    tree = encoding.tree()
    assert tree["stem"] == {"width": 8, "kernel": 3, "stride": 1, "activation": "relu", "max_pool": False}
    written = {"block": "plain", "depth": 1, "width": (8, 16), "kernel": 3, "stride": 2, "expansion": 4}
    defaults = {"bottleneck_ratio": 0.25, "groups": 1, "squeeze_ratio": 0, "activation": "relu"}
    assert tree["stages"] == [written | defaults]
    assert tree["head"] == {"width": 0, "hidden": 0, "activation": "relu", "dropout": 0}


def test_a_path_to_data_is_relative_to_the_file_that_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "problem.yaml").write_text(FILE % "data/images.npz")
    for here, problem in [
        (tmp_path, "project/problem.yaml"),
        (folder, "problem.yaml"),
        (folder, folder / "problem.yaml"),
    ]:
        monkeypatch.chdir(here)
        assert path_of_data(problem) == str(folder / "data" / "images.npz")


@pytest.mark.parametrize("part", ["data", "table"])
def test_a_path_that_is_right_only_from_here_is_told_what_it_is_relative_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    folder = tmp_path / "problems"
    folder.mkdir()
    (tmp_path / "my.npz").touch()
    settings = {"data": "{name: npz, path: my.npz}", "table": "{path: my.npz, metrics: {accuracy: a}}"}
    (folder / "mine.yaml").write_text(f"encoding: tiny_cnn\n{part}: {settings[part]}\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SpecError) as refused:
        load_problem("problems/mine.yaml")
    assert str(refused.value) == (
        f"problems/mine.yaml, line 2, {part}.path: there is no problems/my.npz, but there is my.npz in the current "
        f"folder; paths in a file are relative to it; --set {part}.path=my.npz is relative to where you are"
    )
    (folder / "my.npz").touch()
    with pytest.raises(SpecError, match="objectives: is missing"):
        load_problem("problems/mine.yaml")


def test_a_path_to_data_from_the_command_line_is_relative_to_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, here = tmp_path / "project", tmp_path / "here"
    folder.mkdir()
    here.mkdir()
    (folder / "problem.yaml").write_text(FILE % "images.npz")
    monkeypatch.chdir(here)
    problem = folder / "problem.yaml"
    assert path_of_data(problem, {"data.path": "mine.npz"}) == str(here / "mine.npz")
    assert path_of_data(problem, {"data": {"name": "npz", "path": "mine.npz"}}) == str(here / "mine.npz")
    assert path_of_data(problem, {"data.seed": 3}) == str(folder / "images.npz")


def test_a_path_to_data_from_python_is_relative_to_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for path in ("images.npz", Path("images.npz"), tmp_path / "images.npz"):
        assert path_of_data(CONTENT | {"data": {"name": "npz", "path": path}}) == str(tmp_path / "images.npz")


def test_a_path_to_data_may_begin_in_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "problem.yaml").write_text(FILE % "~/images.npz")
    assert path_of_data(tmp_path / "problem.yaml") == str(tmp_path / "images.npz")


def test_an_absolute_path_to_data_stays(tmp_path: Path) -> None:
    (tmp_path / "problem.yaml").write_text(FILE % (tmp_path / "a" / "images.npz"))
    assert path_of_data(tmp_path / "problem.yaml") == str(tmp_path / "a" / "images.npz")


@pytest.mark.parametrize(("key", "file"), [("encoding", ENCODING), ("device", "threads: 2\n")])
def test_a_path_to_another_file_is_relative_to_the_file_that_says_so(
    key: str, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "own.yaml").write_text(file)
    lines = {"encoding": "tiny_cnn", "data": "digits", "objectives": "[{metric: accuracy}]", key: "./own.yaml"}
    (folder / "problem.yaml").write_text("".join(f"{key}: {value}\n" for key, value in lines.items()))
    monkeypatch.chdir(tmp_path)  # as for data.path, where moonas is started must not matter
    assert getattr(load_problem("project/problem.yaml"), key).name == "own"


# Problems from Python


def test_a_problem_from_python_has_a_name() -> None:
    assert load_problem(CONTENT).name == "search"
    assert load_problem(CONTENT | {"name": "mine"}).name == "mine"


def test_mistakes_in_a_problem_from_python_have_no_line() -> None:
    with pytest.raises(SpecError) as caught:
        load_problem(CONTENT | {"seed": -1})
    assert str(caught.value) == "<python>, seed: must be at least 0, is -1"


def test_an_objective_from_python_carries_all_it_was_given() -> None:
    entry = moonas.objective(joules, goal="minimize", at_most=9, at_least=1, reference=5, cost="dear")
    use = load_problem(CONTENT | {"objectives": [entry]}).objectives[0]
    assert (use.column, use.direction, use.cost) == ("joules", "minimize", "dear")
    assert (use.at_most, use.at_least, use.reference) == (9, 1, 5)
    assert import_path(use.metric) is joules


def test_a_constraint_from_python_needs_no_objective() -> None:
    use = load_problem(CONTENT | {"constraints": [objective(joules, at_most=9)]}).constraints[0]
    assert (use.column, use.at_most) == ("joules", 9)


def test_an_objective_from_python_needs_a_goal() -> None:
    with pytest.raises(SpecError, match=r"objectives\.0\.goal: is missing; say maximize or minimize"):
        load_problem(CONTENT | {"objectives": [objective(joules)]})


def test_a_function_may_stand_for_the_path_of_a_metric() -> None:
    use = load_problem(CONTENT | {"objectives": [{"metric": joules, "goal": "minimize"}]}).objectives[0]
    assert import_path(use.metric) is joules
    assert use.column == "joules"


def test_a_function_may_stand_for_the_name_of_the_data() -> None:
    for data in (images, {"name": images}, {"name": images, "options": {"size": 8}}):
        spec = load_problem(CONTENT | {"data": data}).data
        assert spec is not None
        assert DATA_SETS.load(spec.name) is images


def test_a_class_may_stand_for_the_name_of_an_encoding() -> None:
    bare = load_problem(CONTENT | {"encoding": Space}).encoding
    full = load_problem(CONTENT | {"encoding": {"name": Space, "options": {"width": 8}}}).encoding
    assert isinstance(bare, FactorySpec)
    assert isinstance(full, FactorySpec)
    assert import_path(bare.name) is import_path(full.name) is Space
    assert (bare.options, full.options) == ({}, {"width": 8})


def test_a_closure_is_found_again_though_nothing_could_import_it() -> None:
    def hidden(module: Any, context: Any) -> float:
        return 2.0

    use = load_problem(CONTENT | {"objectives": [objective(hidden, goal="minimize")]}).objectives[0]
    assert import_path(use.metric) is hidden


def test_closures_of_one_name_stay_apart() -> None:
    """Each problem calls the function that was put in it, also when another of its name was made later."""

    def made(value: float) -> Any:
        def joules(module: Any, context: Any) -> float:
            return value

        return joules

    entries = [objective(made(value), goal="minimize") for value in (1.0, 2.0)]
    for entry, value in zip(entries, (1.0, 2.0), strict=True):
        path = load_problem(CONTENT | {"objectives": [entry]}).objectives[0].metric
        assert import_path(path)(None, None) == value


def test_two_functions_of_one_name_in_a_problem_are_refused() -> None:
    def made(value: float) -> Any:
        def joules(module: Any, context: Any) -> float:
            return value

        return joules

    one, other = made(1.0), made(2.0)
    entries = {"objectives": [objective(one, goal="minimize")], "constraints": [objective(other, at_most=1)]}
    with pytest.raises(SpecError, match=r"another function is called .*:joules already; tell them apart"):
        load_problem(CONTENT | entries)
    again = {"objectives": [objective(one, goal="minimize")], "constraints": [objective(one, at_most=1)]}
    assert load_problem(CONTENT | again).constraints[0].column == "joules"


def test_a_device_that_is_named_is_read_whatever_stands_beside_the_name() -> None:
    with pytest.raises(SpecError, match="unknown device profile 'nosuch'"):
        load_problem(CONTENT | {"device": {"name": "nosuch", "kind": "measured"}})


def test_a_lambda_needs_a_name() -> None:
    with pytest.raises(MoonasError, match="has no name"):
        objective(lambda module, context: 1.0, goal="minimize")
    entry = objective(lambda module, context: 1.0, goal="minimize", name="answer_ms")
    assert load_problem(CONTENT | {"objectives": [entry]}).objectives[0].column == "answer_ms"


@pytest.mark.parametrize("name", ["two words", "1st", "a-b", "a/b"])
def test_the_name_of_a_function_must_be_able_to_head_a_column(name: str) -> None:
    with pytest.raises(MoonasError, match=r"name"):
        objective(joules, goal="minimize", name=name)


def test_a_lambda_within_a_problem_is_explained_where_it_stands() -> None:
    with pytest.raises(SpecError) as caught:
        load_problem(CONTENT | {"data": {"name": lambda: None}})
    assert str(caught.value).startswith("<python>, data.name: ")
    assert "has no name" in str(caught.value)


def test_a_known_metric_cannot_be_shadowed_by_a_function() -> None:
    with pytest.raises(SpecError) as caught:
        load_problem(CONTENT | {"objectives": [objective(joules, goal="minimize", name="latency_ms")]})
    what = "a function cannot be called latency_ms: moonas measures that"
    assert str(caught.value) == f"<python>, objectives.0.metric: {what}"


def test_two_functions_of_one_name_in_two_studies_do_not_replace_each_other(tmp_path: Path) -> None:
    def made(value: float) -> Callable[..., float]:
        def answer(module: Any, context: Any) -> float:
            return value

        return answer

    content = {
        "encoding": "tiny_cnn",
        "task": {"input_shape": [1, 8, 8], "classes": 10},
        "search": {"population": 2},
        "budget": {"trials": 2},
        "workers": 0,
    }
    studies = [
        moonas.load(content | {"objectives": [objective(made(value), goal="minimize")]}, out=tmp_path / str(value))
        for value in (1.0, 2.0)
    ]
    assert [study.run()["answer"].tolist()[0] for study in studies] == [1.0, 2.0]


def test_numbers_from_numpy_are_numbers() -> None:
    spec = load_problem(
        CONTENT
        | {
            "seed": np.int64(3),
            "training": {"learning_rate": np.float32(0.5), "flip": np.bool_(True)},
            "search": {"population": np.int32(8), "options": {"a": np.float64(0.25)}},
        }
    )
    assert (spec.seed, spec.training.learning_rate, spec.training.flip, spec.search.population) == (3, 0.5, True, 8)
    assert "a: 0.25" in to_yaml(spec)


def test_tuples_will_do_for_lists() -> None:
    assert load_problem(CONTENT | {"objectives": ({"metric": "params"},), "record": ("flops",)}).record == ("flops",)


@pytest.mark.parametrize(
    "value",
    [datetime.date(2001, 1, 2), b"abc", {1, 2}, 1j, object()],
    ids=["date", "bytes", "set", "complex", "object"],
)
def test_what_a_file_could_not_say_is_refused(value: Any) -> None:
    """The run folder keeps the problem as a file, from which the same search must start again."""
    with pytest.raises(SpecError, match=r"^<python>, search\.options\.a: "):
        load_problem(CONTENT | {"search": {"options": {"a": value}}})


def test_a_problem_that_contains_itself_is_refused() -> None:
    options: dict[str, Any] = {}
    options["again"] = options
    with pytest.raises(MoonasError):
        load_problem(CONTENT | {"search": {"options": options}})


def test_a_specification_cannot_be_changed() -> None:
    spec = load_problem(CONTENT)
    with pytest.raises(ValueError, match="frozen"):
        spec.seed = 1


def test_reading_a_problem_loads_neither_torch_nor_pymoo() -> None:
    code = (
        "import sys; from moonas.spec.load import load_problem, to_yaml; to_yaml(load_problem('digits'));"
        "print([name for name in ('torch', 'pymoo', 'pandas', 'sklearn') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- phases


def test_each_phase_is_the_same_problem_at_another_fidelity() -> None:
    spec = load_problem("digits", overrides={"phases.full.epochs": 50})
    assert spec.in_phase("proxy") is spec
    full = spec.in_phase("full")
    assert (full.name, full.fidelity.epochs, full.budget) == ("digits-full", 50, spec.budget)
    validate = spec.in_phase("validate")
    assert (validate.name, validate.fidelity.samples) == ("digits-validate", 256)
    assert validate.budget.trials == spec.search.population < spec.budget.trials
    assert full.encoding == validate.encoding == spec.encoding


def test_all_networks_of_the_other_phases_are_trained_alike() -> None:
    halving = {"rungs": [{"epochs": 1, "samples": 64}], "keep": 0.5}
    spec = load_problem("digits", overrides={"search.halving": halving})
    assert len(spec.rungs) == 2
    for phase in ("validate", "full"):
        assert spec.in_phase(phase).search.halving is None
        assert spec.in_phase(phase).rungs == (spec.phases[phase],)
    assert spec.in_phase("proxy").search.halving is not None


def test_what_only_the_data_can_tell_of_rungs_is_left_to_them() -> None:
    """Whether 1,000 images at 9 epochs are less than all at 1 depends on how many there are."""
    rungs = [{"epochs": 9, "samples": 1000}]
    spec = load_problem("digits", overrides={"search.halving.rungs": rungs, "fidelity": {"epochs": 1}})
    rung, top = spec.rungs
    assert rung.work(5_000, 8) > top.work(5_000, 8)
    assert rung.work(10_000, 8) < top.work(10_000, 8)


def test_a_phase_that_is_not_there_is_a_mistake() -> None:
    with pytest.raises(SpecError, match=r"phases\.ful: must be one of validate, full, is the text 'ful'"):
        load_problem("digits", overrides={"phases.ful.epochs": 2})
