"""From names to objects: built in, plugged in, or one's own by a dotted path."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from moonas import registry
from moonas.errors import MoonasError, UnknownNameError
from moonas.registry import (
    DATA_SETS,
    ENCODINGS,
    FAMILIES,
    STRATEGIES,
    Named,
    Registry,
    import_path,
    is_dotted_path,
    path_of,
)

ROOTS = Registry("root", {"square": "math:sqrt", "cube": "math:cbrt"}, "tests.roots")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty current folder; what is imported from it is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith("my_"):
            del sys.modules[name]


@pytest.fixture(autouse=True)
def nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_given_from_python", {})


def plug_in(monkeypatch: pytest.MonkeyPatch, *plugs: EntryPoint) -> None:
    def entry_points(*, group: str) -> list[EntryPoint]:
        return [plug for plug in plugs if plug.group == group]

    monkeypatch.setattr(registry, "entry_points", entry_points)


@pytest.mark.parametrize("name", ["module:object", "package.module:object", "package.module:Class.method", "_m:_f"])
def test_a_dotted_path_has_a_module_and_an_object(name: str) -> None:
    assert is_dotted_path(name)


@pytest.mark.parametrize(
    "name",
    ["", ":", "digits", "a.b.c", "a:", ":f", "a:b:c", "a b:f", "a:f g", ".a:f", "a.:f", "a..b:f", "a:1f", "a/b:f"],
)
def test_anything_else_is_no_dotted_path(name: str) -> None:
    assert not is_dotted_path(name)


# Dotted paths


def test_a_dotted_path_leads_to_an_object() -> None:
    assert import_path("math:sqrt") is math.sqrt
    assert import_path("pathlib:Path.exists") is Path.exists


def test_the_current_folder_is_a_place_to_import_from(here: Path) -> None:
    (here / "my_metrics.py").write_text("def joules(module, context):\n    return 1.5\n")
    assert import_path("my_metrics:joules")(None, None) == 1.5


def test_a_folder_of_ones_own_may_be_a_package(here: Path) -> None:
    (here / "my_package").mkdir()
    (here / "my_package" / "metrics.py").write_text("class Costs:\n    @staticmethod\n    def joules(): return 2.5\n")
    assert import_path("my_package.metrics:Costs.joules")() == 2.5


@pytest.mark.parametrize("path", ["no_such_module:f", "no_such.module:f", "math.no_such:f"])
def test_a_missing_module_is_named(here: Path, path: str) -> None:
    with pytest.raises(MoonasError) as caught:
        import_path(path)
    module = path.partition(":")[0]
    assert str(caught.value) == f"no module named '{module}'; it must be installed or lie in the current folder"


def test_a_missing_object_is_named_with_the_nearest_one(here: Path) -> None:
    (here / "my_metrics.py").write_text("def joules(): ...\n\ndef watts(): ...\n\n_hidden = print\nlimit = 3\n")
    with pytest.raises(UnknownNameError) as caught:
        import_path("my_metrics:joule")
    assert (
        str(caught.value) == "unknown object in my_metrics 'joule'; choose from joules, watts; did you mean 'joules'?"
    )


def test_a_missing_object_in_a_large_module_does_not_list_it_all(here: Path) -> None:
    (here / "my_metrics.py").write_text("".join(f"def metric_{i}(): ...\n" for i in range(500)))
    with pytest.raises(UnknownNameError) as caught:
        import_path("my_metrics:metrik_7")
    assert "did you mean 'metric_7'?" in str(caught.value)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("path", ["math:pi.real.nothing", "math:pi.nothing"])
def test_a_missing_part_of_a_plain_value_is_named(path: str) -> None:
    with pytest.raises(UnknownNameError, match="'nothing'"):
        import_path(path)


def test_a_module_that_misses_another_names_the_other(here: Path) -> None:
    (here / "my_metrics.py").write_text("import no_such_library\n")
    with pytest.raises(MoonasError) as caught:
        import_path("my_metrics:joules")
    assert str(caught.value) == "importing 'my_metrics' failed: no module named 'no_such_library'"


def test_a_module_that_misses_part_of_its_own_package_names_the_part(here: Path) -> None:
    (here / "my_package").mkdir()
    (here / "my_package" / "__init__.py").write_text("")
    (here / "my_package" / "metrics.py").write_text("from my_package.tools import something\n")
    with pytest.raises(MoonasError) as caught:
        import_path("my_package.metrics:joules")
    assert str(caught.value) == "importing 'my_package.metrics' failed: no module named 'my_package.tools'"


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("from math import no_such_function\n", "no_such_function"),
        ("x = 1\ndef joules(:\n    pass\n", "line 2"),
    ],
    ids=["import_error", "syntax_error"],
)
def test_a_module_that_cannot_be_imported_is_named_with_the_reason(here: Path, code: str, said: str) -> None:
    (here / "my_metrics.py").write_text(code)
    with pytest.raises(MoonasError, match="my_metrics") as caught:
        import_path("my_metrics:joules")
    assert said in str(caught.value)


# Objects handed over from Python


def test_an_object_handed_over_is_found_again_by_its_path() -> None:
    def local() -> None: ...

    path = path_of(local)
    assert is_dotted_path(path)
    assert path.endswith(":local")
    assert import_path(path) is local


def test_an_object_handed_over_may_be_given_a_name() -> None:
    path = path_of(Named(lambda: None, "answer"))
    assert path.endswith(":answer")
    assert import_path(path)() is None


@pytest.mark.parametrize("name", [None, "two words", "1st", "a.b", "a:b"])
def test_a_lambda_needs_a_name_that_is_one(name: str | None) -> None:
    with pytest.raises(MoonasError, match=r"name='\.\.\.'"):
        path_of((lambda: None) if name is None else Named(lambda: None, name))


def test_an_object_defined_anew_goes_by_the_same_path() -> None:
    """As when a cell of a notebook runs again: the search must resume, with the function as it is now."""

    def define(value: int) -> Any:
        def local() -> int:
            return value

        return local

    paths = [path_of(define(1)), path_of(define(2))]
    assert paths[0] == paths[1]
    assert import_path(paths[0])() == 2


# Registries


def test_a_built_in_name_leads_to_its_object() -> None:
    assert ROOTS.load("square") is math.sqrt
    assert ROOTS.check("cube") == "cube"
    assert ROOTS.names() == ["cube", "square"]


def test_a_name_is_checked_without_importing_anything(here: Path) -> None:
    (here / "my_roots.py").write_text("raise RuntimeError('imported')\n")
    assert ROOTS.check("my_roots:fourth") == "my_roots:fourth"


def test_an_object_of_ones_own_is_loaded_by_its_path() -> None:
    assert ROOTS.load("math:exp") is math.exp


def test_an_unknown_name_is_explained() -> None:
    own = "or give your own as package.module:name"
    for name, message in [
        ("sqare", f"unknown root 'sqare'; choose from cube, square, {own}; did you mean 'square'?"),
        ("zzz", f"unknown root 'zzz'; choose from cube, square, {own}"),
        ("math.exp", f"unknown root 'math.exp'; choose from cube, square, {own}"),
    ]:
        for ask in (ROOTS.check, ROOTS.load):
            with pytest.raises(UnknownNameError) as caught:
                ask(name)
            assert str(caught.value) == message


def test_another_package_can_plug_in_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    plug_in(
        monkeypatch,
        EntryPoint("fourth", "math:exp", "tests.roots"),
        EntryPoint("other", "math:log", "tests.something_else"),
    )
    assert ROOTS.names() == ["cube", "fourth", "square"]
    assert ROOTS.check("fourth") == "fourth"
    assert ROOTS.load("fourth") is math.exp
    with pytest.raises(UnknownNameError, match="did you mean 'fourth'"):
        ROOTS.load("forth")
    with pytest.raises(UnknownNameError):
        ROOTS.load("other")


def test_a_plug_in_cannot_take_the_name_of_a_built_in(monkeypatch: pytest.MonkeyPatch) -> None:
    plug_in(monkeypatch, EntryPoint("square", "math:exp", "tests.roots"))
    assert ROOTS.load("square") is math.sqrt
    assert ROOTS.names() == ["cube", "square"]


@pytest.mark.parametrize("value", ["no_such_module:f", "math:no_such_function"])
def test_a_plug_in_that_cannot_be_imported_is_named(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    plug_in(monkeypatch, EntryPoint("fourth", value, "tests.roots"))
    with pytest.raises(MoonasError, match=r"fourth|no_such"):
        ROOTS.load("fourth")


def test_a_strategy_from_a_plug_in_can_be_named_in_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    from moonas.spec.load import load_problem

    plug_in(monkeypatch, EntryPoint("magic", "my.module:Magic", "moonas.strategies"))
    problem = {"encoding": "tiny_cnn", "data": "digits", "objectives": [{"metric": "params"}]}
    assert load_problem(problem | {"search": {"strategy": "magic"}}).search.strategy == "magic"


@pytest.mark.parametrize("kind", [FAMILIES, ENCODINGS, DATA_SETS, STRATEGIES], ids=lambda kind: kind.kind)
def test_everything_built_in_can_be_imported(kind: Registry) -> None:
    assert kind.group.startswith("moonas.")
    for name in kind.built_in:
        assert callable(kind.load(name))
