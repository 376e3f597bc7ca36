"""What an encoding file of the family `darts` may say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from moonas.spec.family import EncodingSpec
from moonas.spec.gene import gene, number, one_of, whole
from moonas.spec.staged_cnn import Chance, Width
from moonas.spec.validation import LISTED, SOME, Mistake, SpecModel
from moonas.spec.wording import shown

OPERATIONS = (
    "none",
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
_MOST_NODES = 6  # orders of nodes are gone through, and there are as many as their factorial
Operation = Annotated[Any, gene(one_of(*OPERATIONS))]


def sources(inputs: str) -> tuple[int, int]:
    """The two nodes that `0+1` names."""
    first, second = inputs.split("+")
    return int(first), int(second)


def _check_inputs(value: Any) -> str | None:
    if isinstance(value, str) and re.fullmatch(r"[0-9]\+[0-9]", value) and value[0] < value[2]:
        return None
    return f"must be two nodes, the lower first, as 0+1 (0 and 1 are the inputs of the cell), is {shown(value)}"


class NodeSpec(SpecModel):
    """The sum of two nodes before it, each after an operation."""

    inputs: Annotated[Any, gene(_check_inputs)]
    first: Operation
    second: Operation


class DARTSSpec(EncodingSpec):
    """The whole of an encoding file of the family `darts`.

    Attributes:
        channels: of the nodes of the first cells.
        cells: in all, of which two are reduction cells.
        normal: the nodes of normal cells, numbered from 2 on; 0 and 1 are the inputs, the outputs of the two cells
            before it.
        reduction: the nodes of reduction cells.
        auxiliary: the weight in the loss of a second classifier after two thirds of the cells; 0 for none.
    """

    family: Literal["darts"]
    channels: Width = 36
    cells: Annotated[Any, gene(whole(3, 100))] = 20
    normal: Annotated[tuple[NodeSpec, ...], LISTED, SOME]
    reduction: Annotated[tuple[NodeSpec, ...], LISTED, SOME]
    auxiliary: Annotated[Any, gene(number(0, 10))] = 0
    drop_path: Chance = 0

    def tree(self) -> dict[str, Any]:
        """The choices; see `EncodingSpec.tree`."""
        tree = super().tree()
        return {**tree, "normal": list(tree["normal"]), "reduction": list(tree["reduction"])}

    def mistakes(self) -> Iterator[Mistake]:
        """Refuse nodes that read later ones, and cells of too many nodes."""
        for name, nodes in (("normal", self.normal), ("reduction", self.reduction)):
            if len(nodes) > _MOST_NODES:
                yield (name,), f"must hold at most {_MOST_NODES} nodes, holds {len(nodes)}"
            for i, node in enumerate(nodes):
                for inputs in node.inputs if isinstance(node.inputs, tuple) else (node.inputs,):
                    if sources(inputs)[1] > i + 1:
                        yield (name, i, "inputs"), f"node {i + 2} reads nodes 0 to {i + 1} only, is given {inputs}"
