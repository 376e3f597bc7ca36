"""The networks of NAS-Bench-201: one small cell, stacked (Dong & Yang, 2020, arXiv:2001.00326)."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, ClassVar

from moonas.errors import EncodingError, did_you_mean
from moonas.network.architecture import Architecture, Task
from moonas.spec.nas_bench_201 import OPERATIONS

if TYPE_CHECKING:
    from torch import nn

EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
"""Source and target of each edge, in the order in which a cell is written. Node 0 is its input, node 3 its output."""
Cell = tuple[str, ...]
"""The operation on each of EDGES."""
Form = tuple[tuple[int, int, str], ...]
_OUTPUT = 3
_STRIDES = 4


@dataclass(frozen=True)
class NASBench201(Architecture):
    """Three groups of cells between a stem and a classifier, each with twice the channels of the one before.

    It is built as it is written, edges without effect included; `simplified` is the same function without them.

    Attributes:
        cell: the operation on each of EDGES.
        channels: of the first group; 16 in the benchmark.
        cells: in each group; 5 in the benchmark.

    Raises:
        EncodingError: if the cell is none.
    """

    cell: Cell
    channels: int = 16
    cells: int = 5

    family: ClassVar[str] = "nas_bench_201"

    def __post_init__(self) -> None:
        if len(self.cell) != len(EDGES):
            raise EncodingError(f"a cell has {len(EDGES)} operations, not {len(self.cell)}")
        for operation in self.cell:
            if operation not in OPERATIONS:
                near = did_you_mean(str(operation), OPERATIONS)
                raise EncodingError(f"unknown operation {operation!r}; choose from {', '.join(OPERATIONS)}{near}")

    @classmethod
    def from_string(cls, text: str, *, channels: int = 16, cells: int = 5) -> NASBench201:
        """Read the benchmark's notation, `|op~0|+|op~0|op~1|+|op~0|op~1|op~2|`.

        Raises:
            EncodingError: if it is not in that notation.
        """
        found = re.findall(r"([^|+~]+)~(\d)", text)
        cell = cls(tuple(operation for operation, _ in found), channels, cells)
        if cell.string != text:
            raise EncodingError(f"not a cell as |op~0|+|op~0|op~1|+|op~0|op~1|op~2|: {text}")
        return cell

    @property
    def string(self) -> str:
        """The cell in the benchmark's notation."""
        incoming: dict[int, str] = {}
        for (source, target), operation in zip(EDGES, self.cell, strict=True):
            incoming[target] = f"{incoming.get(target, '|')}{operation}~{source}|"
        return "+".join(incoming.values())

    @property
    def simplified(self) -> NASBench201:
        """The first cell that computes the same: no edges without effect, nodes that only pass on left out."""
        return NASBench201(_first_cells()[form(self.cell)], self.channels, self.cells)

    def build(self, task: Task) -> nn.Module:
        """Build the network; see `Architecture.build`."""
        from moonas.network.nas_bench_201_cells import build_nas_bench_201  # torch

        side = task.side
        if side < _STRIDES:
            raise EncodingError(f"an input of {side} pixels is too small: the network shrinks it {_STRIDES}-fold")
        return build_nas_bench_201(self, task)


def form(cell: Sequence[str]) -> Form:
    """What a cell computes: equal forms mean the same operations with the same weights between the same values.

    Nodes that nothing reaches or that reach nothing are left out, nodes that only pass on another are that other, sums
    of sums are one sum where nobody else reads the parts, and of the names of the inner nodes the first are taken.

    Returns:
        Sorted triples of target, source and operation; none if the output is always zero.
    """
    incoming = _needed(_live(cell))
    while (passing := _read_once(incoming)) is not None:
        source, target = passing
        incoming[target].remove((source, "skip_connect"))
        incoming[target] += incoming.pop(source)
    inner = sorted(incoming.keys() - {_OUTPUT})
    named = ({0: 0, _OUTPUT: _OUTPUT, **dict(zip(inner, names, strict=True))} for names in _namings(len(inner)))
    return min(
        tuple(sorted((name[node], name[source], how) for node, edges in incoming.items() for source, how in edges))
        for name in named
    )


def _live(cell: Sequence[str]) -> dict[int, list[tuple[int, str]]]:
    """The edges into each node that something reaches, as source and operation; none from a node that passes on."""
    operations = dict(zip(EDGES, cell, strict=True))
    value = {0: 0}  # node -> the node whose value it has
    incoming: dict[int, list[tuple[int, str]]] = {}
    for node in (1, 2, 3):
        edges = [(value[source], operations[source, node]) for source in range(node) if source in value]
        edges = [(source, operation) for source, operation in edges if operation != "none"]
        if len(edges) == 1 and edges[0][1] == "skip_connect" and node != _OUTPUT:
            value[node] = edges[0][0]
        elif edges:
            value[node], incoming[node] = node, edges
    return incoming


def _needed(incoming: Mapping[int, list[tuple[int, str]]]) -> dict[int, list[tuple[int, str]]]:
    """The edges into the output, and into all nodes that lead to it."""
    needed: dict[int, list[tuple[int, str]]] = {}
    pending = [_OUTPUT]
    while pending:
        node = pending.pop()
        if node in incoming and node not in needed:
            needed[node] = list(incoming[node])
            pending += [source for source, _ in incoming[node]]
    return needed


def _read_once(incoming: Mapping[int, list[tuple[int, str]]]) -> tuple[int, int] | None:
    """A node that is read once, and only added there; and the node that reads it."""
    readers = [(source, node, how) for node, edges in incoming.items() for source, how in edges]
    for source, node, how in readers:
        if how == "skip_connect" and source in incoming and sum(source == other for other, _, _ in readers) == 1:
            return source, node
    return None


def _namings(count: int) -> list[tuple[int, ...]]:
    return list(itertools.permutations(range(1, count + 1)))


@cache
def _first_cells() -> Mapping[Form, Cell]:
    """Each form and the first cell that has it."""
    first: dict[Form, Cell] = {}
    for cell in itertools.product(OPERATIONS, repeat=len(EDGES)):
        first.setdefault(form(cell), cell)
    return first
