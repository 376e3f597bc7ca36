"""What an encoding file of the family `nas_bench_201` may say."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from moonas.spec.family import EncodingSpec
from moonas.spec.gene import gene, one_of, whole
from moonas.spec.staged_cnn import Width
from moonas.spec.validation import SpecModel

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
Operation = Annotated[Any, gene(one_of(*OPERATIONS))]


class CellEdgesSpec(SpecModel):
    """The operation on each edge of the cell, from its input, node 0, to its output, node 3."""

    from_0_to_1: Operation
    from_0_to_2: Operation
    from_1_to_2: Operation
    from_0_to_3: Operation
    from_1_to_3: Operation
    from_2_to_3: Operation


class NASBench201Spec(EncodingSpec):
    """The whole of an encoding file of the family `nas_bench_201`."""

    family: Literal["nas_bench_201"]
    channels: Width = 16
    cells: Annotated[Any, gene(whole(1, 100))] = 5
    edges: CellEdgesSpec
