"""Data made ready for training, once: subset, normalised, resized, laid out, in memory that workers share."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from moonas.network.architecture import Task
from moonas.spec.training import FidelitySpec
from moonas.training.data_sets import Part
from moonas.training.split import SearchData

Batch = tuple[torch.Tensor, torch.Tensor]
_STATISTICS_INPUTS = 1024
_PREPARED = ("training", "validation")


class PreparedData:
    """What one fidelity sees of the data, as tensors.

    Pickled, it is arrays without the rest of the data; `study/handover.py` maps these into all workers.

    Attributes:
        task: what networks for it take and give.
    """

    def __init__(self, data: SearchData, fidelity: FidelitySpec, *, seed: int = 0):
        """Take the data and how much of them (`seed` draws which)."""
        self.task = task_at(data.task, fidelity)
        self._data = data
        self._samples = fidelity.samples
        self._seed = seed

    def __getstate__(self) -> dict[str, Any]:
        prepared = {name: [_as_array(each) for each in getattr(self, name)] for name in _PREPARED}
        return {**vars(self), "_data": None, **prepared}

    def __setstate__(self, state: dict[str, Any]) -> None:
        prepared = {name: tuple(_as_tensor(each) for each in state[name]) for name in _PREPARED}
        vars(self).update({**state, **prepared})

    @cached_property
    def training(self) -> Batch:
        """Training inputs (n, *task.input_shape), normalised, and their truth, (n,) or (n, task.classes)."""
        return self._prepare(subset(self._data.train, self._samples, seed=self._seed))

    @cached_property
    def validation(self) -> Batch:
        """Validation inputs (n, *task.input_shape), normalised, and their truth, (n,) or (n, task.classes)."""
        return self._prepare(self._data.val)

    def first(self, count: int) -> Batch:
        """So many training inputs, all classes in their shares."""
        return self._prepare(subset(self._data.train, count, seed=self._seed))

    def _prepare(self, part: Part) -> Batch:
        """Normalise by the training inputs' mean and deviation, resize images and lay them out for convolutions."""
        mean, deviation = self._statistics
        inputs = (torch.from_numpy(part.inputs).float() - mean) / deviation
        labels = torch.from_numpy(self._standardised(part.labels))
        if inputs.ndim == 3:
            return inputs, labels
        sides = self.task.input_shape[1:]
        if inputs.shape[-2:] != sides:
            inputs = functional.interpolate(inputs, sides, mode="bilinear", antialias=True)
        return inputs.contiguous(memory_format=torch.channels_last), labels

    def _standardised(self, labels: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Values by their mean and deviation in training, so that recipes do not depend on their unit."""
        if self._data.target != "values":
            return labels
        known = self._data.train.labels.astype(np.float64)
        standardised: np.ndarray[Any, Any] = (labels - known.mean(axis=0)) / known.std(axis=0)
        return standardised.astype(np.float32)

    @cached_property
    def _statistics(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and deviation of each channel, in a shape that fits the inputs; a constant channel's counts as 1."""
        inputs = self._data.train.inputs
        over = (0, 2, 3) if inputs.ndim == 4 else (0, 1)
        chunks = [inputs[start : start + _STATISTICS_INPUTS] for start in range(0, len(inputs), _STATISTICS_INPUTS)]
        # Chunk by chunk: in 64 bits, all inputs at once would take many times the memory of the data.
        count = inputs.size // inputs.shape[1 if inputs.ndim == 4 else 2]
        mean = sum(chunk.sum(over, dtype=np.float64, keepdims=True) for chunk in chunks) / count
        deviation = np.sqrt(sum(np.square(chunk - mean).sum(over, keepdims=True) for chunk in chunks) / count)
        largest = np.maximum(np.abs(inputs.max(over, keepdims=True)), np.abs(inputs.min(over, keepdims=True)))
        # A channel that never changes carries nothing; dividing by its noise would blow up what differs elsewhere.
        deviation[deviation <= 1e-6 * largest] = 1.0
        return torch.from_numpy(mean).float(), torch.from_numpy(deviation).float()


def task_at(whole: Task, fidelity: FidelitySpec) -> Task:
    """What trained networks take and give: images of the resolution of the fidelity."""
    if fidelity.resolution is None:
        return whole
    channels, *sides = whole.input_shape
    return Task((channels, *resized(sides, fidelity.resolution)), whole.classes)


def _as_array(tensor: torch.Tensor) -> np.ndarray[Any, Any]:
    """A tensor as an array, images with their channels last, as they lie in memory."""
    return (tensor.permute(0, 2, 3, 1) if tensor.ndim == 4 else tensor).numpy()


def _as_tensor(array: np.ndarray[Any, Any]) -> torch.Tensor:
    tensor = torch.from_numpy(array)
    return tensor.permute(0, 3, 1, 2) if tensor.ndim == 4 else tensor


def resized(sides: Sequence[int], resolution: int) -> tuple[int, int]:
    """Height and width of images whose shorter side becomes `resolution`, their proportions kept."""
    height, width = (max(1, round(side * resolution / min(sides))) for side in sides)
    return height, width


def subset(part: Part, samples: int | None, *, seed: int = 0) -> Part:
    """Draw a part of `samples` inputs; if they have classes, each has its share, to within one input."""
    if samples is None or samples >= len(part):
        return part
    order = np.random.default_rng(seed).permutation(len(part))  # data sets may be sorted in ways that matter
    if part.labels.ndim > 1:
        return part.take(np.sort(order[:samples]))
    counts = np.bincount(part.labels)
    due = counts * samples / len(part)
    shares = np.floor(due).astype(np.int64)
    shares[np.argsort(shares - due, kind="stable")[: samples - shares.sum()]] += 1  # the largest remainders
    taken = [order[part.labels[order] == label][:share] for label, share in enumerate(shares)]
    return part.take(np.sort(np.concatenate(taken)))
