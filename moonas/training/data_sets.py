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
from moonas.spec.data import DataSpec

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Part:
    """Images or sequences, and their labels.

    Attributes:
        inputs: (n, channels, height, width) or (n, length, channels), as stored: uint8 or float32.
        labels: (n,), int64 from 0.
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
        classes: the names of the classes, in the order of the labels.
    """

    main: Part
    test: Part | None
    classes: tuple[str, ...]


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
    return assemble(arrays, where, kind=spec.kind)


def assemble(arrays: Any, where: str, *, kind: str = "images") -> DataSet:
    """Check raw arrays and bring them into shape.

    Args:
        arrays: (x, y), (x_train, y_train, x_test, y_test), or a mapping with these names.
        where: how messages call them.
        kind: `images` or `sequences`.

    Raises:
        DataError: if they do not fit together.
    """
    x, y, x_test, y_test = _unpack(arrays, where)
    inputs, raw_labels = _inputs(x, where, kind), _labels(y, where)
    names, labels = np.unique(raw_labels, return_inverse=True)
    if len(names) < 2:
        raise DataError(f"{where}: holds {len(names)} class; a classifier needs two or more")
    main = _part(inputs, labels, where)
    test = None if x_test is None else _test_part(x_test, y_test, main, names, f"{where}, test part")
    return DataSet(main, test, tuple(str(name) for name in names))


def _test_part(x: Any, y: Any, main: Part, names: Array, where: str) -> Part:
    inputs, labels = _inputs(x, where, main.kind), _labels(y, where)
    strange = np.setdiff1d(labels, names)
    if len(strange):
        raise DataError(f"{where}: has classes that training lacks: {', '.join(map(str, strange[:5]))}")
    if inputs.shape[1:] != main.inputs.shape[1:]:
        raise DataError(f"{where}: {main.kind} are {inputs.shape[1:]}, those for training {main.inputs.shape[1:]}")
    return _part(inputs, np.searchsorted(names, labels), where)


def _part(inputs: Array, labels: Array, where: str) -> Part:
    part = Part(inputs, labels.astype(np.int64))
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


def _labels(y: Any, where: str) -> Array:
    """Bring labels of any kind that can be compared into (n,)."""
    try:
        labels = np.asarray(y).reshape(-1)
    except ValueError as error:
        raise DataError(f"{where}: labels must be one value for each input") from error
    if labels.dtype.kind == "O":
        missing = sum(label is None or label != label for label in labels)
        if missing:
            raise DataError(f"{where}: {missing} of {len(labels)} labels are missing")
        labels = labels.astype(str)
    if labels.dtype.kind == "f" and not np.isfinite(labels).all():
        raise DataError(f"{where}: {int((~np.isfinite(labels)).sum())} of {len(labels)} labels are NaN or infinite")
    return labels
