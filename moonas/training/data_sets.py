"""Data sets as arrays in memory, checked, whatever they come from."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from moonas.errors import DataError, one_line
from moonas.registry import DATA_SETS
from moonas.spec.data import DataSpec, TargetKind
from moonas.training.truth import classes_of, known_classes, outputs_of

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Part:
    """Images or sequences, and what is to be learnt of them.

    Attributes:
        inputs: (n, channels, height, width) or (n, length, channels), as stored: uint8 or float32.
        labels: the truth about each, (n,) int64 from 0 for classes, else (n, outputs) float32.
    """

    inputs: Array
    labels: Array

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def kind(self) -> str:
        """What the inputs are, for messages."""
        return "images" if self.inputs.ndim == 4 else "sequences"

    def take(self, indices: Array) -> Part:
        """The inputs and labels at `indices`."""
        return Part(self.inputs[indices], self.labels[indices])


@dataclass(frozen=True)
class DataSet:
    """A data set whole.

    Attributes:
        main: what is split into training and validation, and into test where the data set brings no test part.
        test: the data set's own test part, if it has one.
        classes: the names of the classes, in the order of the labels; of labels and values their numbers.
        target: what is learnt of each input.
    """

    main: Part
    test: Part | None
    classes: tuple[str, ...]
    target: TargetKind = "class"


def load_data_set(spec: DataSpec) -> DataSet:
    """Load what a problem names.

    Raises:
        DataError: if it is missing or malformed.
    """
    where = f"data {spec.path or spec.name}"
    source = DATA_SETS.load(spec.name)
    if not callable(source):
        raise DataError(f"{where}: {spec.name} must be a function that returns data, is a {type(source).__name__}")
    arguments = {"path": Path(spec.path)} if spec.path is not None else {}
    try:
        inspect.signature(source).bind(**arguments, **spec.options)
    except (TypeError, ValueError) as error:
        raise DataError(f"{where}: {spec.name} does not take these options: {error}") from error
    try:
        arrays = source(**arguments, **spec.options)
    except DataError:
        raise
    except (Exception, SystemExit) as error:  # whatever a function of the user's own raises
        raise DataError(f"{where}: {spec.name} failed: {one_line(error)}") from error
    return assemble(arrays, where, kind=spec.kind, target=spec.target)


def assemble(arrays: Any, where: str, *, kind: str = "images", target: TargetKind = "class") -> DataSet:
    """Check raw arrays and bring them into shape.

    Args:
        arrays: (x, y), (x_train, y_train, x_test, y_test), or a mapping with these names.
        where: how messages call them.
        kind: `images` or `sequences`.
        target: what is learnt of each.

    Raises:
        DataError: if they do not fit together.
    """
    x, y, x_test, y_test = _unpack(arrays, where)
    inputs = _inputs(x, where, kind)
    names, labels = classes_of(y, where) if target == "class" else outputs_of(y, where, target)
    main = _part(inputs, labels, where)
    test = None
    if x_test is not None:
        test_where = f"{where}, test part"
        truth = (
            known_classes(y_test, names, test_where) if target == "class" else outputs_of(y_test, test_where, target)[1]
        )
        test = _test_part(_inputs(x_test, test_where, kind), truth, main, test_where)
    return DataSet(main, test, tuple(str(name) for name in names), target)


def _test_part(inputs: Array, labels: Array, main: Part, where: str) -> Part:
    if inputs.shape[1:] != main.inputs.shape[1:]:
        raise DataError(f"{where}: {main.kind} are {inputs.shape[1:]}, those for training {main.inputs.shape[1:]}")
    if labels.shape[1:] != main.labels.shape[1:]:
        raise DataError(f"{where}: has {labels.shape[1]} values an input, training has {main.labels.shape[1]}")
    return _part(inputs, labels, where)


def _part(inputs: Array, labels: Array, where: str) -> Part:
    part = Part(inputs, labels)
    if len(inputs) != len(labels):
        raise DataError(f"{where}: {len(inputs)} {part.kind} but {len(labels)} labels")
    return part


def _unpack(arrays: Any, where: str) -> tuple[Any, Any, Any, Any]:
    if isinstance(arrays, Mapping):
        missing = [name for name in ("x_train", "y_train") if name not in arrays]
        if missing or ("x_test" in arrays) != ("y_test" in arrays):
            found = ", ".join(sorted(map(str, arrays))) or "nothing"
            raise DataError(f"{where}: must hold x_train, y_train and, if any, x_test, y_test; holds {found}")
        return arrays["x_train"], arrays["y_train"], arrays.get("x_test"), arrays.get("y_test")
    if isinstance(arrays, tuple) and len(arrays) in (2, 4):
        return (*arrays, None, None) if len(arrays) == 2 else arrays
    found = f"{len(arrays)} values" if isinstance(arrays, tuple) else type(arrays).__name__
    raise DataError(f"{where}: must give (x, y) or (x_train, y_train, x_test, y_test), gives {found}")


def _inputs(x: Any, where: str, kind: str) -> Array:
    """Bring images into (n, channels, height, width), sequences into (n, length, channels); all finite."""
    try:
        inputs = np.asarray(x)
    except ValueError as error:
        raise DataError(f"{where}: {kind} must all be of one shape") from error
    if inputs.dtype.kind not in "uifb":
        raise DataError(f"{where}: {kind} must be numbers, are {inputs.dtype}")
    inputs = _SHAPERS[kind](inputs, where)
    if not inputs.size:
        raise DataError(f"{where}: holds no {_UNITS[kind]}: {kind} are {inputs.shape}")
    with np.errstate(over="ignore"):  # what 32 bits cannot hold becomes infinite, and is refused below
        inputs = np.ascontiguousarray(inputs) if inputs.dtype == np.uint8 else inputs.astype(np.float32)
    broken = int((~np.isfinite(inputs)).reshape(len(inputs), -1).any(axis=1).sum())
    if broken:
        raise DataError(f"{where}: {broken} of {len(inputs)} {kind} hold NaN or infinite values")
    return inputs


def _as_images(inputs: Array, where: str) -> Array:
    images = inputs[:, None] if inputs.ndim == 3 else inputs
    if images.ndim != 4:
        hint = "; for sequences set data.kind to sequences" if inputs.ndim == 2 else ""
        raise DataError(
            f"{where}: images must be (n, height, width) with or without channels, are {images.shape}{hint}"
        )
    if images.shape[1] not in (1, 2, 3, 4) and images.shape[3] in (1, 2, 3, 4):
        images = images.transpose(0, 3, 1, 2)
    return images


def _as_sequences(inputs: Array, where: str) -> Array:
    sequences = inputs[:, :, None] if inputs.ndim == 2 else inputs
    if sequences.ndim != 3:
        raise DataError(f"{where}: sequences must be (n, length) or (n, length, channels), are {sequences.shape}")
    return sequences


_SHAPERS: Mapping[str, Callable[[Array, str], Array]] = {"images": _as_images, "sequences": _as_sequences}
_UNITS = {"images": "pixels", "sequences": "steps"}
