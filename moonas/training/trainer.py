"""One plain training loop on tensors in memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import cached_property, partial
from statistics import fmean
from typing import Any

import torch
from torch import nn

from moonas.errors import CandidateError
from moonas.network.architecture import Architecture, Task
from moonas.network.auxiliary import weighted_logits, without_auxiliary_heads
from moonas.spec.training import FidelitySpec, TrainingSpec
from moonas.training.augment import augment, shift_in_time
from moonas.training.optimisation import Step, graphed_step, one_cycle, plain_step, set_learning_rate, sgd
from moonas.training.precision import Precision, autocast, computing_fast
from moonas.training.prepared import Batch, PreparedData
from moonas.training.recalibration import EVALUATION_BATCH, recalibrate
from moonas.training.split import SearchData
from moonas.training.target import TARGETS

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
_CALIBRATION_IMAGES = 1024
_READ_EVERY = 50
"""Steps after which losses are read: on a GPU that waits for all that is under way."""
_MANY_STEPS = 200
"""From which on a training is long enough to be given up."""
_HOPE = 0.005
"""How much better than guessing the loss must be after half of the steps, as a share of it."""


class Trainer:
    """Trains networks on the training part of a data set and judges them on its validation part.

    Nesterov SGD under a one-cycle schedule (Smith & Topin, 2018, arXiv:1708.07120), label smoothing, weight decay on
    matrices and kernels (not on norms, biases, tokens and positions). Deterministic for a seed on a CPU with one
    thread. On a GPU data and augmentation are there, too, and a step is one launch.
    """

    def __init__(
        self,
        data: SearchData,
        fidelity: FidelitySpec,
        recipe: TrainingSpec,
        *,
        seed: int = 0,
        device: str = "cpu",
        precision: Precision = "float32",
    ):
        """Take the data and how much of them (`seed` draws which), the recipe, and how it is computed."""
        self.fidelity = fidelity
        self.recipe = recipe
        self.seeds = fidelity.seeds
        self.data = PreparedData(data, fidelity, seed=seed)
        self._target = TARGETS[data.target]
        self.device = torch.device(device)
        self.precision = precision
        self._there: dict[str, Batch] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_there": {}}

    @property
    def task(self) -> Task:
        """What trained networks take and give."""
        return self.data.task

    @property
    def validation(self) -> Batch:
        """Validation inputs (n, *task.input_shape), normalised, and their truth, (n,) or (n, task.classes)."""
        return self.data.validation

    @property
    def metric(self) -> str:
        """What `score` gives."""
        return self._target.metric

    @property
    def loss(self) -> Loss:
        """What training minimises: a function of outputs and their truth."""
        return self._target.loss

    def fit(self, architecture: Architecture, *, seed: int, losses: list[float] | None = None) -> nn.Module:
        """Build a network for the trainer's task and train it.

        What only its training needs, auxiliary heads, is gone from the network that is returned.

        Args:
            architecture: the network.
            seed: of all that is random.
            losses: gets the loss of each step, without those of auxiliary heads.

        Raises:
            CandidateError: if the loss stops being a number, or is that of guessing after half of a long training.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)  # modules draw their weights, and dropout its masks, from the global generator
            module = architecture.build(self.task)
            module.to(self.device, memory_format=self._layout)  # type: ignore[call-overload]
            with computing_fast(module, self.device, self.precision):
                self._train(module, torch.Generator().manual_seed(seed), [] if losses is None else losses)
        return without_auxiliary_heads(module)

    def score(self, module: nn.Module) -> float:
        """How good a module is on the validation part; for classes its accuracy, 0 to 1.

        Raises:
            CandidateError: if the module gives logits that are not finite.
        """
        module.eval()
        inputs, _ = self._on_device("validation")
        fast = computing_fast(module, self.device, self.precision)
        with torch.inference_mode(), fast, autocast(self.device, self.precision):
            outputs = torch.cat([module(batch).float() for batch in torch.split(inputs, EVALUATION_BATCH)]).cpu()
        if not torch.isfinite(outputs).all():
            raise CandidateError("training diverged: the outputs for validation data are not finite")
        return self._target.score(outputs, self.data.validation[1])

    def _train(self, module: nn.Module, generator: torch.Generator, losses: list[float]) -> None:
        inputs, labels = self._on_device("training")
        steps = self.fidelity.epochs * max(1, len(labels) // self.recipe.batch)
        optimizer = sgd(module.train(), self.recipe)
        step = self._step(module, optimizer, inputs[: self.recipe.batch], labels[: self.recipe.batch])
        unread: list[torch.Tensor] = []
        for number, batch in enumerate(self._batches(inputs, labels, generator)):
            set_learning_rate(optimizer, self.recipe.learning_rate * one_cycle(number, steps=steps))
            unread.append(step(*batch))
            if len(unread) == _READ_EVERY or number == steps - 1:
                losses += torch.stack(unread).tolist()
                unread.clear()
                self._refuse_hopeless(losses, steps)
        some = torch.randperm(len(labels), generator=generator)[:_CALIBRATION_IMAGES]
        with autocast(self.device, self.precision):
            recalibrate(module, inputs[some.to(self.device)])

    def _step(self, module: nn.Module, optimizer: torch.optim.SGD, inputs: torch.Tensor, labels: torch.Tensor) -> Step:
        """What takes one step of the optimizer on batches as `inputs` and `labels`."""
        loss = partial(self._losses, module)
        if self.device.type == "cuda":
            try:
                return graphed_step(module, loss, optimizer, inputs, labels)
            except torch.OutOfMemoryError:
                raise
            except RuntimeError:  # the network asks the CPU for something midway
                pass
        return plain_step(loss, optimizer)

    def _batches(self, inputs: torch.Tensor, labels: torch.Tensor, generator: torch.Generator) -> Iterator[Batch]:
        """The augmented batches of all epochs; an incomplete one at the end of an epoch is left out."""
        size = self.recipe.batch
        for _ in range(self.fidelity.epochs):
            order = torch.randperm(len(labels), generator=generator).to(self.device)
            for indices in torch.split(order, size)[: max(1, len(order) // size)]:
                yield self._augmented(inputs[indices], generator), labels[indices]

    def _augmented(self, batch: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        if batch.ndim == 3:
            return shift_in_time(batch, self.recipe.shift, generator)
        return augment(batch, self.recipe.shift, self.recipe.flip, generator)

    def _losses(self, module: nn.Module, inputs: torch.Tensor, labels: torch.Tensor) -> list[torch.Tensor]:
        """The loss, and that of auxiliary heads, each by its weight."""
        with autocast(self.device, self.precision):
            outputs = weighted_logits(module, inputs)
        smoothing = self.recipe.label_smoothing
        return [weight * self._target.loss(logits.float(), labels, smoothing) for weight, logits in outputs]

    def _refuse_hopeless(self, losses: list[float], steps: int) -> None:
        """End a training that diverged, or, if that is wanted, that has learnt nothing after half of many steps."""
        recent = losses[-_READ_EVERY:]
        if not all(map(math.isfinite, recent)):
            epoch = math.ceil(self.fidelity.epochs * len(losses) / steps)
            raise CandidateError(f"training diverged: the loss is {recent[-1]} in epoch {epoch}")
        enough = steps >= _MANY_STEPS and steps / 2 <= len(losses) < steps
        stops = self.recipe.stop_hopeless and enough
        if stops and fmean(recent) > self._guess * (1 - _HOPE):
            so_far = f"after {len(losses)} of {steps} steps the loss is {fmean(recent):.3f}"
            raise CandidateError(f"training is hopeless: {so_far}, and guessing gives {self._guess:.3f}")

    @cached_property
    def _guess(self) -> float:
        """The loss of answering every input alike."""
        smoothing = self.recipe.label_smoothing
        return self._target.guess(self.data.training[1], outputs=self.task.classes, smoothing=smoothing)

    def _on_device(self, part: str) -> Batch:
        """The training or validation part where it is computed with; moved there once."""
        if part not in self._there:
            inputs, labels = getattr(self.data, part)
            layout = self._layout if inputs.ndim == 4 else torch.contiguous_format
            self._there[part] = inputs.to(self.device, memory_format=layout), labels.to(self.device)
        return self._there[part]

    @property
    def _layout(self) -> torch.memory_format:
        """Channels last is faster on a CPU. On a GPU cuDNN takes longer to prepare for it than short trainings take."""
        return torch.channels_last if self.device.type == "cpu" else torch.contiguous_format
