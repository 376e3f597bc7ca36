"""Reading YAML as plain values with their places, and reading the values of --set."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from moonas.errors import MoonasError, SpecError
from moonas.spec.document import parse_document, parse_value, read_document
from moonas.spec.load import load_problem
from moonas.spec.problem import ProblemSpec

PROBLEM = """\
name: small
encoding: tiny_cnn
data: {name: digits}
device: here
objectives:
  - metric: accuracy
  - metric: params
"""
laws = settings(deadline=None, max_examples=150, database=None)


def test_values_come_out_as_yaml_means_them() -> None:
    text = "whole: 8\nnumber: 0.5\nmany: 50_000\ntext: abc\nquoted: '8'\nflag: true\nnothing:\n"
    text += "list: [3, 5]\nmap: {a: {b: c}}\n"
    assert parse_document(text, "x").tree == {
        "whole": 8,
        "number": 0.5,
        "many": 50_000,
        "text": "abc",
        "quoted": "8",
        "flag": True,
        "nothing": None,
        "list": [3, 5],
        "map": {"a": {"b": "c"}},
    }


def test_every_field_has_the_line_it_stands_on() -> None:
    document = parse_document("# a comment\na: 1\nb:\n  - c: 2\n    d: 3\n  -\n    e: [4,\n      5]\n", "x")
    lines = {place: document.place(place) for place in [("a",), ("b", 0, "c"), ("b", 0, "d"), ("b", 1, "e", 1)]}
    assert lines == {("a",): "line 2", ("b", 0, "c"): "line 4", ("b", 0, "d"): "line 5", ("b", 1, "e", 1): "line 8"}


def test_a_missing_field_is_placed_where_its_surroundings_are() -> None:
    document = parse_document("a: 1\nb:\n  c: 2\n", "x")
    assert document.mistake(("b", "missing"), "is missing") == "x, line 2, b.missing: is missing"
    assert document.mistake(("missing",), "is missing") == "x, missing: is missing"
    assert document.mistake((), "is wrong") == "x: is wrong"


def test_an_alias_stands_for_what_it_names() -> None:
    document = parse_document("first: &it {a: [1, 2]}\nsecond: *it\nboth: [*it, *it]\n", "x")
    assert document.tree["second"] == {"a": [1, 2]}
    assert document.tree["both"] == [{"a": [1, 2]}] * 2


def test_a_field_behind_an_alias_can_be_changed_alone() -> None:
    document = parse_document("first: &it {a: 1}\nsecond: *it\n", "x")
    document.tree["second"]["a"] = 2
    assert document.tree["first"] == {"a": 1}


def test_reading_a_file_says_which_file(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("a: 1\n")
    document = read_document(path)
    assert (document.source, document.tree) == (str(path), {"a": 1})
    with pytest.raises(SpecError, match="cannot be read: No such file or directory"):
        read_document(tmp_path / "b.yaml")
    with pytest.raises(SpecError, match="cannot be read: Is a directory"):
        read_document(tmp_path)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("8", 8),
        (" 8 ", 8),
        ("-1", -1),
        ("0.5", 0.5),
        ("50_000", 50_000),
        ("true", True),
        ("null", None),
        ("", None),
        ("  ", None),
        ("abc", "abc"),
        ("'8'", "8"),
        ("a b", "a b"),
        ("/data/a b.npz", "/data/a b.npz"),
        (r"C:\data\a.npz", r"C:\data\a.npz"),
        ("my.module:function", "my.module:function"),
        ("2e6", "2e6"),
        ("[3, 5]", [3, 5]),
        ("[]", []),
        ("{}", {}),
        ("{train: 0.8, val: 0.2}", {"train": 0.8, "val": 0.2}),
        ("[{metric: params, at_most: 9}]", [{"metric": "params", "at_most": 9}]),
    ],
)
def test_the_value_of_a_set_is_read_as_yaml(text: str, value: Any) -> None:
    found = parse_value(text, "--set key")
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        # One line was typed, and no field called `value`, so neither is named.
        ("[3, 5", "--set key: is not YAML: what opens with [ here is not closed"),
        ("'abc", "--set key: is not YAML: a quote opens here and is not closed"),
        ("@x", "--set key: is not YAML: found character '@' that cannot start any token"),
        ("*x", "--set key: is not YAML: found undefined alias 'x'"),
        ("{a: 1, a: 2}", "--set key, a: is given twice; keep one"),
        ("{<<: {a: 1}}", "--set key: merge keys (<<) are not read; write the fields out"),
        ("!!python/name:os.system ''", "--set key: the tag !!python/name:os.system is not read; write a plain value"),
        ("2001-01-02", "--set key: YAML takes 2001-01-02 for a date; put it in quotes"),
        ("1:30", "--set key: YAML takes 1:30 for 90, a number in base 60; write it out"),
        ("[" * 5000, "--set key: is nested too deeply to be read"),
    ],
)
def test_a_broken_value_of_a_set_is_explained(text: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_value(text, "--set key")
    assert str(caught.value) == message


def test_a_value_cannot_smuggle_in_a_second_one() -> None:
    with pytest.raises(SpecError):
        parse_value("1\nother: 2", "--set key")


scalars = st.sampled_from(
    [
        *(
            "",
            "0",
            "-1",
            "7",
            "0.5",
            "2e6",
            "1e400",
            ".nan",
            "-.inf",
            "true",
            "on",
            "~",
            "null",
            "abc",
            "'8'",
            '""',
            "a/b",
        ),
        *("0x10", "010", "1:30", "2001-01-01", "=", "<<", "!x 1", "!!int x", "!!bool x", "!!binary x", "&a 1", "*a"),
        *("{}", "[]", "[[]]", "[1, [2]]", "{a: 1}", "[{}]", "{name: }", "{name: [a]}", "{kind: x}", "{family: x}"),
        *("|", "@", "- a", "here", "m:f"),
    ]
)
fields = st.sampled_from([*ProblemSpec.model_fields, "sead", "'a b'", "''"])
nested = st.sampled_from(
    ["name", "path", "split", "options", "metric", "goal", "at_most", "cost", "epochs", "population", "kind", "stem"]
)


@st.composite
def broken_texts(draw: st.DrawFn) -> str:
    """A problem file in which some fields have values that they may or may not take."""
    values: dict[str, str] = {}
    for _ in range(draw(st.integers(1, 3))):
        value = draw(scalars)
        for _ in range(draw(st.integers(0, 2))):
            value = draw(st.sampled_from([f"{{{draw(nested)}: {value}}}", f"[{value}]"]))
        values[draw(fields)] = value
    kept = [line for line in PROBLEM.splitlines() if line.partition(":")[0] not in values]
    if "objectives" in values:
        kept = [line for line in kept if not line.startswith(" ")]
    return "\n".join([*kept, *(f"{key}: {value}" for key, value in values.items())]) + "\n"


def check_complaints(path: Path) -> None:
    """Loading succeeds, or says what is wrong in lines that each name the file and leak no library's words."""
    try:
        load_problem(path)
    except MoonasError as error:
        for line in str(error).split("\n"):
            assert line.startswith(f"{path}"), line
            assert not re.search(r"should|valid |validation error|None\b|True\b|False\b|pydantic|<class", line), line


@given(text=broken_texts())
@laws
def test_any_mix_of_wrong_values_ends_in_clear_sentences(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("broken") / "problem.yaml"
    path.write_text(text)
    check_complaints(path)


@given(
    junk=st.text(st.sampled_from("a:- \n\t[]{}'\"#&*!|>%@`,?\\<=~0.é\x00\x85\u2028"), max_size=8),
    at=st.integers(0, 120),
)
@laws
def test_any_slip_of_the_fingers_ends_in_clear_sentences(
    junk: str, at: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("slip") / "problem.yaml"
    path.write_text(PROBLEM[:at] + junk + PROBLEM[at:])
    check_complaints(path)


@given(number=st.floats(1e-300, 1e300), form=st.sampled_from(["{:.3e}", "{:.0e}", "{!r}"]))
@laws
def test_the_number_to_write_instead_is_read_as_the_number_that_was_meant(number: float, form: str) -> None:
    text = form.format(number).replace("e+", "e")  # what YAML 1.1 takes for text: an exponent without sign or point
    path = "training.learning_rate"
    problem = {"encoding": "tiny_cnn", "data": "digits", "objectives": [{"metric": "params"}]}
    if not isinstance(yaml.safe_load(text), str):
        return
    with pytest.raises(SpecError) as caught:
        load_problem(problem, overrides={path: text})
    _, found, advice = str(caught.value).partition("; YAML takes that for text, write ")
    assert found
    assert yaml.safe_load(advice) == float(text)
    assert isinstance(yaml.safe_load(advice), int | float)
