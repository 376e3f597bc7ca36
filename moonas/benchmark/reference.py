"""The training loop that an engineer writes by hand, clean and plain: what moonas's own is held against.

A `Dataset` that transforms image by image, a `DataLoader` with two processes, 32-bit floats, SGD. With `epoch_cosine`
it is the loop of tutorials. With `one_cycle` it has most of the recipe of moonas, so that what moonas gains by its
recipe and what it gains by its engineering are told apart, though not perfectly. What it does not share, as engineers
rarely write it, still counts as engineering:

- batches are of 128 images whatever `training.batch`, under the same learning rates, and the last may be smaller;
- what a shift brings in is black, where moonas repeats the border;
- weight decay is on all parameters, norms and biases too;
- the statistics of BatchNorm are the running ones, not measured again under the final weights;
- images are normalised as those that are trained on, resized, and not as all training images;
- no training is given up as hopeless.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset, RandomSampler

from moonas.network.architecture import Architecture, Task
from moonas.network.auxiliary import weighted_logits, without_auxiliary_heads
from moonas.spec.training import FidelitySpec, TrainingSpec
from moonas.training.data_sets import Part
from moonas.training.prepared import subset, task_at
from moonas.training.split import SearchData

Loader = DataLoader[tuple[torch.Tensor, torch.Tensor]]
Recipe = Literal["epoch_cosine", "one_cycle"]
RECIPES: tuple[Recipe, ...] = get_args(Recipe)
BATCH = 128
LEAST_STEPS = 5
"""With fewer, PyTorch's one cycle has no rise."""
_VALIDATION_BATCH = 512
_LEARNING_RATE = 0.05
"""Of `epoch_cosine`; `one_cycle` has the peak of moonas's recipe."""


class Images(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """Images in memory, each augmented and normalised when it is asked for.

    Attributes:
        shift: the largest random shift, in pixels to each side; what comes in from outside is black.
        flip: whether images are mirrored at random.
    """

    def __init__(
        self, part: Part, statistics: tuple[torch.Tensor, torch.Tensor], *, shift: int = 0, flip: bool = False
    ):
        """Take images (n, channels, height, width) and the mean and deviation of each channel, (channels, 1, 1)."""
        self.images, self.labels = torch.from_numpy(part.inputs), torch.from_numpy(part.labels)
        self.mean, self.deviation = statistics
        self.shift, self.flip = shift, flip

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        image = self.images[index]
        if self.shift:
            image = _random_crop(functional.pad(image, (self.shift,) * 4), self.shift)
        if self.flip and torch.rand(()) < 0.5:
            image = image.flip(-1)
        return (image.float() - self.mean) / self.deviation, self.labels[index]


def _random_crop(padded: torch.Tensor, shift: int) -> torch.Tensor:
    top, left = torch.randint(2 * shift + 1, (2,)).tolist()
    height, width = padded.shape[-2] - 2 * shift, padded.shape[-1] - 2 * shift
    return padded[:, top : top + height, left : left + width]


@dataclass(frozen=True)
class ReferenceLoop:
    """Trains a network on the training part, and judges it on the validation part.

    Attributes:
        data: of images.
        fidelity: how much training.
        training: the recipe of moonas, of which `one_cycle` takes all but the batch, and `epoch_cosine` momentum,
            weight decay and augmentation.
        recipe: which of the two.
        device: `cpu` or `cuda`.
        loaders: processes that load images, while this one trains; 0 loads here. Apart from the random numbers of the
            augmentation the result is the same.
        subset_seed: draws the images of the fidelity, as for moonas's trainer.
    """

    data: SearchData
    fidelity: FidelitySpec
    training: TrainingSpec
    recipe: Recipe
    device: str = "cpu"
    loaders: int = 2
    subset_seed: int = 0

    def __call__(self, architecture: Architecture, *, seed: int) -> tuple[float, float]:
        """Build, train and judge a network.

        Returns:
            Its accuracy on the validation images, and the seconds that all this took.
        """
        _ = self._train_loader, self._validation_loader  # once for all networks
        start = time.perf_counter()
        accuracy = self.accuracy(self.fit(architecture, seed=seed))
        return accuracy, time.perf_counter() - start

    def fit(self, architecture: Architecture, *, seed: int) -> nn.Module:
        """Build and train a network; `seed` is of all that is random."""
        torch.manual_seed(seed)
        module = architecture.build(self.task).to(self.device)
        self._order.manual_seed(seed)
        optimizer, scheduler, criterion = self._optimization(module, len(self._train_loader))
        module.train()
        for _ in range(self.fidelity.epochs):
            for images, labels in self._batches(self._train_loader):
                loss = sum(weight * criterion(logits, labels) for weight, logits in weighted_logits(module, images))
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                if self.recipe == "one_cycle":
                    scheduler.step()
            if self.recipe == "epoch_cosine":
                scheduler.step()
        return without_auxiliary_heads(module)

    def accuracy(self, module: nn.Module) -> float:
        """The share of validation images classified right."""
        module.eval()
        right = torch.zeros((), dtype=torch.int64, device=self.device)
        with torch.inference_mode():
            for images, labels in self._batches(self._validation_loader):
                right += (module(images).argmax(dim=1) == labels).sum()
        return int(right) / len(self.data.val)

    @property
    def task(self) -> Task:
        """What the networks take and give."""
        return task_at(self.data.task, self.fidelity)

    def _optimization(self, module: nn.Module, steps: int) -> tuple[torch.optim.SGD, Any, nn.CrossEntropyLoss]:
        """Optimizer, learning rates (for `steps` an epoch), and loss."""
        ours, epochs, one_cycle = self.training, self.fidelity.epochs, self.recipe == "one_cycle"
        optimizer = torch.optim.SGD(
            module.parameters(),
            lr=_LEARNING_RATE,
            momentum=ours.momentum,
            nesterov=one_cycle and ours.momentum > 0,
            weight_decay=ours.weight_decay,
        )
        if not one_cycle:
            return optimizer, torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs), nn.CrossEntropyLoss()
        scheduler = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, ours.learning_rate, total_steps=epochs * steps, pct_start=0.25, cycle_momentum=False
        )
        return optimizer, scheduler, nn.CrossEntropyLoss(label_smoothing=ours.label_smoothing)

    def _batches(self, loader: Loader) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for images, labels in loader:
            yield images.to(self.device, non_blocking=True), labels.to(self.device, non_blocking=True)

    @cached_property
    def _train_loader(self) -> Loader:
        images = Images(self._part, self._statistics, shift=self.training.shift, flip=self.training.flip)
        return self._loader(images, batch_size=BATCH, sampler=RandomSampler(images, generator=self._order))

    @cached_property
    def _validation_loader(self) -> Loader:
        images = Images(_resized(self.data.val, self.task), self._statistics)
        return self._loader(images, batch_size=_VALIDATION_BATCH)

    def _loader(self, images: Images, **options: Any) -> Loader:
        """A loader whose processes stay from network to network."""
        return DataLoader(
            images,
            num_workers=self.loaders,
            persistent_workers=self.loaders > 0,
            # A fork of a process that has used OpenMP can hang, and ours has prepared the images.
            multiprocessing_context="forkserver" if self.loaders else None,
            pin_memory=self.device == "cuda",
            **options,
        )

    @cached_property
    def _order(self) -> torch.Generator:
        return torch.Generator()

    @cached_property
    def _part(self) -> Part:
        return _resized(subset(self.data.train, self.fidelity.samples, seed=self.subset_seed), self.task)

    @cached_property
    def _statistics(self) -> tuple[torch.Tensor, torch.Tensor]:
        deviation, mean = torch.std_mean(torch.from_numpy(self._part.inputs).float(), dim=(0, 2, 3))
        return mean.view(-1, 1, 1), deviation.clamp(min=1e-6).view(-1, 1, 1)


def _resized(part: Part, task: Task) -> Part:
    """Images as large as a task has them."""
    sides = task.input_shape[1:]
    if part.inputs.shape[2:] == sides:
        return part
    images = torch.from_numpy(part.inputs).float()
    return Part(functional.interpolate(images, sides, mode="bilinear", antialias=True).numpy(), part.labels)
