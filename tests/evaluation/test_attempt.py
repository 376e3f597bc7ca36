from __future__ import annotations

import math
import random
import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from moonas.errors import CandidateError, EncodingError, WorkerLostError
from moonas.evaluation.evaluator import Failure, attempt, checked, seeded


def raising(error: BaseException) -> Callable[[], Mapping[str, float]]:
    def measure() -> Mapping[str, float]:
        raise error

    return measure


def reason(measure: Callable[[], Any]) -> str:
    outcome = attempt(measure)
    assert isinstance(outcome, Failure)
    assert "\n" not in outcome.reason
    return outcome.reason


# --- values


@settings(deadline=None, max_examples=100)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_keeps_twelve_digits_and_survives_text(value: float) -> None:
    kept = checked("metric", value)
    assert kept == pytest.approx(value, rel=1e-11, abs=0)
    assert checked("metric", kept) == kept
    assert float(f"{kept:.12g}") == kept


@settings(deadline=None, max_examples=100)
@given(st.integers(-(2**53), 2**53))
def test_an_integer_stays_what_it_is(value: int) -> None:
    kept = checked("metric", value)
    assert kept == value
    assert type(kept) is int


@pytest.mark.parametrize("value", [2**53 + 1, -(2**70) - 1, 10**300])
def test_an_integer_beyond_what_files_can_hold_becomes_a_float(value: int) -> None:
    kept = checked("metric", value)
    assert type(kept) is float
    assert kept == pytest.approx(value, rel=1e-11)


def test_an_integer_beyond_all_floats_fails_its_candidate() -> None:
    assert attempt(lambda: {"metric": 10**400}) == Failure("metric is too large a number")


def test_a_reason_can_be_written_anywhere() -> None:
    def fails() -> dict[str, float]:
        raise ValueError("half \ud800 and null \0")

    outcome = attempt(fails)
    assert outcome == Failure("ValueError: half \\ud800 and null \\0")


def test_all_chance_in_a_candidate_comes_from_its_seed() -> None:
    def drawn() -> tuple[float, float, float]:
        return random.random(), float(np.random.random()), float(torch.rand(()))

    assert seeded(3, drawn) == seeded(3, drawn) != seeded(4, drawn)


def test_what_a_candidate_does_to_the_shared_state_is_undone() -> None:
    def vandalise() -> dict[str, float]:
        torch.set_grad_enabled(False)
        torch.set_default_dtype(torch.float64)
        torch.use_deterministic_algorithms(True)
        torch.manual_seed(5)
        np.random.seed(5)
        random.seed(5)
        return {"metric": 1.0}

    before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()  # type: ignore[index, union-attr]
    assert attempt(vandalise) == {"metric": 1.0}
    assert torch.is_grad_enabled()
    assert torch.get_default_dtype() == torch.float32
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]  # type: ignore[index, union-attr]
    assert random.getstate() == before[2]


def test_settings_that_a_candidate_left_alone_are_not_set_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """To set determinism, PyTorch loads its compiler: seconds, in each process of a search."""
    monkeypatch.setattr(torch, "use_deterministic_algorithms", lambda *_, **__: pytest.fail("it was set"))
    assert attempt(lambda: {"metric": 1.0}) == {"metric": 1.0}


def test_warnings_of_what_is_not_deterministic_stay_warnings() -> None:
    def insist() -> dict[str, float]:
        torch.use_deterministic_algorithms(True)
        return {"metric": 1.0}

    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        assert attempt(insist) == {"metric": 1.0}
        assert torch.is_deterministic_algorithms_warn_only_enabled()
    finally:
        torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float64(0.25), 0.25),
        (np.float16(0.25), 0.25),
        (np.array(0.25), 0.25),
        (np.array([[3]]), 3),
        (np.uint8(200), 200),
        (torch.tensor(7), 7),
        (torch.tensor(0.25, requires_grad=True), 0.25),
        (-0.5, -0.5),
        (0, 0),
    ],
)
def test_scalars_of_numpy_and_pytorch_become_plain_numbers(value: Any, expected: float) -> None:
    kept = checked("metric", value)
    assert kept == expected
    assert type(kept) is type(expected)


@pytest.mark.parametrize(
    "value",
    [np.bool_(True), torch.tensor(True), np.complex64(1), torch.tensor(1j), np.str_("1"), [1.0], {"a": 1.0}, object()],
)
def test_what_is_no_number_is_refused_by_name_and_kind(value: Any) -> None:
    with pytest.raises(CandidateError, match=r"^energy_mj must be a number, is a"):
        checked("energy_mj", value)


@pytest.mark.parametrize("value", [np.float32("nan"), np.array(-np.inf), torch.tensor(math.inf)])
def test_numbers_that_are_not_finite_are_refused_by_name(value: Any) -> None:
    with pytest.raises(CandidateError, match=r"^energy_mj is (NaN|infinite)$"):
        checked("energy_mj", value)


@pytest.mark.parametrize("value", [np.array([1.0, 2.0]), torch.tensor([1.0, 2.0]), np.array([]), torch.zeros(2, 3)])
def test_an_array_of_many_numbers_is_refused_by_the_name_of_the_metric(value: Any) -> None:
    # A function that forgot to take the mean: NumPy's and PyTorch's messages do not say which function.
    with pytest.raises(CandidateError, match="energy_mj"):
        checked("energy_mj", value)


# --- failures


def test_what_was_measured_comes_through() -> None:
    assert attempt(lambda: {"a": 1, "b": np.float32(0.5)}) == {"a": 1, "b": 0.5}


def test_one_bad_value_fails_the_candidate() -> None:
    assert reason(lambda: {"a": 1.0, "b": math.nan}) == "b is NaN"


@pytest.mark.parametrize("error", [EncodingError("the input is too small"), WorkerLostError("its worker died")])
def test_what_moonas_raises_speaks_for_itself(error: Exception) -> None:
    assert reason(raising(error)) == str(error)


@pytest.mark.parametrize(
    "error", [CandidateError(), CandidateError(""), CandidateError(" \n"), ValueError(), StopIteration(), KeyError("")]
)
def test_a_failure_always_has_a_reason(error: Exception) -> None:
    # The pipeline takes an empty reason for success.
    assert reason(raising(error)).strip()


def test_a_long_reason_is_cut() -> None:
    assert len(reason(raising(ValueError("long " * 1000)))) <= 320


def test_a_function_that_ends_the_program_ends_only_its_candidate() -> None:
    """As `sys.exit` in a library's argument parser does."""
    assert reason(lambda: sys.exit(2))


def test_gpu_memory_counts_as_memory() -> None:
    assert reason(raising(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB"))).startswith(
        "out of memory"
    )
