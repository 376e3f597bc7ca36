"""A failure names the line of the user's own code that raised, and no line of moonas or a library."""

import inspect

import pytest
import torch

from moonas.errors import EncodingError
from moonas.evaluation.evaluator import Failure, attempt


def activation_mb() -> dict[str, float]:
    return {"activation_mb": {}["conv"]}


def too_wide() -> dict[str, float]:
    torch.nn.Linear(3, 4)(torch.zeros(1, 5))
    return {}


@pytest.mark.parametrize(("function", "line"), [(activation_mb, 1), (too_wide, 1)])
def test_the_innermost_line_of_the_users_code_is_named(function: object, line: int) -> None:
    outcome = attempt(function)  # type: ignore[arg-type]
    assert isinstance(outcome, Failure)
    _, first = inspect.getsourcelines(function)  # type: ignore[arg-type]
    assert outcome.reason.endswith(f" (test_failure_places.py:{first + line}, in {function.__name__})")  # type: ignore[attr-defined]


def test_what_moonas_says_needs_no_line() -> None:
    def refuse() -> dict[str, float]:
        raise EncodingError("an input of 8 pixels is too small")

    assert attempt(refuse) == Failure("an input of 8 pixels is too small")


def test_what_a_library_raises_by_itself_has_no_line() -> None:
    outcome = attempt(lambda: torch.zeros(2).item())  # type: ignore[arg-type, return-value]
    assert isinstance(outcome, Failure)
    assert "torch" not in outcome.reason.rpartition(" (")[2]
