"""What a runtime computes as one: the units of a lookup table."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from moonas.hardware.trace import INPUT, Operation

OUTSIDE = -2
"""In place of a step's number: what another kernel made."""


@dataclass(frozen=True)
class Kernel:
    """Operations that follow each other, as a convolution, its normalisation and its activation.

    Attributes:
        steps: with numbers of their own: an input is a step before, OUTSIDE, or INPUT for the network's own.
    """

    steps: tuple[Operation, ...]

    @property
    def multiply_adds(self) -> int:
        """Of all steps."""
        return sum(step.multiply_adds for step in self.steps)

    @property
    def bytes(self) -> int:
        """Read from outside, weights included, and written by the last step, in 32 bits each."""
        shapes = self._shapes(lambda made: made is None or made < 0)
        return 4 * sum(math.prod(shape) for shape in (*shapes, self.steps[-1].output_shape))

    @property
    def weight_bytes(self) -> int:
        """Of its weights, in 32 bits each."""
        return 4 * sum(math.prod(shape) for shape in self._shapes(lambda made: made is None))

    @property
    def outside_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Of what it reads of other kernels, in order."""
        return tuple(self._shapes(lambda made: made == OUTSIDE))

    def _shapes(self, wanted: Callable[[int | None], bool]) -> Iterator[tuple[int, ...]]:
        for step in self.steps:
            yield from (s for made, s in zip(step.inputs, step.input_shapes, strict=True) if wanted(made))

    @property
    def key(self) -> str:
        """All that decides how long it takes, to be read."""
        return " | ".join(map(_words, self.steps))


def _words(step: Operation) -> str:
    first = " of the input" if INPUT in step.inputs else ""
    return f"{step.text}{first}{_weights(step)}"


def _weights(step: Operation) -> str:
    """What tells sums and products with a weight from those of what other kernels made."""
    if step.multiply_adds:
        return "" if None in step.inputs else " of results"
    if None not in step.inputs:
        return ""
    dimensions = len(step.output_shape)
    alike = (m is None and len(shape) == dimensions for m, shape in zip(step.inputs, step.input_shapes, strict=True))
    return " of weights" if any(alike) else ""


def kernels_of(operations: Sequence[Operation], fusion: Collection[str]) -> list[Kernel]:
    """Divide the operations of a network into kernels, as the runtime does; see `divide`."""
    operations, kernels = divide(operations, fusion)
    return [_kernel(operations, numbers) for numbers in kernels]


def divide(operations: Sequence[Operation], fusion: Collection[str]) -> tuple[list[Operation], list[list[int]]]:
    """Find out which operations of a network a runtime computes as one.

    Args:
        operations: as `trace` gives them.
        fusion: the kinds of operations that are computed with the one before, where nothing else needs its result and
            its kernel begins with multiply-adds: an activation joins a convolution, and not a sum. A runtime that joins
            nothing computes everything as it comes; others leave out what nobody needs, and compute nothing twice.

    Returns:
        The operations, reading of what is computed twice the first, and the numbers of those of each kernel.
    """
    same = _same(operations) if fusion else range(len(operations))
    operations = [_reading(each, same) for each in operations]
    numbers = alive(operations) if fusion else range(len(operations))
    uses = Counter(made for number in numbers for made in operations[number].inputs)
    kernel_of: dict[int | None, list[int]] = {}
    kernels: list[list[int]] = []
    for number in numbers:
        operation = operations[number]
        whole = _read_whole(operations, number)
        last = (n for n in whole if n in kernel_of and uses[n] == 1 and kernel_of[n][-1] == n)
        before = next((n for n in last if operations[kernel_of[n][0]].multiply_adds), None)
        if operation.kind.rstrip("_") in fusion and before is not None:
            kernel_of[number] = kernel_of[before]
            kernel_of[number].append(number)
        else:
            kernel_of[number] = [number]
            kernels.append(kernel_of[number])
    return operations, kernels


def alive(operations: Sequence[Operation]) -> list[int]:
    """The numbers of the operations that depend on the input, and on which a result of the network depends.

    Where the result is nothing that a trace knows, an object of the network's own, nothing is left out.
    """
    wanted, found = {i for i, operation in enumerate(operations) if operation.is_result}, list[int]()
    of_input = [i for i, operation in enumerate(operations) if any(made is not None for made in operation.inputs)]
    if not wanted:
        return of_input
    for number in reversed(of_input):
        if number in wanted:
            found.append(number)
            wanted.update(made for made in operations[number].inputs if made is not None)
    return found[::-1]


def _same(operations: Sequence[Operation]) -> list[int]:
    """For each operation the first that computes the same.

    What has weights is different from all others, and so is what reads a part of something, as there are other parts.
    """
    known: dict[Any, int] = {}
    same: list[int] = []
    for number, operation in enumerate(operations):
        inputs = tuple(_first(made, same) for made in operation.inputs)
        is_whole = len(_read_whole(operations, number)) == len(inputs)
        what = (operation.kind.rstrip("_"), inputs, operation.arguments) if is_whole else number
        same.append(known.setdefault(what, number))
    return same


def _read_whole(operations: Sequence[Operation], number: int) -> list[int]:
    """The operations of whose results this one reads all, and not a slice."""
    read = zip(operations[number].inputs, operations[number].input_shapes, strict=True)
    known = [(made, shape) for made, shape in read if made is not None and made != INPUT]
    return [made for made, shape in known if math.prod(shape) == math.prod(operations[made].output_shape)]


def _reading(operation: Operation, same: Sequence[int]) -> Operation:
    """An operation that reads of what is computed twice the first."""
    inputs = tuple([_first(made, same) for made in operation.inputs])
    return operation if inputs == operation.inputs else replace(operation, inputs=inputs)


def _first(made: int | None, same: Sequence[int]) -> int | None:
    return made if made is None or made == INPUT else same[made]


def _kernel(operations: Sequence[Operation], numbers: Sequence[int]) -> Kernel:
    place = {number: step for step, number in enumerate(numbers)}
    steps = []
    for number in numbers:
        operation = operations[number]
        inputs = tuple(each if each in (None, INPUT) else place.get(each, OUTSIDE) for each in operation.inputs)
        if operation.kind.rstrip("_") == "add" and None not in inputs and len(set(operation.input_shapes)) == 1:
            inputs = tuple(sorted(inputs, key=lambda each: each or 0, reverse=True))  # a + b is b + a
        steps.append(replace(operation, kind=operation.kind.rstrip("_"), inputs=inputs, is_result=False))
    return Kernel(tuple(steps))
