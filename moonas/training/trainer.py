"""One plain training loop on tensors in memory."""

from __future__ import annotations

import math
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from moonas.architecture.architecture import Architecture, Task
from moonas.errors import CandidateError
from moonas.spec.training import FidelitySpec, TrainingSpec
from moonas.training.augment import augment
from moonas.training.data_sets import Part
from moonas.training.split import SearchData

_EVALUATION_BATCH = 512
_CALIBRATION_IMAGES = 1024
_START = 1 / 25
"""The first learning rate as a share of the peak."""


class Trainer:
    """Trains networks on the training part of a data set and judges them on its validation part.

    Nesterov SGD under a one-cycle schedule (Smith & Topin, 2018, arXiv:1708.07120), label smoothing, no weight decay on
    vectors (norms and biases), 32-bit floats. Deterministic for a seed on a CPU with one thread.
    """

    def __init__(self, data: SearchData, fidelity: FidelitySpec, recipe: TrainingSpec):
        """Take the data and how much of them, and the recipe."""
        self.data = data
        self.fidelity = fidelity
        self.recipe = recipe
        self.seeds = fidelity.seeds

    def fit(self, architecture: Architecture, task: Task, *, seed: int) -> nn.Module:
        """Build a network for `task` and train it; all randomness comes from `seed`.

        Raises:
            CandidateError: if the loss stops being a number.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)  # modules draw their weights, and dropout its masks, from the global generator
            module = architecture.build(task)
            module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            self._train(module, torch.Generator().manual_seed(seed))
        return module

    def accuracy(self, module: nn.Module) -> float:
        """The share of validation images classified right, 0 to 1.

        Raises:
            CandidateError: if the module gives logits that are not finite.
        """
        module.eval()
        images, labels = self.validation
        right = 0
        with torch.inference_mode():
            for batch, truth in zip(*(torch.split(part, _EVALUATION_BATCH) for part in (images, labels)), strict=True):
                logits = module(batch)
                if not torch.isfinite(logits).all():
                    raise CandidateError("training diverged: the logits of validation images are not finite")
                right += int((logits.argmax(dim=1) == truth).sum())
        return right / len(labels)

    @cached_property
    def validation(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Validation images (n, channels, height, width), normalised, and labels (n,)."""
        return self._prepare(self.data.val)

    def _train(self, module: nn.Module, generator: torch.Generator) -> None:
        images, labels = self._training
        steps_per_epoch = max(1, len(labels) // self.recipe.batch)
        optimizer, schedule = self._optimizer(module, self.fidelity.epochs * steps_per_epoch)
        module.train()
        for epoch in range(self.fidelity.epochs):
            order = torch.randperm(len(labels), generator=generator)
            for indices in torch.split(order, self.recipe.batch)[:steps_per_epoch]:  # an incomplete batch is left out
                batch = augment(images[indices], self.recipe.shift, self.recipe.flip, generator)
                loss = functional.cross_entropy(
                    module(batch), labels[indices], label_smoothing=self.recipe.label_smoothing
                )
                if not torch.isfinite(loss):
                    raise CandidateError(f"training diverged: the loss is {loss.item()} in epoch {epoch + 1}")
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                schedule.step()
        recalibrate(module, images[torch.randperm(len(labels), generator=generator)[:_CALIBRATION_IMAGES]])

    def _optimizer(self, module: nn.Module, steps: int) -> tuple[torch.optim.Optimizer, Any]:
        parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
        groups = [
            {"params": [p for p in parameters if p.ndim > 1], "weight_decay": self.recipe.weight_decay},
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
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
        return self._prepare(subset(self.data.train, self.fidelity.samples))

    def _prepare(self, part: Part) -> tuple[torch.Tensor, torch.Tensor]:
        """Normalise by the training images' mean and deviation, resize, lay out for convolutions."""
        mean, deviation = self._statistics
        images = (torch.from_numpy(part.images).float() - mean) / deviation
        side = self.fidelity.resolution
        if side is not None and images.shape[-2:] != (side, side):
            images = functional.interpolate(images, (side, side), mode="bilinear", antialias=True)
        return images.contiguous(memory_format=torch.channels_last), torch.from_numpy(part.labels)

    @cached_property
    def _statistics(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and deviation of each channel, both (1, channels, 1, 1); a constant channel's deviation counts as 1."""
        images = torch.from_numpy(self.data.train.images).double()
        mean = images.mean(dim=(0, 2, 3), keepdim=True)
        deviation = images.std(dim=(0, 2, 3), keepdim=True)
        # A channel that never changes carries nothing; dividing by its noise would blow up what differs elsewhere.
        constant = deviation <= 1e-6 * images.abs().amax(dim=(0, 2, 3), keepdim=True)
        return mean.float(), deviation.masked_fill(constant, 1.0).float()


def recalibrate(module: nn.Module, images: torch.Tensor) -> None:
    """Set the statistics of batch normalisation to those of `images` under the final weights.

    Running averages lag behind the weights, and after a short training they still remember their initial values (Wu &
    Johnson, 2021, arXiv:2105.07576).

    Args:
        module: with any batch normalisation layers, or none.
        images: (n, channels, height, width).
    """
    norms = [layer for layer in module.modules() if isinstance(layer, nn.modules.batchnorm._BatchNorm)]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # plain averages over the batches
    module.train()
    with torch.no_grad():
        for batch in torch.chunk(images, math.ceil(len(images) / _EVALUATION_BATCH)):  # of like size
            module(batch)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def one_cycle(step: int, *, steps: int) -> float:
    """The learning rate of a step as a share of the peak: up in the first quarter, down to zero, both as cosines."""
    peak = 0.25 * steps
    if step < peak:
        return _START + (1 - _START) * (1 - math.cos(math.pi * step / peak)) / 2
    return (1 + math.cos(math.pi * min(step - peak, steps - peak) / (steps - peak))) / 2


def subset(part: Part, samples: int | None) -> Part:
    """A stratified part of `samples` images: each class has its share, to within one image."""
    if samples is None or samples >= len(part):
        return part
    counts = np.bincount(part.labels)
    due = counts * samples / len(part)
    shares = np.floor(due).astype(np.int64)
    shares[np.argsort(shares - due, kind="stable")[: samples - shares.sum()]] += 1  # the largest remainders
    taken = [np.flatnonzero(part.labels == label)[:share] for label, share in enumerate(shares)]
    return part.take(np.sort(np.concatenate(taken)))
