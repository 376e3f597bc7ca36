"""The truth about inputs: classes by name, labels that are borne or not, values."""

from __future__ import annotations

from typing import Any

import numpy as np

from moonas.errors import DataError
from moonas.spec.data import TargetKind

Array = np.ndarray[Any, Any]


def classes_of(y: Any, where: str) -> tuple[Array, Array]:
    """The names of the classes in their order, and the class of each input as its place there, int64.

    Raises:
        DataError: if there are no two, or some are missing.
    """
    names, labels = np.unique(_labels(y, where), return_inverse=True)
    if len(names) < 2:
        raise DataError(f"{where}: holds {len(names)} class; a classifier needs two or more")
    return names, labels.astype(np.int64)


def known_classes(y: Any, names: Array, where: str) -> Array:
    """The class of each input as its place in `names`, int64.

    Raises:
        DataError: if it is not there.
    """
    labels = _labels(y, where)
    strange = np.setdiff1d(labels, names)
    if len(strange):
        raise DataError(f"{where}: has classes that training lacks: {', '.join(map(str, strange[:5]))}")
    return np.searchsorted(names, labels).astype(np.int64)


def outputs_of(y: Any, where: str, target: TargetKind) -> tuple[Array, Array]:
    """The numbers of the labels or values of an input, and all of them, (n, outputs) float32.

    Raises:
        DataError: if they are no numbers, or labels are not 0 or 1.
    """
    try:
        values = np.asarray(y)
    except ValueError as error:
        raise DataError(f"{where}: {target} must be as many for each input") from error
    if values.dtype.kind not in "uifb":
        raise DataError(f"{where}: {target} must be numbers, are {values.dtype}")
    values = values[:, None] if values.ndim == 1 else values
    if values.ndim != 2 or not values.size:
        raise DataError(f"{where}: {target} must be (n, {target}), are {values.shape}")
    with np.errstate(over="ignore"):  # what 32 bits cannot hold becomes infinite, and is refused below
        values = values.astype(np.float32)
    broken = int((~np.isfinite(values)).any(axis=1).sum())
    if broken:
        raise DataError(f"{where}: {broken} of {len(values)} inputs have {target} that are NaN or infinite")
    if target == "labels" and not np.isin(values, (0, 1)).all():
        raise DataError(f"{where}: labels must be 0 or 1; for one class an input set data.target to class")
    return np.arange(values.shape[1]), values


def _labels(y: Any, where: str) -> Array:
    """Bring labels of any kind that can be compared into (n,)."""
    try:
        given = np.asarray(y)
    except ValueError as error:
        raise DataError(f"{where}: labels must be one value for each input") from error
    if given.ndim > 1 and given.size != len(given):
        raise DataError(
            f"{where}: labels must be one class for each input, are {given.shape}; "
            "of one-hot vectors give their argmax, for several labels an input set data.target to labels"
        )
    labels = given.reshape(-1)
    if labels.dtype.kind == "O":
        missing = sum(label is None or label != label for label in labels)
        if missing:
            raise DataError(f"{where}: {missing} of {len(labels)} labels are missing")
        labels = labels.astype(str)
    if labels.dtype.kind == "f" and not np.isfinite(labels).all():
        raise DataError(f"{where}: {int((~np.isfinite(labels)).sum())} of {len(labels)} labels are NaN or infinite")
    if labels.dtype.kind == "f" and (labels % 1).any():
        raise DataError(
            f"{where}: labels such as {labels[labels % 1 != 0][0]:g} are no classes; "
            "for numbers to be predicted set data.target to values"
        )
    return labels
