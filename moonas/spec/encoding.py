"""What an encoding file may say. A list is a gene, a scalar is fixed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator

from moonas import content
from moonas.spec.document import Document, read_document
from moonas.spec.validation import SpecModel, choices, one_of, validate, whole

BLOCKS = ("plain", "residual", "separable", "inverted_residual")


def _gene(check: Any) -> Any:
    return PlainValidator(choices(check))


Width = Annotated[Any, _gene(whole(1, 65536))]
Kernel = Annotated[Any, _gene(whole(1, 31, odd=True))]
Stride = Annotated[Any, _gene(whole(1, 4))]


class StemSpec(SpecModel):
    """The first convolution."""

    width: Width
    kernel: Kernel = 3
    stride: Stride = 1


class StageSpec(SpecModel):
    """Blocks of one kind and width; the first one takes the stride. A depth of 0 leaves the stage out."""

    block: Annotated[Any, _gene(one_of(*BLOCKS))]
    depth: Annotated[Any, _gene(whole(0, 1000))]
    width: Width
    kernel: Kernel = 3
    stride: Stride = 2
    expansion: Annotated[Any, _gene(whole(1, 16))] = 4


class HeadSpec(SpecModel):
    """What follows the stages: an optional 1x1 convolution of `width` (0: none), pooling, a linear layer."""

    width: Annotated[Any, _gene(whole(0, 65536))] = 0


class EncodingSpec(SpecModel):
    """The whole of an encoding file of the family `staged_cnn`."""

    name: str
    family: Literal["staged_cnn"]
    stem: StemSpec
    stages: Annotated[tuple[StageSpec, ...], Field(min_length=1, strict=False)]
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


def load_encoding(name: str) -> EncodingSpec:
    """Read an encoding by path or shipped name.

    Raises:
        SpecError: if the file is wrong.
        UnknownNameError: if there is no such file.
    """
    path = content.find("encodings", name)
    document = read_document(path)
    document.tree.setdefault("name", Path(path).stem)
    return encoding_from(document)


def encoding_from(document: Document, at: tuple[str, ...] = ()) -> EncodingSpec:
    """Check the encoding that stands at `at` in a document."""
    tree = document.tree
    for key in at:
        tree = tree[key]
    return validate(EncodingSpec, tree, document, at)
