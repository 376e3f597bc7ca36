"""What a problem may say of its data, or of the task if it has none."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from moonas.registry import DATA_SETS
from moonas.spec.validation import LISTED, Mistake, SpecModel, name_in

Size = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]
TargetKind = Literal["class", "labels", "values"]
SCORES: Mapping[TargetKind, str] = {"class": "accuracy", "labels": "average_precision", "values": "r2"}
"""By what networks are judged on validation data, for each kind of target."""


def _image_or_sequence(shape: Any) -> Any:
    if isinstance(shape, list | tuple) and len(shape) not in (2, 3):
        what = "3 whole numbers (channels, height, width), or 2 (length, channels)"
        raise ValueError(f"must hold {what}, holds {len(shape)}")
    return shape


class TaskSpec(SpecModel):
    """What the networks take and give, for a search without data."""

    input_shape: Annotated[tuple[Size, ...], LISTED, BeforeValidator(_image_or_sequence)]
    classes: Annotated[int, Field(ge=2)]


class SplitSpec(SpecModel):
    """Shares of the data: train updates weights, val selects, test is kept for the final networks.

    A data set that brings its own test part takes `test: 0`.
    """

    train: Share = 0.6
    val: Share = 0.2
    test: Share = 0.2

    def mistakes(self) -> Iterator[Mistake]:
        """Refuse shares that do not sum to one, and nothing to train or validate on."""
        total = self.train + self.val + self.test
        if not math.isclose(total, 1.0, abs_tol=1e-6):
            yield (), f"the shares must sum to one, they sum to {total:g}"
        for part in ("train", "val"):
            if getattr(self, part) == 0:
                yield (part,), "must be more than 0"


class DataSpec(SpecModel):
    """The data: a known format with its path, or a function of the user's own with its options.

    Attributes:
        kind: what the inputs are; sequences are (n, length) or (n, length, channels).
        target: what is learnt of each input: its class, (n,); which labels it bears, (n, labels) of 0 and 1; or values,
            (n,) or (n, values).
    """

    name: Annotated[str, name_in(DATA_SETS)]
    path: str | None = None
    kind: Literal["images", "sequences"] = "images"
    target: TargetKind = "class"
    split: SplitSpec = SplitSpec()
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = 0
    options: dict[str, Any] = Field(default_factory=dict)

    def mistakes(self) -> Iterator[Mistake]:
        """Refuse a format without a path, and a path where there is nothing to read."""
        if self.name in ("npz", "idx", "folder") and self.path is None:
            yield ("path",), "is missing; say where the data lies, as in --set data.path=FILE"
        if self.name in ("digits", "idx", "folder") and self.kind != "images":
            yield ("kind",), f"{self.name} holds images; sequences come as npz, or from a function of yours"
        if self.name in ("digits", "idx", "folder") and self.target != "class":
            yield ("target",), f"{self.name} holds classes; {self.target} come as npz, or from a function of yours"
        if self.name == "digits" and self.path is not None:
            yield ("path",), "digits are built in and have no path; leave it out"
