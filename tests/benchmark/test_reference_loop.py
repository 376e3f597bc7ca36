"""The loop that moonas is held against must be a good one, and do what it says."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_pre_hook

from moonas.benchmark.reference import BATCH, RECIPES, Images, Recipe, ReferenceLoop
from moonas.network.architecture import Architecture, Task
from moonas.network.staged_cnn import Stage, StagedCNN, Stem
from moonas.spec.data import DataSpec
from moonas.spec.training import FidelitySpec, TrainingSpec
from moonas.training.data_sets import Part
from moonas.training.split import SearchData, load_search_data
from moonas.training.trainer import one_cycle

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning"),  # of the loader's processes
]
NET = StagedCNN(Stem(16), (Stage("residual", 1, 32, 3, 2), Stage("plain", 1, 32, 3, 2)))
PLAIN = TrainingSpec(shift=0, flip=False)


@pytest.fixture(scope="module")
def digits() -> SearchData:
    return load_search_data(DataSpec(name="digits"))


class Spy(nn.Module):
    """Classifies by the mean of an image, and remembers what it was trained on."""

    def __init__(self, classes: int):
        super().__init__()
        self.head = nn.Linear(1, classes)
        self.batches: list[torch.Tensor] = []

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if self.training:
            self.batches.append(images.detach().clone())
        return self.head(images.mean(dim=(1, 2, 3))[:, None])


@dataclass(frozen=True)
class Spied(Architecture):
    """The architecture of a spy."""

    family: ClassVar[str] = "spied"

    def build(self, task: Task) -> nn.Module:
        return Spy(task.classes)


def numbered(count: int) -> SearchData:
    """Images of 4x4 pixels, each pixel of which is the image's own number."""
    images = np.tile(np.arange(count, dtype=np.float32)[:, None, None, None], (1, 1, 4, 4))
    part = Part(images, np.arange(count) % 2)
    return SearchData(part, part.take(np.arange(10)), ("even", "odd"))


@pytest.fixture
def rates() -> Iterator[list[float]]:
    """The learning rate of each step that any optimizer takes."""
    seen: list[float] = []

    def note(optimizer: torch.optim.Optimizer, *_: Any) -> None:
        seen.append(float(optimizer.param_groups[0]["lr"]))

    handle = register_optimizer_step_pre_hook(note)
    yield seen
    handle.remove()


@pytest.mark.parametrize("recipe", RECIPES)
def test_it_learns_digits(digits: SearchData, recipe: Recipe) -> None:
    loop = ReferenceLoop(digits, FidelitySpec(epochs=20), TrainingSpec(), recipe, loaders=0)
    accuracy, seconds = loop(NET, seed=0)
    assert accuracy > 0.9
    assert seconds > 0


@pytest.mark.parametrize("loaders", [0, 2])
def test_it_sees_each_image_once_an_epoch_in_another_order(loaders: int) -> None:
    loop = ReferenceLoop(numbered(300), FidelitySpec(epochs=2), PLAIN, "epoch_cosine", loaders=loaders)
    module = loop.fit(Spied(), seed=0)
    assert [len(batch) for batch in module.batches] == 2 * [BATCH, BATCH, 300 - 2 * BATCH]
    first, second = (torch.cat(module.batches[start : start + 3])[:, 0, 0, 0] for start in (0, 3))
    assert not torch.equal(first, second)
    numbers = np.sort(first.numpy())
    assert np.array_equal(numbers, np.sort(second.numpy()))
    assert len(np.unique(numbers)) == 300
    assert numbers.mean() == pytest.approx(0, abs=1e-5)
    assert numbers.std() == pytest.approx(1, abs=0.01)


def test_it_trains_on_the_images_of_the_fidelity(digits: SearchData) -> None:
    loop = ReferenceLoop(digits, FidelitySpec(epochs=1, samples=200, resolution=6), PLAIN, "one_cycle", loaders=0)
    module = loop.fit(Spied(), seed=0)
    assert torch.cat(module.batches).shape == (200, 1, 6, 6)
    assert loop.task == Task((1, 6, 6), 10)


def test_the_loaders_change_nothing_but_the_speed(digits: SearchData) -> None:
    fidelity = FidelitySpec(epochs=2, samples=300)
    here, there = (ReferenceLoop(digits, fidelity, PLAIN, "one_cycle", loaders=count) for count in (0, 2))
    there.fit(NET, seed=5)  # as its loaders stay, what they did before must not matter
    first, second = (loop.fit(NET, seed=1) for loop in (here, there))
    for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    assert here.accuracy(first) == there.accuracy(second)


def test_one_cycle_is_pytorchs_and_moonass(rates: list[float]) -> None:
    recipe = TrainingSpec(shift=0, learning_rate=0.3)
    ReferenceLoop(numbered(5 * BATCH), FidelitySpec(epochs=4), recipe, "one_cycle", loaders=0).fit(Spied(), seed=0)
    optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=1.0)
    theirs = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.3, total_steps=20, pct_start=0.25, cycle_momentum=False)
    expected = [theirs.get_last_lr()[0]]
    for _ in range(19):
        optimizer.step()
        theirs.step()
        expected.append(theirs.get_last_lr()[0])
    assert rates[:20] == pytest.approx(expected)
    assert max(rates[:20]) == pytest.approx(0.3)
    ours = [0.3 * one_cycle(step, steps=20) for step in range(20)]
    assert rates[:20] == pytest.approx(ours, abs=0.08)  # PyTorch reaches peak and end one step earlier


def test_epoch_cosine_changes_the_rate_between_epochs_only(rates: list[float]) -> None:
    ReferenceLoop(numbered(2 * BATCH), FidelitySpec(epochs=3), PLAIN, "epoch_cosine", loaders=0).fit(Spied(), seed=0)
    cosine = [0.05 * (1 + math.cos(math.pi * epoch / 3)) / 2 for epoch in range(3)]
    assert rates == pytest.approx([rate for rate in cosine for _ in range(2)])


def test_shifts_stay_within_the_recipe_and_all_occur() -> None:
    image = np.zeros((1, 1, 7, 7), dtype=np.uint8)
    image[0, 0, 3, 3] = 200
    neutral = torch.zeros(1, 1, 1), torch.ones(1, 1, 1)
    images = Images(Part(image, np.zeros(1, dtype=np.int64)), neutral, shift=2)
    torch.manual_seed(0)
    places = set()
    for _ in range(400):
        seen, _ = images[0]
        assert seen.shape == (1, 7, 7)
        assert seen.sum() == 200  # the rest is black
        places.add(divmod(int(seen.argmax()), 7))
    assert places == {(row, column) for row in range(1, 6) for column in range(1, 6)}


def test_half_of_the_images_are_mirrored_and_only_when_asked() -> None:
    image = np.arange(6, dtype=np.uint8).reshape(1, 1, 2, 3)
    part, statistics = (
        Part(image, np.zeros(1, dtype=np.int64)),
        (torch.full((1, 1, 1), 2.0), torch.full((1, 1, 1), 4.0)),
    )
    normalised = (torch.from_numpy(image[0]).float() - 2) / 4
    assert torch.equal(Images(part, statistics)[0][0], normalised)
    torch.manual_seed(0)
    flipped = [torch.equal(Images(part, statistics, flip=True)[0][0], normalised.flip(2)) for _ in range(400)]
    assert 150 < sum(flipped) < 250
