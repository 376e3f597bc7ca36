"""What all encoding files have in common."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from moonas.spec.validation import SpecModel


class EncodingSpec(SpecModel):
    """An encoding file; each family has a subclass with its own choices.

    Attributes:
        name: the file's, unless it says otherwise.
        family: the kind of networks that it describes.
    """

    name: str
    family: str

    def tree(self) -> dict[str, Any]:
        """The choices as nested dicts: tuples are genes, scalars are fixed, lists are sequences."""
        return self.model_dump(exclude={"name", "family"})


class FactorySpec(SpecModel):
    """An encoding of the user's own: `name` is the dotted path of what makes it, `options` its arguments."""

    name: str
    options: dict[str, Any] = Field(default_factory=dict)
