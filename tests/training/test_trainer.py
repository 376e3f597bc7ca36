from __future__ import annotations

import copy
import functools
import hashlib
import math
import operator
import os
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score
from torch import nn

from moonas.errors import CandidateError
from moonas.network.architecture import Architecture, Task
from moonas.network.darts import DARTS
from moonas.network.staged_cnn import Stage, StagedCNN, Stem
from moonas.network.transformer import Layer, Transformer
from moonas.spec.data import DataSpec
from moonas.spec.training import FidelitySpec, TrainingSpec
from moonas.training.data_sets import Part
from moonas.training.optimisation import one_cycle, sgd
from moonas.training.prepared import subset
from moonas.training.recalibration import recalibrate
from moonas.training.split import SearchData, load_search_data
from moonas.training.trainer import Trainer

NET = StagedCNN(Stem(16), (Stage("residual", 1, 32, 3, 2), Stage("plain", 1, 32, 3, 2)))
SMALL = StagedCNN(Stem(4), (Stage("separable", 1, 8, 3, 2),))
EXACT = {"shift": 0, "flip": False}


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def digits() -> SearchData:
    return load_search_data(DataSpec(name="digits"))


@dataclass(frozen=True)
class Custom(Architecture):
    """An architecture that builds what `module` says, for the inputs and classes of a task."""

    module: Any
    family: ClassVar[str] = "custom"

    def build(self, task: Task) -> nn.Module:
        built: nn.Module = self.module(math.prod(task.input_shape), task.classes)
        return built


def linear(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(inputs, outputs))


class Spy(nn.Module):
    """Classifies by the mean of an image, and remembers the batches that it was trained on."""

    def __init__(self, _: int, classes: int):
        super().__init__()
        self.head = nn.Linear(1, classes)
        self.batches: list[torch.Tensor] = []

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if self.training:
            self.batches.append(images.detach().clone())
        return self.head(images.mean(dim=(1, 2, 3))[:, None])


def numbered(counts: list[int], *, val: int = 6) -> SearchData:
    """Training images whose every pixel is their own number, with so many of each class, in a random order."""
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))
    images = np.broadcast_to(np.arange(len(labels), dtype=np.float32)[:, None, None, None], (len(labels), 1, 4, 4))
    train = Part(images.copy(), labels)
    return SearchData(train, train.take(np.arange(val)), tuple(f"class{i}" for i in range(len(counts))))


def batches_seen(data: SearchData, fidelity: FidelitySpec, recipe: TrainingSpec) -> list[list[int]]:
    """The numbers of the images in each training batch."""
    values = data.train.inputs[:, 0, 0, 0].astype(np.float64)
    mean, deviation = values.mean(), values.std(ddof=1)
    spy: Any = Trainer(data, fidelity, recipe).fit(Custom(Spy), seed=0)
    return [np.rint(batch[:, 0, 0, 0].numpy() * deviation + mean).astype(int).tolist() for batch in spy.batches]


def digest(module: nn.Module) -> str:
    weights = b"".join(tensor.numpy().tobytes() for tensor in module.state_dict().values())
    return hashlib.sha256(weights).hexdigest()


def trained_digest(seed: int = 3) -> str:
    """What the subprocess below computes, too."""
    torch.set_num_threads(1)
    data = load_search_data(DataSpec(name="digits"))
    trainer = Trainer(data, FidelitySpec(epochs=1), TrainingSpec(batch=32, flip=True))
    return digest(trainer.fit(NET, seed=seed))


# --- the same seed, the same weights


def test_a_seed_fixes_the_weights_to_the_bit() -> None:
    assert trained_digest() == trained_digest()


def test_another_process_trains_the_same_weights() -> None:
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent), "PYTHONHASHSEED": "77"}
    code = "import test_trainer; print(test_trainer.trained_digest())"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert ran.stdout.strip() == trained_digest()


def test_another_seed_trains_other_weights() -> None:
    assert trained_digest(3) != trained_digest(4)


def with_dropout(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(inputs, 32), nn.Dropout(0.5), nn.Linear(32, outputs))


def test_dropout_is_seeded_whatever_was_drawn_before(digits: SearchData) -> None:
    trainer = Trainer(digits, FidelitySpec(epochs=1, samples=100), TrainingSpec(batch=50))
    torch.manual_seed(1)
    once = digest(trainer.fit(Custom(with_dropout), seed=0))
    torch.manual_seed(2)
    torch.rand(10)
    assert digest(trainer.fit(Custom(with_dropout), seed=0)) == once


def test_the_global_generators_are_left_alone(digits: SearchData) -> None:
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].tolist()
    trainer = Trainer(digits, FidelitySpec(epochs=1, samples=100), TrainingSpec(batch=50, flip=True))
    trainer.score(trainer.fit(SMALL, seed=0))
    assert torch.equal(torch.get_rng_state(), before)
    assert np.random.get_state()[1].tolist() == numpy_before


def test_the_validation_images_have_no_influence_on_the_weights(digits: SearchData) -> None:
    other = SearchData(digits.train, digits.train.take(np.arange(50)), digits.classes)
    fidelity, recipe = FidelitySpec(epochs=2, samples=200), TrainingSpec(batch=50)
    one, two = Trainer(digits, fidelity, recipe), Trainer(other, fidelity, recipe)
    for trainer in (one, two):
        trainer.score(Custom(linear).build(digits.task))  # the validation part is prepared first
    assert digest(one.fit(SMALL, seed=0)) == digest(two.fit(SMALL, seed=0))


def test_training_leaves_the_data_as_they_were(digits: SearchData) -> None:
    train, val = digits.train.inputs.copy(), digits.val.inputs.copy()
    trainer = Trainer(digits, FidelitySpec(epochs=1), TrainingSpec(batch=256))
    trainer.score(trainer.fit(Custom(linear), seed=0))
    np.testing.assert_array_equal(digits.train.inputs, train)
    np.testing.assert_array_equal(digits.val.inputs, val)


def test_a_second_trainer_on_the_same_data_judges_alike(digits: SearchData) -> None:
    fidelity = FidelitySpec(epochs=1, samples=300)
    first = Trainer(digits, fidelity, TrainingSpec())
    before = first.validation[0].clone()
    assert torch.equal(Trainer(digits, fidelity, TrainingSpec()).validation[0], before)


# --- learning


def test_a_small_network_learns_digits(digits: SearchData) -> None:
    trainer = Trainer(digits, FidelitySpec(epochs=3), TrainingSpec(batch=32, shift=0))
    assert trainer.score(trainer.fit(NET, seed=0)) > 0.9


def test_the_loss_of_every_step_is_told_and_falls(digits: SearchData) -> None:
    losses: list[float] = []
    trainer = Trainer(digits, FidelitySpec(epochs=4), TrainingSpec(batch=64))
    trainer.fit(NET, seed=0, losses=losses)
    assert len(losses) == 4 * (len(digits.train) // 64)
    assert losses[0] == pytest.approx(math.log(10), abs=0.3)
    assert sum(losses[-8:]) / 8 < sum(losses[:8]) / 8 - 0.5


def test_an_auxiliary_head_takes_part_in_training_and_is_gone_after_it(digits: SearchData) -> None:
    cell = (((0, "skip_connect"), (1, "sep_conv_3x3")),)
    plain, auxiliary = (DARTS(cell, cell, channels=4, cells=3, auxiliary=weight) for weight in (0, 0.4))
    trainer = Trainer(digits, FidelitySpec(epochs=1, samples=128), TrainingSpec())
    modules = [trainer.fit(architecture, seed=0) for architecture in (plain, auxiliary)]
    one, two = (module.state_dict() for module in modules)
    assert one.keys() == two.keys()
    assert any(not torch.equal(one[name], two[name]) for name in one if name.startswith("cells.0"))
    for module in modules:
        copy.deepcopy(module)
        assert 0 <= trainer.score(module) <= 1


def deep_and_plain(inputs: int, outputs: int) -> nn.Module:
    hidden = [layer for _ in range(4) for layer in (nn.Linear(32, 32), nn.ReLU())]
    return nn.Sequential(nn.Flatten(), nn.Linear(inputs, 32), nn.ReLU(), *hidden, nn.Linear(32, outputs))


def test_a_training_that_diverges_fails_the_candidate(digits: SearchData) -> None:
    before = torch.get_rng_state()
    trainer = Trainer(digits, FidelitySpec(epochs=5), TrainingSpec(learning_rate=100.0))
    with pytest.raises(CandidateError, match="diverged"):
        trainer.fit(Custom(deep_and_plain), seed=0)
    assert torch.equal(torch.get_rng_state(), before)


class NotANumber(nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.full((len(images), 10), torch.nan)


def test_a_network_whose_logits_are_not_numbers_has_no_accuracy(digits: SearchData) -> None:
    # As after a last step that goes astray: argmax takes a NaN for the largest, and chance looks like a result.
    with pytest.raises(CandidateError):
        Trainer(digits, FidelitySpec(), TrainingSpec()).score(NotANumber())


@pytest.mark.parametrize("epochs", range(1, 11))
def test_a_training_may_have_any_number_of_steps(epochs: int) -> None:
    data = numbered([10, 10])
    assert len(batches_seen(data, FidelitySpec(epochs=epochs), TrainingSpec(batch=20, **EXACT))) == epochs


class Indifferent(nn.Module):
    """A network on whose parameters the loss does not depend."""

    def __init__(self, _: int, classes: int):
        super().__init__()
        self.vector = nn.Parameter(torch.full((classes,), 3.0))
        self.matrix = nn.Parameter(torch.full((2, 2), 3.0))
        self.kernels = nn.Parameter(torch.full((2, 2, 3, 3), 3.0))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return 0 * (images.mean() + self.vector + self.matrix.sum() + self.kernels.sum()).expand(len(images), -1)


class Linear(nn.Module):
    """A matrix and a vector, which begin at 0."""

    def __init__(self, inputs: int, classes: int):
        super().__init__()
        self.matrix = nn.Parameter(torch.zeros(classes, inputs))
        self.vector = nn.Parameter(torch.zeros(classes))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.flatten(1) @ self.matrix.T + self.vector


def test_a_training_is_what_the_recipe_says_written_out(digits: SearchData) -> None:
    """Nesterov's momentum as in Sutskever et al. (2013), decay of the matrix alone, smoothed labels, one cycle."""
    recipe = TrainingSpec(batch=200, learning_rate=0.1, momentum=0.8, weight_decay=0.1, label_smoothing=0.2, **EXACT)
    trainer, losses = Trainer(digits, FidelitySpec(epochs=4, samples=200), recipe), list[float]()
    module: Any = trainer.fit(Custom(Linear), seed=0, losses=losses)
    images, labels = trainer.data.training
    inputs, truth = images.flatten(1).double().numpy(), 0.8 * np.eye(10)[labels.numpy()] + 0.02
    weights, speeds = [np.zeros((10, 64)), np.zeros(10)], [np.zeros((10, 64)), np.zeros(10)]
    expected = []
    for step in range(4):
        logits = inputs @ weights[0].T + weights[1]
        logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        expected.append(-(truth * logs).sum(axis=1).mean())
        error = (np.exp(logs) - truth) / len(inputs)
        for i, gradient in enumerate((error.T @ inputs + 0.1 * weights[0], error.sum(axis=0))):
            speeds[i] = 0.8 * speeds[i] + gradient
            weights[i] -= 0.1 * one_cycle(step, steps=4) * (gradient + 0.8 * speeds[i])
    assert losses == pytest.approx(expected, rel=1e-5)
    assert module.matrix.detach().numpy() == pytest.approx(weights[0], abs=1e-5)
    assert module.vector.detach().numpy() == pytest.approx(weights[1], abs=1e-5)


def test_images_are_shifted_and_mirrored_as_the_recipe_says() -> None:
    ramp = np.arange(64, dtype=np.float32).reshape(1, 1, 8, 8)
    part = Part(np.repeat(ramp, 40, axis=0), np.arange(40) % 2)
    data, fidelity = SearchData(part, part, ("a", "b")), FidelitySpec(epochs=5)

    def centres(**augmentation: Any) -> tuple[set[int], set[int]]:
        """The pixels seen at row 3, column 3, of images as they are, and of mirrored ones."""
        spy: Any = Trainer(data, fidelity, TrainingSpec(batch=40, **augmentation)).fit(Custom(Spy), seed=0)
        images = torch.cat(spy.batches)[:, 0] * ramp.std() + ramp.mean()
        values, mirrored = images[:, 3, 3].round().int().tolist(), (images[:, 3, 4] < images[:, 3, 3]).tolist()
        return (
            {value for value, turned in zip(values, mirrored, strict=True) if not turned},
            {value for value, turned in zip(values, mirrored, strict=True) if turned},
        )

    around = {8 * row + column for row in (2, 3, 4) for column in (2, 3, 4)}
    assert centres(**EXACT) == ({27}, set())
    assert centres(shift=1, flip=False) == (around, set())
    assert centres(shift=0, flip=True) == ({27}, {28})
    assert centres(shift=1, flip=True) == (around, {value + 1 for value in around})


def test_positions_and_class_tokens_do_not_decay() -> None:
    network = Transformer(patch=4, width=8, layers=(Layer(heads=1),), head_width=8)
    module = network.build(Task((1, 8, 8), 2))
    optimizer = sgd(module, TrainingSpec())
    decaying = {id(p) for group in optimizer.param_groups if group["weight_decay"] > 0 for p in group["params"]}
    names = {name for name, parameter in module.named_parameters() if id(parameter) in decaying}
    assert "classifier.weight" in names
    assert "embedding.patches.weight" in names
    assert not {name for name in names if "positions" in name or "class_token" in name or "norm" in name}


def test_a_network_without_parameters_is_refused_in_words() -> None:
    with pytest.raises(ValueError, match="empty parameter list"):
        sgd(nn.Flatten(), TrainingSpec())


def test_vectors_do_not_decay_and_matrices_do() -> None:
    data = numbered([10, 10])
    recipe = TrainingSpec(batch=10, weight_decay=0.5, learning_rate=0.1)
    module: Any = Trainer(data, FidelitySpec(epochs=3), recipe).fit(Custom(Indifferent), seed=0)
    assert torch.equal(module.vector, torch.full_like(module.vector, 3.0))
    assert module.matrix.max() < 2.9
    assert module.kernels.max() < 2.9


def test_the_learning_rate_goes_up_to_its_peak_and_down_to_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rates = []
    step = torch.optim.SGD.step

    def recorded(optimizer: Any, *args: Any) -> Any:
        rates.append(optimizer.param_groups[0]["lr"])
        return step(optimizer, *args)

    monkeypatch.setattr(torch.optim.SGD, "step", recorded)
    batches_seen(numbered([20, 20]), FidelitySpec(epochs=25), TrainingSpec(batch=10, learning_rate=0.2, **EXACT))
    assert len(rates) == 100
    peak = int(np.argmax(rates))
    assert 20 <= peak <= 30
    assert max(rates) == pytest.approx(0.2, rel=0.01)
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert rates[0] < 0.02
    assert rates[-1] < 0.001


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 500))
def test_one_cycle_rises_for_a_quarter_and_falls_to_nothing(steps: int) -> None:
    rates = [one_cycle(step, steps=steps) for step in range(steps)]
    assert all(0 < rate <= 1 for rate in rates)
    quarter = math.ceil(steps / 4)
    assert rates[:quarter] == sorted(rates[:quarter])
    assert rates[quarter:] == sorted(rates[quarter:], reverse=True)
    assert one_cycle(steps, steps=steps) == pytest.approx(0)


# --- batch normalisation


def test_batch_normalisation_is_recalibrated_to_the_images() -> None:
    images = torch.randn(300, 3, 4, 4, generator=torch.Generator().manual_seed(0)) * 5 + 2
    module = nn.Sequential(nn.BatchNorm2d(3, momentum=0.3), nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2, momentum=0.2))
    with torch.no_grad():
        module(torch.zeros(2, 3, 4, 4))  # statistics that must be forgotten
    weights = [parameter.clone() for parameter in module.parameters()]
    recalibrate(module, images)
    pixels = images.numpy().astype(np.float64)
    np.testing.assert_allclose(module[0].running_mean, pixels.mean(axis=(0, 2, 3)), rtol=1e-4)
    np.testing.assert_allclose(module[0].running_var, pixels.var(axis=(0, 2, 3), ddof=1), rtol=1e-3)
    with torch.no_grad():
        hidden = module[:2].eval()(images).numpy()
        judged = module.eval()(images)
    np.testing.assert_allclose(module[2].running_mean, hidden.mean(axis=(0, 2, 3)), rtol=1e-2, atol=1e-2)
    assert judged.mean(dim=(0, 2, 3)).abs().max() < 0.02
    assert (judged.std(dim=(0, 2, 3)) - 1).abs().max() < 0.02
    assert (module[0].momentum, module[2].momentum) == (0.3, 0.2)
    assert all(torch.equal(one, other) for one, other in zip(weights, module.parameters(), strict=True))


def test_a_network_is_judged_by_the_statistics_of_its_final_weights(digits: SearchData) -> None:
    # After one epoch, the running averages of training still remember their initial values.
    trainer = Trainer(digits, FidelitySpec(epochs=1), TrainingSpec(batch=64, shift=0))
    module: Any = trainer.fit(NET, seed=0)
    images = torch.from_numpy(digits.train.inputs)
    images = (images - images.mean()) / images.std()
    with torch.no_grad():
        activations = module.stem[0](images)
    norm = module.stem[1]
    np.testing.assert_allclose(norm.running_mean, activations.mean(dim=(0, 2, 3)), atol=0.05)
    np.testing.assert_allclose(norm.running_var, activations.var(dim=(0, 2, 3)), rtol=0.1)


# --- batches


@pytest.mark.parametrize("batch", [8, 16, 32, 33, 64])
def test_an_incomplete_batch_is_left_out(batch: int) -> None:
    seen = batches_seen(numbered([40, 26]), FidelitySpec(epochs=3), TrainingSpec(batch=batch, **EXACT))
    assert [len(numbers) for numbers in seen] == [batch] * (66 // batch) * 3


def test_a_batch_larger_than_the_data_is_all_of_them() -> None:
    seen = batches_seen(numbered([40, 26]), FidelitySpec(epochs=3), TrainingSpec(batch=100, **EXACT))
    assert [sorted(numbers) for numbers in seen] == [list(range(66))] * 3


def test_no_image_comes_twice_in_an_epoch_and_every_epoch_has_its_own_order() -> None:
    seen = batches_seen(numbered([40, 24]), FidelitySpec(epochs=2), TrainingSpec(batch=16, **EXACT))
    first, second = functools.reduce(operator.iadd, seen[:4], []), functools.reduce(operator.iadd, seen[4:], [])
    assert sorted(first) == sorted(second) == list(range(64))
    assert first != second


# --- fidelity


def test_a_sample_is_as_large_as_asked_and_always_the_same() -> None:
    data = numbered([40, 40])
    seen = batches_seen(data, FidelitySpec(epochs=3, samples=20), TrainingSpec(batch=20, **EXACT))
    assert len(set(seen[0])) == 20
    assert sorted(seen[0]) == sorted(seen[1]) == sorted(seen[2])


def test_a_sample_larger_than_the_data_is_all_of_them() -> None:
    seen = batches_seen(numbered([10, 12]), FidelitySpec(epochs=1, samples=5000), TrainingSpec(batch=22, **EXACT))
    assert sorted(seen[0]) == list(range(22))


@settings(deadline=None, max_examples=60)
@example([1, 1, 1, 1, 40], 0.55)  # small classes reach their half all at once
@given(st.lists(st.integers(1, 60), min_size=2, max_size=5), st.floats(0, 1))
def test_a_sample_has_the_classes_in_proportion(counts: list[int], share: float) -> None:
    part = numbered(counts, val=1).train
    samples = max(1, round(share * len(part)))
    taken = subset(part, samples)
    assert len(taken) == samples
    assert len(set(taken.inputs[:, 0, 0, 0].tolist())) == samples
    found = np.bincount(taken.labels, minlength=len(counts))
    due = samples * np.array(counts) / len(part)
    assert np.abs(found - due).max() <= 1


def test_a_sample_keeps_images_and_labels_together() -> None:
    part = numbered([30, 30, 30]).train
    taken = subset(part, 25)
    numbers = taken.inputs[:, 0, 0, 0].astype(int)
    np.testing.assert_array_equal(taken.labels, part.labels[numbers])


@pytest.mark.parametrize("side", [4, 6, 11])
def test_images_are_resized_to_the_resolution_in_training_and_validation(digits: SearchData, side: int) -> None:
    trainer = Trainer(digits, FidelitySpec(epochs=1, samples=50, resolution=side), TrainingSpec(batch=50))
    spy: Any = trainer.fit(Custom(Spy), seed=0)
    assert spy.batches[0].shape == (50, 1, side, side)
    assert trainer.validation[0].shape == (len(digits.val), 1, side, side)


def test_their_own_resolution_changes_nothing(digits: SearchData) -> None:
    own, given_size = (
        Trainer(digits, FidelitySpec(resolution=resolution), TrainingSpec()).validation[0] for resolution in (None, 8)
    )
    assert torch.equal(own, given_size)


def test_halving_the_resolution_averages_the_pixels(digits: SearchData) -> None:
    """Anti-aliased: the mean of an image hardly changes, whereas plain picking of pixels changes it a lot."""
    full = Trainer(digits, FidelitySpec(), TrainingSpec()).validation[0]
    half = Trainer(digits, FidelitySpec(resolution=4), TrainingSpec()).validation[0]
    change = (half.mean(dim=(1, 2, 3)) - full.mean(dim=(1, 2, 3))).abs().mean()
    picked = (full[:, :, ::2, ::2].mean(dim=(1, 2, 3)) - full.mean(dim=(1, 2, 3))).abs().mean()
    assert change < picked / 2


# --- normalisation


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_images_are_normalised_by_the_training_part_alone(dtype: Any) -> None:
    random = np.random.default_rng(2)
    scale = np.array([5, 20, 80], dtype=np.float64)[:, None, None]
    train = Part((random.random((30, 3, 4, 5)) * scale).astype(dtype), np.arange(30) % 2)
    val = Part((random.random((12, 3, 4, 5)) * scale * 2).astype(dtype), np.arange(12) % 2)
    pixels = train.inputs.astype(np.float64)
    mean, deviation = pixels.mean(axis=(0, 2, 3), keepdims=True), pixels.std(axis=(0, 2, 3), keepdims=True)
    expected = (val.inputs.astype(np.float64) - mean) / deviation
    images, labels = Trainer(SearchData(train, val, ("a", "b")), FidelitySpec(), TrainingSpec()).validation
    assert images.dtype == torch.float32
    np.testing.assert_allclose(images.numpy(), expected, rtol=0.01, atol=1e-3)  # n or n - 1 is a matter of taste
    np.testing.assert_array_equal(labels.numpy(), val.labels)


def test_a_channel_that_never_changes_in_training_is_not_blown_up_in_validation() -> None:
    train = Part(np.zeros((10, 1, 4, 4), dtype=np.float32), np.arange(10) % 2)
    val = Part(np.zeros((4, 1, 4, 4), dtype=np.float32), np.arange(4) % 2)
    val.inputs[0, 0, 0, 0] = 1.0
    images, _ = Trainer(SearchData(train, val, ("a", "b")), FidelitySpec(), TrainingSpec()).validation
    assert images.abs().max() < 1000


# --- accuracy


@pytest.mark.parametrize("architecture", [NET, Custom(with_dropout)], ids=["batch normalisation", "dropout"])
def test_accuracy_is_that_of_scikit_learn(digits: SearchData, architecture: Architecture) -> None:
    data = SearchData(digits.train, digits.train, digits.classes)  # 1,077 images: more than are judged at a time
    trainer = Trainer(data, FidelitySpec(epochs=1, samples=256), TrainingSpec(batch=32))
    module = trainer.fit(architecture, seed=0)
    accuracy = trainer.score(module)
    images, labels = trainer.validation
    with torch.no_grad():
        predictions = module.eval()(images).argmax(dim=1)
    assert accuracy == accuracy_score(labels, predictions)
    assert 0.1 < accuracy < 1


def test_judging_a_network_does_not_change_it(digits: SearchData) -> None:
    trainer = Trainer(digits, FidelitySpec(epochs=1, samples=100), TrainingSpec(batch=50))
    module = trainer.fit(SMALL, seed=0)
    before = digest(module)
    assert trainer.score(module) == trainer.score(module)
    assert digest(module) == before


def test_every_label_can_be_predicted(digits: SearchData) -> None:
    trainer = Trainer(digits, FidelitySpec(epochs=3), TrainingSpec(batch=32, shift=0))
    module = trainer.fit(NET, seed=0).eval()
    with torch.no_grad():
        predictions = Counter(module(trainer.validation[0]).argmax(dim=1).tolist())
    assert set(predictions) == set(range(10))
