"""What an encoding file may say. A list is a gene, a scalar is fixed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from moonas import content
from moonas.spec.document import read_document
from moonas.spec.gene import gene, one_of, whole
from moonas.spec.validation import LISTED, SOME, SpecModel, validate

BLOCKS = ("plain", "residual", "separable", "inverted_residual")


Width = Annotated[Any, gene(whole(1, 65536))]
Kernel = Annotated[Any, gene(whole(1, 31, odd=True))]
Stride = Annotated[Any, gene(whole(1, 4))]


class StemSpec(SpecModel):
    """The first convolution."""

    width: Width
    kernel: Kernel = 3
    stride: Stride = 1


class StageSpec(SpecModel):
    """Blocks of one kind and width; the first one takes the stride. A depth of 0 leaves the stage out."""

    block: Annotated[Any, gene(one_of(*BLOCKS))]
    depth: Annotated[Any, gene(whole(0, 1000))]
    width: Width
    kernel: Kernel = 3
    stride: Stride = 2
    expansion: Annotated[Any, gene(whole(1, 16))] = 4


class HeadSpec(SpecModel):
    """What follows the stages: an optional 1x1 convolution of `width` (0: none), pooling, a linear layer."""

    width: Annotated[Any, gene(whole(0, 65536))] = 0


class EncodingSpec(SpecModel):
    """The whole of an encoding file of the family `staged_cnn`."""

    name: str
    family: Literal["staged_cnn"]
    stem: StemSpec
    stages: Annotated[tuple[StageSpec, ...], LISTED, SOME]
    head: HeadSpec = HeadSpec()

    def tree(self) -> dict[str, Any]:
        """The choices as nested dicts: tuples are genes, scalars are fixed, lists are sequences."""
        tree = self.model_dump(exclude={"name", "family"})
        tree["stages"] = list(tree["stages"])
        return tree


class FactorySpec(SpecModel):
    """An encoding of the user's own: `name` is the dotted path of what makes it, `options` its arguments."""

    name: str
    options: dict[str, Any] = Field(default_factory=dict)


def load_encoding(name: str, *, beside: Path = Path()) -> EncodingSpec:
    """Read an encoding by path or shipped name.

    Args:
        name: what the user wrote.
        beside: the folder where a relative path begins.

    Raises:
        SpecError: if the file is wrong.
        UnknownNameError: if there is no such file.
    """
    path = content.find("encodings", name, beside=beside)
    document = read_document(path)
    document.tree.setdefault("name", path.stem)
    return validate(EncodingSpec, document.tree, document)
