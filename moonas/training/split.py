"""The three-way split: train updates weights, val selects, and the test part stays out of sight.

What a search gets is `SearchData`, which holds no test part at all. `moonas.training.test_split` hands it out to those
who judge final networks; an import contract keeps every module of the search away from it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from moonas.errors import DataError
from moonas.network.architecture import Task
from moonas.spec.data import DataSpec, TargetKind
from moonas.training.data_sets import DataSet, Part, load_data_set


@dataclass(frozen=True)
class SearchData:
    """What a search may see.

    Attributes:
        train: for weights.
        val: for selection.
        classes: their names.
        target: what is learnt of each input.
    """

    train: Part
    val: Part
    classes: tuple[str, ...]
    target: TargetKind = "class"

    @property
    def fingerprint(self) -> str:
        """A digest of all that is in it: the same data in the same parts, wherever they lie."""
        digest = hashlib.sha256(repr(self.classes).encode())
        for array in (self.train.inputs, self.train.labels, self.val.inputs, self.val.labels):
            digest.update(f"{array.dtype}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()[:16]

    @property
    def task(self) -> Task:
        """What a network for these data takes and gives."""
        return Task(self.train.inputs.shape[1:], len(self.classes))


def load_search_data(spec: DataSpec) -> SearchData:
    """Load a data set and drop its test part.

    Raises:
        DataError: if it cannot be loaded or split.
    """
    data = load_data_set(spec)
    train, val, _ = split_indices(data, spec)
    return SearchData(data.main.take(train), data.main.take(val), data.classes, data.target)


def split_indices(data: DataSet, spec: DataSpec) -> tuple[Any, Any, Any]:
    """Indices of the training, validation and test inputs in `data.main`, stratified by class, fixed by the seed.

    Raises:
        DataError: if a class is too small to be in all parts, or the shares do not fit the data set.
    """
    shares = spec.split
    if data.test is not None and shares.test > 0:
        raise DataError(f"data {spec.name} brings its own test part: set data.split.test to 0")
    if data.test is None and shares.test == 0:
        raise DataError(f"data {spec.name} has no test part: set data.split.test to more than 0")
    everything = np.arange(len(data.main))
    rest, test = _stratified(everything, data, shares.test, spec.seed, "test")
    train, val = _stratified(rest, data, shares.val / (shares.train + shares.val), spec.seed, "val")
    parts = {"train": train, "val": val} | ({"test": test} if data.test is None else {})
    for name, indices in parts.items():
        _check_part(data, indices, name)
    return train, val, test


def _check_part(data: DataSet, indices: Any, name: str) -> None:
    """Refuse a part that lacks a class, a label, or any difference in a value."""
    labels = data.main.labels[indices]
    if data.target == "class":
        missing = np.setdiff1d(data.main.labels, labels)
        if len(missing):
            raise _too_small(data, int(missing[0]), name)
    elif not len(labels) or (np.ptp(labels, axis=0) == 0).any():
        alike = int(np.ptp(labels, axis=0).argmin()) if len(labels) else 0
        what = f"{data.target.removesuffix('s')} {alike} is the same for all inputs of its {name} part"
        raise DataError(f"data cannot be learnt: {what}; leave it out, or give the part a larger share")


def _stratified(indices: Any, data: DataSet, share: float, seed: int, part: str) -> tuple[Any, Any]:
    """Take `share` of the indices out; classes in proportion, else by chance."""
    from sklearn.model_selection import train_test_split

    if share == 0:
        return indices, indices[:0]
    labels = data.main.labels[indices] if data.target == "class" else None
    try:
        kept, taken = train_test_split(indices, test_size=share, random_state=seed, stratify=labels)
    except ValueError as error:
        if labels is None:
            raise DataError(f"data cannot be split: {len(indices)} {data.main.kind} are too few") from error
        counts = np.bincount(labels, minlength=len(data.classes))
        raise _too_small(data, int(counts.argmin()), part) from error
    return np.sort(kept), np.sort(taken)


def _too_small(data: DataSet, label: int, part: str) -> DataError:
    count = int((data.main.labels == label).sum())
    return DataError(
        f"data cannot be split: the {part} part would lack class {data.classes[label]}, which has {count} of "
        f"{len(data.main)} {data.main.kind}; give it more, or the part a larger share"
    )
