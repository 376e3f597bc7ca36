"""One plain training loop on tensors in memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from moonas.errors import CandidateError
from moonas.network.architecture import Architecture, Task
from moonas.network.auxiliary import weighted_logits, without_auxiliary_heads
from moonas.spec.training import FidelitySpec, TrainingSpec
from moonas.training.augment import augment, shift_in_time
from moonas.training.data_sets import Part
from moonas.training.recalibration import EVALUATION_BATCH, recalibrate
from moonas.training.split import SearchData

_CALIBRATION_IMAGES = 1024
_STATISTICS_INPUTS = 1024
_PREPARED = ("_training", "validation")
_START = 1 / 25
"""The first learning rate as a share of the peak."""


class Trainer:
    """Trains networks on the training part of a data set and judges them on its validation part.

    Nesterov SGD under a one-cycle schedule (Smith & Topin, 2018, arXiv:1708.07120), label smoothing, weight decay on
    matrices and kernels (not on norms, biases, tokens and positions), 32-bit floats. Deterministic for a seed on a CPU
    with one thread.
    """

    def __init__(self, data: SearchData, fidelity: FidelitySpec, recipe: TrainingSpec, *, seed: int = 0):
        """Take the data and how much of them (`seed` draws which), and the recipe."""
        self.fidelity = fidelity
        self.recipe = recipe
        self.seeds = fidelity.seeds
        self.task = _task(data.task, fidelity)
        self._data = data
        self._seed = seed

    def __getstate__(self) -> dict[str, Any]:
        """What worker processes get: the images prepared, as arrays that processes can share."""
        prepared = {name: [_as_array(each) for each in getattr(self, name)] for name in _PREPARED}
        return {**vars(self), "_data": None, **prepared}

    def __setstate__(self, state: dict[str, Any]) -> None:
        prepared = {name: tuple(_as_tensor(each) for each in state[name]) for name in _PREPARED}
        vars(self).update({**state, **prepared})

    def fit(self, architecture: Architecture, *, seed: int, losses: list[float] | None = None) -> nn.Module:
        """Build a network for the trainer's task and train it.

        What only its training needs, auxiliary heads, is gone from the network that is returned.

        Args:
            architecture: the network.
            seed: of all that is random.
            losses: gets the loss of each step, without those of auxiliary heads.

        Raises:
            CandidateError: if the loss stops being a number.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)  # modules draw their weights, and dropout its masks, from the global generator
            module = architecture.build(self.task)
            module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            self._train(module, torch.Generator().manual_seed(seed), [] if losses is None else losses)
        return without_auxiliary_heads(module)

    def accuracy(self, module: nn.Module) -> float:
        """The share of validation images classified right, 0 to 1.

        Raises:
            CandidateError: if the module gives logits that are not finite.
        """
        module.eval()
        images, labels = self.validation
        right = 0
        with torch.inference_mode():
            for batch, truth in zip(*(torch.split(part, EVALUATION_BATCH) for part in (images, labels)), strict=True):
                logits = module(batch)
                if not torch.isfinite(logits).all():
                    raise CandidateError("training diverged: the logits of validation images are not finite")
                right += int((logits.argmax(dim=1) == truth).sum())
        return right / len(labels)

    @cached_property
    def validation(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Validation images (n, channels, height, width), normalised, and labels (n,)."""
        return self._prepare(self._data.val)

    def first(self, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        """So many training images, all classes in their shares, as the network sees them without augmentation."""
        return self._prepare(subset(self._data.train, count, seed=self._seed))

    def _train(self, module: nn.Module, generator: torch.Generator, losses: list[float]) -> None:
        images, labels = self._training
        steps_per_epoch = max(1, len(labels) // self.recipe.batch)
        optimizer, schedule = self._optimizer(module, self.fidelity.epochs * steps_per_epoch)
        module.train()
        for epoch in range(self.fidelity.epochs):
            order = torch.randperm(len(labels), generator=generator)
            for indices in torch.split(order, self.recipe.batch)[:steps_per_epoch]:  # an incomplete batch is left out
                batch = self._augmented(images[indices], generator)
                loss, *of_heads = self._losses(module, batch, labels[indices])
                losses.append(loss.item())
                loss = sum(of_heads, loss)
                if not torch.isfinite(loss):
                    raise CandidateError(f"training diverged: the loss is {loss.item()} in epoch {epoch + 1}")
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                schedule.step()
        recalibrate(module, images[torch.randperm(len(labels), generator=generator)[:_CALIBRATION_IMAGES]])

    def _augmented(self, batch: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        if batch.ndim == 3:
            return shift_in_time(batch, self.recipe.shift, generator)
        return augment(batch, self.recipe.shift, self.recipe.flip, generator)

    def _losses(self, module: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> list[torch.Tensor]:
        """Cross-entropy, and that of auxiliary heads, each by its weight."""
        smoothing = self.recipe.label_smoothing
        return [
            weight * functional.cross_entropy(logits, labels, label_smoothing=smoothing)
            for weight, logits in weighted_logits(module, images)
        ]

    def _optimizer(self, module: nn.Module, steps: int) -> tuple[torch.optim.Optimizer, Any]:
        parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
        groups = [
            {"params": [p for p in parameters if _multiplies(p)], "weight_decay": self.recipe.weight_decay},
            {"params": [p for p in parameters if not _multiplies(p)], "weight_decay": 0.0},
        ]
        optimizer = torch.optim.SGD(
            [group for group in groups if group["params"]],
            lr=self.recipe.learning_rate,
            momentum=self.recipe.momentum,
            nesterov=self.recipe.momentum > 0,
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, partial(one_cycle, steps=steps))
        return optimizer, schedule

    @cached_property
    def _training(self) -> tuple[torch.Tensor, torch.Tensor]:
        return self._prepare(subset(self._data.train, self.fidelity.samples, seed=self._seed))

    def _prepare(self, part: Part) -> tuple[torch.Tensor, torch.Tensor]:
        """Normalise by the training inputs' mean and deviation, resize images and lay them out for convolutions."""
        mean, deviation = self._statistics
        inputs = (torch.from_numpy(part.inputs).float() - mean) / deviation
        labels = torch.from_numpy(part.labels)
        if inputs.ndim == 3:
            return inputs, labels
        sides = self.task.input_shape[1:]
        if inputs.shape[-2:] != sides:
            inputs = functional.interpolate(inputs, sides, mode="bilinear", antialias=True)
        return inputs.contiguous(memory_format=torch.channels_last), labels

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


def _multiplies(parameter: torch.Tensor) -> bool:
    """Whether a parameter is a matrix or a kernel: neither a vector nor tokens or positions, (1, tokens, width)."""
    return parameter.ndim > 1 and not (parameter.ndim == 3 and len(parameter) == 1)


def _task(whole: Task, fidelity: FidelitySpec) -> Task:
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


def one_cycle(step: int, *, steps: int) -> float:
    """The learning rate of a step as a share of the peak: up in the first quarter, down to zero, both as cosines."""
    peak = 0.25 * steps
    if step < peak:
        return _START + (1 - _START) * (1 - math.cos(math.pi * step / peak)) / 2
    return (1 + math.cos(math.pi * min(step - peak, steps - peak) / (steps - peak))) / 2


def resized(sides: Sequence[int], resolution: int) -> tuple[int, int]:
    """Height and width of images whose shorter side becomes `resolution`, their proportions kept."""
    height, width = (max(1, round(side * resolution / min(sides))) for side in sides)
    return height, width


def subset(part: Part, samples: int | None, *, seed: int = 0) -> Part:
    """Draw a stratified part of `samples` images: each class has its share, to within one image."""
    if samples is None or samples >= len(part):
        return part
    counts = np.bincount(part.labels)
    due = counts * samples / len(part)
    shares = np.floor(due).astype(np.int64)
    shares[np.argsort(shares - due, kind="stable")[: samples - shares.sum()]] += 1  # the largest remainders
    order = np.random.default_rng(seed).permutation(len(part))  # data sets may be sorted in ways that matter
    taken = [order[part.labels[order] == label][:share] for label, share in enumerate(shares)]
    return part.take(np.sort(np.concatenate(taken)))
