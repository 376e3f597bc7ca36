"""The abstraction of an evaluator, and what it says of a candidate that it cannot evaluate."""

from __future__ import annotations

import math
import sysconfig
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from moonas.errors import CandidateError, MoonasError, one_line
from moonas.network.architecture import Architecture, Task

if TYPE_CHECKING:
    from torch import nn

Result = TypeVar("Result")


@dataclass(frozen=True)
class Candidate:
    """One architecture to be evaluated.

    Attributes:
        architecture: what is to be built.
        seed: of everything random in its evaluation; derived from the study's seed and the architecture's key.
    """

    architecture: Architecture
    seed: int


@dataclass(frozen=True)
class Failure:
    """Why a candidate could not be evaluated."""

    reason: str


Outcome = Mapping[str, float] | Failure


class Evaluator(ABC):
    """Measures some metrics of architectures.

    Attributes:
        metrics: the names of what it measures.
        gated: whether it is asked only about candidates that keep all constraints on what was measured before.
        together: whether it wants a whole batch at once and the machine for itself, as a profiler does; else it is
            asked about single candidates, in parallel.
    """

    metrics: tuple[str, ...]
    gated: bool = False
    together: bool = False

    def prepare(self) -> None:  # noqa: B027  # most have nothing to do
        """Make ready, once in each worker, before the limits of candidates hold."""

    @abstractmethod
    def evaluate(self, candidates: Sequence[Candidate]) -> Sequence[Outcome]:
        """Measure each candidate; a `Failure` stands for one that cannot be measured."""


def attempt(measure: Callable[[], Mapping[str, float]]) -> Outcome:
    """Run one measurement of one candidate: the border at which everything it raises becomes its failure.

    A value that is not a finite number fails the candidate, too.
    """
    try:
        return {name: checked(name, value) for name, value in measure().items()}
    except (Exception, SystemExit) as error:
        return Failure(_out_of_memory(error) or f"{one_line(error)}{_place(error)}")


def seeded(seed: int, call: Callable[[], Result]) -> Result:
    """Run a call with PyTorch's global generator seeded, and leave that generator as it was."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return call()


def build(candidate: Candidate, task: Task) -> nn.Module:
    """Build the network of a candidate; its weights come from the candidate's seed."""
    return seeded(candidate.seed, lambda: candidate.architecture.build(task))


def checked(name: str, value: object) -> float:
    """Return a measured value as a plain number of at most 12 digits, which CSV files carry without loss.

    Raises:
        CandidateError: if it is not a finite number.
    """
    if hasattr(value, "item"):  # a tensor or an array of one element
        try:
            value = value.item()
        except (ValueError, RuntimeError) as error:
            shape = tuple(getattr(value, "shape", ()))
            raise CandidateError(f"{name} must be one number, is an array of shape {shape}") from error
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if not isinstance(value, float):
        raise CandidateError(f"{name} must be a number, is a {type(value).__name__}")
    if not math.isfinite(value):
        raise CandidateError(f"{name} is {'NaN' if math.isnan(value) else 'infinite'}")
    return float(f"{value:.12g}")


def _place(error: BaseException) -> str:
    """Where in the user's own code an error was raised: ` (my_metrics.py:7, in activation_mb)`."""
    if isinstance(error, MoonasError):  # speaks for itself
        return ""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not frame.filename.startswith(_NOT_THE_USERS)]
    return f" ({Path(own[-1].filename).name}:{own[-1].lineno}, in {own[-1].name})" if own else ""


_NOT_THE_USERS = tuple(
    {
        str(Path(__file__).parents[1]),
        *(sysconfig.get_path(kind) for kind in ("stdlib", "purelib", "platlib")),
        "<frozen",
    }
)


def _out_of_memory(error: BaseException) -> str | None:
    text = one_line(error)
    if isinstance(error, MemoryError) or "allocate memory" in text or "out of memory" in text.lower():
        return f"out of memory: {text}"
    return None
