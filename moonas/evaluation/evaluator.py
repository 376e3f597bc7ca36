"""The abstraction of an evaluator, and what it says of a candidate that it cannot evaluate."""

from __future__ import annotations

import math
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from moonas.errors import CandidateError, one_line, place_in_users_code
from moonas.network.architecture import Architecture, Task

if TYPE_CHECKING:
    from torch import nn

Result = TypeVar("Result")
OUT_OF_MEMORY = "out of memory"
_LARGEST_EXACT = 2**53
"""Whole numbers up to here are floats, too, and so survive every file format."""


@dataclass(frozen=True)
class Candidate:
    """One architecture to be evaluated.

    Attributes:
        architecture: what is to be built.
        seed: of everything random in its evaluation; derived from the study's seed and the architecture's key.
        known: what was measured of it before, by metric.
    """

    architecture: Architecture
    seed: int
    known: Mapping[str, float] = field(default_factory=dict, compare=False)


@dataclass(frozen=True)
class Failure:
    """Why a candidate could not be evaluated.

    Attributes:
        reason: in words.
        found: what was measured of it all the same, by metric.
    """

    reason: str
    found: Mapping[str, float] = field(default_factory=dict)


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

    @abstractmethod
    def evaluate(self, candidates: Sequence[Candidate]) -> Sequence[Outcome]:
        """Measure each candidate; a `Failure` stands for one that cannot be measured."""


def attempt(measure: Callable[[], Mapping[str, float]]) -> Outcome:
    """Run one measurement of one candidate: the border at which everything it raises becomes its failure.

    A value that is not a finite number fails the candidate, too. Ctrl-C must not come here, where it would be taken for
    the candidate's: candidates are evaluated in processes and threads of their own, see `apart`.
    """
    try:
        with contained():
            return {name: checked(name, value) for name, value in measure().items()}
    except BaseException as error:
        return Failure(_out_of_memory(error) or f"{one_line(error)}{place_in_users_code(error)}")


def apart(call: Callable[[], Result]) -> Result:
    """Run a call in a thread of its own, so that Ctrl-C reaches who waits for it."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(call).result()


@contextmanager
def contained() -> Iterator[None]:
    """Undo what a candidate's code may have done to the state that all candidates share."""
    import torch

    python, numpy = random.getstate(), np.random.get_state()
    gradients, dtype, threads = torch.is_grad_enabled(), torch.get_default_dtype(), torch.get_num_threads()
    determinism = torch.get_deterministic_debug_mode()
    with torch.random.fork_rng(devices=[]):
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)
            torch.set_grad_enabled(gradients)
            torch.set_default_dtype(dtype)
            if torch.get_deterministic_debug_mode() != determinism:  # setting it loads a compiler, which takes seconds
                torch.use_deterministic_algorithms(determinism > 0, warn_only=determinism == 1)
            if torch.get_num_threads() != threads:
                torch.set_num_threads(threads)


def seeded(seed: int, call: Callable[[], Result]) -> Result:
    """Run a call with the global generators of PyTorch, NumPy and Python seeded, and leave them as they were."""
    import torch

    with contained():
        torch.default_generator.manual_seed(seed)  # torch.manual_seed takes a millisecond, for the GPU's sake
        np.random.seed(seed % 2**32)
        random.seed(seed)
        return call()


def build(candidate: Candidate, task: Task) -> nn.Module:
    """Build the network of a candidate as it is deployed; its weights come from the candidate's seed."""
    from moonas.network.auxiliary import without_auxiliary_heads  # torch

    return seeded(candidate.seed, lambda: without_auxiliary_heads(candidate.architecture.build(task)))


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
        return value if abs(value) <= _LARGEST_EXACT else checked(name, _as_float(name, value))
    if not isinstance(value, float):
        raise CandidateError(f"{name} must be a number, is a {type(value).__name__}")
    if not math.isfinite(value):
        raise CandidateError(f"{name} is {'NaN' if math.isnan(value) else 'infinite'}")
    return float(f"{value:.12g}")


def _as_float(name: str, value: int) -> float:
    try:
        return float(value)
    except OverflowError as error:
        raise CandidateError(f"{name} is too large a number") from error


def _out_of_memory(error: BaseException) -> str | None:
    text = one_line(error)
    if isinstance(error, MemoryError) or "allocate memory" in text or "out of memory" in text.lower():
        return f"{OUT_OF_MEMORY}: {text}"
    return None
