"""Errors are single sentences, tell the exit code, and travel between processes."""

from __future__ import annotations

import inspect
import pickle
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import moonas
from moonas import errors
from moonas.errors import CandidateError, MoonasError, SpecError, UnknownNameError, choose_from, one_line

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, Exception)]


def example(kind: type[MoonasError]) -> MoonasError:
    return UnknownNameError("root", "sqare", ["square"]) if kind is UnknownNameError else kind("what is wrong")


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_is_a_moonas_error_that_explains_itself(kind: type[MoonasError]) -> None:
    assert issubclass(kind, moonas.MoonasError)
    assert kind.__name__.endswith("Error")
    assert kind.__doc__


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_comes_back_from_a_worker_process_as_it_was(kind: type[MoonasError]) -> None:
    error = example(kind)
    error.__cause__ = ValueError("why")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind
    assert str(copy) == str(error)
    assert copy.exit_code == error.exit_code


def test_a_mistake_of_the_user_ends_the_program_with_two() -> None:
    assert SpecError("x").exit_code == UnknownNameError("kind", "x", []).exit_code == MoonasError("x").exit_code == 2


def test_failures_of_one_candidate_can_be_told_from_those_of_the_search() -> None:
    assert issubclass(errors.TimeLimitError, CandidateError)
    assert issubclass(errors.WorkerLostError, CandidateError)
    assert not issubclass(errors.SearchFailedError, CandidateError)


@pytest.mark.parametrize(
    ("name", "known", "words"),
    [
        ("digit", ["digits", "cifar"], "choose from cifar, digits; did you mean 'digits'?"),
        ("zzz", ["digits", "cifar"], "choose from cifar, digits"),
        ("digits", [], "there is none"),
        ("", ["digits"], "choose from digits"),
        ("NSGA2", ["nsga2", "random"], "choose from nsga2, random; did you mean 'nsga2'?"),
        ("latency", ["latency_ms", "params"], "choose from latency_ms, params; did you mean 'latency_ms'?"),
    ],
)
def test_what_may_be_chosen_is_listed_with_the_nearest(name: str, known: list[str], words: str) -> None:
    assert choose_from(name, known) == words
    assert choose_from(name, iter(known)) == words


def test_an_unknown_name_says_kind_name_and_choice() -> None:
    error = UnknownNameError("strategy", "nsga", ["random", "nsga2"])
    assert str(error) == "unknown strategy 'nsga'; choose from nsga2, random; did you mean 'nsga2'?"
    hinted = UnknownNameError("strategy", "nsga", ["random", "nsga2"], ", or give your own")
    assert str(hinted) == "unknown strategy 'nsga'; choose from nsga2, random, or give your own; did you mean 'nsga2'?"


class Silent(Exception):  # noqa: N818  # a name that shows in messages as it is
    pass


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("wrong"), "ValueError: wrong"),
        (ValueError("first\n  second\tthird "), "ValueError: first second third"),
        (KeyError("width"), "KeyError: 'width'"),
        (Silent(), "Silent"),
        (MoonasError("What is wrong."), "What is wrong."),
        (CandidateError("took\ntoo long"), "took too long"),
    ],
)
def test_an_error_fits_on_one_line(error: Exception, line: str) -> None:
    assert one_line(error) == line


@given(text=st.text(), limit=st.integers(20, 400), kind=st.sampled_from([ValueError, MoonasError]))
@settings(deadline=None, max_examples=100, database=None)
def test_one_line_is_one_line_and_no_longer_than_the_limit(text: str, limit: int, kind: Any) -> None:
    line = one_line(kind(text), limit=limit)
    assert len(line) <= limit
    assert len(line.splitlines()) <= 1
    if len(text) < limit - 20 and not {"\n", "\0"} & set(text):
        assert " ".join(text.split()) in line  # nothing is cut that would fit
