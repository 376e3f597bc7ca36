"""The networks of DARTS: a normal and a reduction cell, stacked (Liu et al., 2018, arXiv:1806.09055)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from moonas.errors import EncodingError, did_you_mean
from moonas.network.architecture import Architecture, Task
from moonas.spec.darts import OPERATIONS

if TYPE_CHECKING:
    from torch import nn

Node = tuple[tuple[int, str], ...]
"""The edges into a node, sorted: the node each comes from, and its operation."""
Cell = tuple[Node, ...]
"""Nodes 2, 3, ... of a cell, whose nodes 0 and 1 are the outputs of the two cells before it, the earlier first."""
INPUTS = 2
WITHOUT_WEIGHTS = frozenset({"max_pool_3x3", "avg_pool_3x3", "skip_connect"})
"""Operations that give zero for zero."""
_STRIDES = 4


@dataclass(frozen=True)
class DARTS(Architecture):
    """Cells between a stem and a classifier, the sides halved and the channels doubled after each third of them.

    Edges of the operation `none` are left out of the description. What no cell reads is not built.

    Attributes:
        normal: the normal cell.
        reduction: the cell after the first and after the second third; its edges from nodes 0 and 1 have stride 2.
        channels: of the nodes of the first cells.
        cells: in all.
        auxiliary: the weight in the loss of a second classifier, which reads the second reduction cell in training
            (unless the first classifier does without that cell).
        drop_path: the chance that an edge, unless it only passes on, is left out for an image in training. It stays
            the same, where the authors raise it from 0 with the epochs.

    Raises:
        EncodingError: if a cell is none.
    """

    normal: Cell
    reduction: Cell
    channels: int = 36
    cells: int = 20
    auxiliary: float = 0
    drop_path: float = 0

    family: ClassVar[str] = "darts"

    def __post_init__(self) -> None:
        for edges in (self.normal, self.reduction):
            for node, into in enumerate(edges, INPUTS):
                if tuple(sorted(into)) != into:
                    raise EncodingError(f"the edges into a node are sorted, {into} are not")
                if len({source for source, _ in into}) < len(into):
                    raise EncodingError(f"a node reads another one once, node {node} has the edges {into}")
                for source, operation in into:
                    _check_edge(node, source, operation)
        if self.cells < 3 or self.channels < 1 or not self.normal or not self.reduction:
            raise EncodingError("a network has at least 3 cells of at least one channel, and cells at least one node")

    @classmethod
    def from_genotype(
        cls,
        normal: Sequence[tuple[str, int]],
        reduce: Sequence[tuple[str, int]],
        *,
        normal_concat: Sequence[int] | None = None,
        reduce_concat: Sequence[int] | None = None,
        **fields: Any,
    ) -> DARTS:
        """Read the authors' notation: pairs of operation and source, two for each node.

        Args:
            normal: as `[("sep_conv_3x3", 0), ("sep_conv_3x3", 1), ...]`.
            reduce: likewise.
            normal_concat: the nodes that make the output of the normal cell, which are all of them.
            reduce_concat: likewise.
            **fields: the other attributes.

        Raises:
            EncodingError: if these are no cells.
        """
        return cls(_cell_of_pairs(normal, normal_concat), _cell_of_pairs(reduce, reduce_concat), **fields)

    @property
    def simplified(self) -> DARTS:
        """The same network: no edges that bring only zeros, nothing read by way of another node, a settled order."""
        normal, reduction = simplified(self.normal), simplified(self.reduction, reduces=True)
        return replace(self, normal=normal, reduction=reduction)

    def build(self, task: Task) -> nn.Module:
        """Build the network; see `Architecture.build`."""
        from moonas.network.darts_cells import DARTSNetwork  # torch

        side = task.side
        if side < _STRIDES:
            raise EncodingError(f"an input of {side} pixels is too small: the network shrinks it {_STRIDES}-fold")
        return DARTSNetwork(self, task)


def _check_edge(node: int, source: int, operation: str) -> None:
    if not isinstance(source, int) or not 0 <= source < node:
        raise EncodingError(f"node {node} reads nodes 0 to {node - 1}, not {source!r}")
    if operation not in OPERATIONS[1:]:
        near = did_you_mean(str(operation), OPERATIONS)
        raise EncodingError(f"unknown operation {operation!r}; choose from {', '.join(OPERATIONS[1:])}{near}")


def _cell_of_pairs(pairs: Sequence[tuple[str, int]], concatenated: Sequence[int] | None) -> Cell:
    if len(pairs) % 2:
        raise EncodingError(f"a genotype has two pairs for each node, not {len(pairs)} pairs")
    nodes = list(range(INPUTS, INPUTS + len(pairs) // 2))
    if concatenated is not None and sorted(concatenated) != nodes:
        raise EncodingError(f"the output is made of all nodes, {nodes}, not of {list(concatenated)}")
    edges = [(source, operation) for operation, source in pairs]
    return tuple(node_of(edges[i : i + 2]) for i in range(0, len(edges), 2))


def node_of(edges: Iterable[tuple[int, str]]) -> Node:
    """A node of these edges, those of the operation `none` left out."""
    return tuple(sorted((source, operation) for source, operation in edges if operation != "none"))


class Nodes:
    """The nodes of a cell so far, and what they tell of edges that read them."""

    def __init__(self, *, reduces: bool):
        """Begin with the inputs, of which edges in a cell that `reduces` halve the sides."""
        self.count = INPUTS
        self._reduces = reduces
        self._empty: set[int] = set()
        self._same: dict[int, int] = {}  # a node that only passes on -> the node whose value it has

    def add(self, node: Node) -> None:
        """Go on by a node, whose edges are live."""
        if not node:
            self._empty.add(self.count)
        elif len(node) == 1 and node[0][1] == "skip_connect" and not (self._reduces and node[0][0] < INPUTS):
            self._same[self.count] = self._same.get(node[0][0], node[0][0])
        self.count += 1

    def live(self, edges: Iterable[tuple[int, str]]) -> Node:
        """The edges of the next node that bring something, from where it comes."""
        brought = [(source, how) for source, how in edges if not self._vanishes(source, how)]
        origins = [(self._same.get(source, source), how) for source, how in brought]
        once = len({source for source, _ in origins}) == len(origins)
        return tuple(sorted(origins if once else brought))

    def _vanishes(self, source: int, operation: str) -> bool:
        """Whether an edge brings only zeros."""
        return operation == "none" or (operation in WITHOUT_WEIGHTS and source in self._empty)


def simplified(cell: Sequence[Iterable[tuple[int, str]]], *, reduces: bool = False) -> Cell:
    """The first of all ways to write a cell."""
    nodes, written = Nodes(reduces=reduces), []
    for edges in cell:
        written.append(nodes.live(edges))
        nodes.add(written[-1])
    return min(orders(written, smallest=True))


def orders(cell: Sequence[Node], *, smallest: bool = False) -> Iterator[Cell]:
    """The cell with its nodes in every order in which each comes after those that it reads.

    The order of nodes only permutes channels, so all of these are the same network.

    Args:
        cell: the cell.
        smallest: give only those that may be the smallest of all.
    """
    yield from _place(cell, smallest, {0: 0, 1: 1}, ())


def _place(cell: Sequence[Node], smallest: bool, names: dict[int, int], placed: Cell) -> Iterator[Cell]:
    if len(placed) == len(cell):
        yield placed
    ready = [
        (tuple(sorted((names[source], how) for source, how in edges)), node)
        for node, edges in enumerate(cell, INPUTS)
        if node not in names and all(source in names for source, _ in edges)
    ]
    least = min(ready)[0] if ready else ()
    for edges, node in ready:
        if not smallest or edges == least:
            yield from _place(cell, smallest, {**names, node: len(placed) + INPUTS}, (*placed, edges))
