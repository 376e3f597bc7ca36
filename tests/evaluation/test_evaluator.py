import asyncio
import math

import numpy as np
import pytest
import torch

from moonas.errors import CandidateError
from moonas.evaluation.evaluator import Failure, attempt, checked


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (3, 3),
        (2**53, 2**53),
        (0.1, 0.1),
        (np.float32(0.5), 0.5),
        (np.int64(7), 7),
        (torch.tensor(2.5), 2.5),
        (torch.tensor([4]), 4),
        (1 / 3, 0.333333333333),
    ],
)
def test_numbers_of_any_library_become_plain_numbers(value: object, expected: float) -> None:
    result = checked("metric", value)
    assert result == expected
    assert type(result) is type(expected)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (math.nan, "metric is NaN"),
        (math.inf, "metric is infinite"),
        (torch.tensor(math.nan), "metric is NaN"),
        (True, "metric must be a number, is a bool"),
        ("1", "metric must be a number, is a str"),
        (None, "metric must be a number, is a NoneType"),
        (1j, "metric must be a number, is a complex"),
    ],
)
def test_what_is_no_finite_number_fails_the_candidate(value: object, message: str) -> None:
    with pytest.raises(CandidateError) as caught:
        checked("metric", value)
    assert str(caught.value) == message


def test_an_exception_becomes_its_type_and_message_on_one_line() -> None:
    def fail() -> dict[str, float]:
        raise ValueError("two\n  lines")

    assert attempt(fail) == Failure("ValueError: two lines")


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried")]
)
def test_running_out_of_memory_is_called_so(error: Exception) -> None:
    def fail() -> dict[str, float]:
        raise error

    outcome = attempt(fail)
    assert isinstance(outcome, Failure)
    assert outcome.reason.startswith("out of memory: ")


@pytest.mark.parametrize("error", [KeyboardInterrupt, GeneratorExit, SystemExit, asyncio.CancelledError])
def test_a_candidate_cannot_end_the_search(error: type[BaseException]) -> None:
    """Ctrl-C goes to the main thread of the main process, where no candidate is evaluated."""

    def end() -> dict[str, float]:
        raise error

    assert attempt(end) == Failure(error.__name__)
