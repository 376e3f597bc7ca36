"""Sequences (n, length, channels): read, augmented, trained on, searched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import moonas
from moonas.errors import DataError, MoonasError
from moonas.spec.data import DataSpec
from moonas.spec.training import FidelitySpec, TrainingSpec
from moonas.training.augment import shift_in_time
from moonas.training.data_sets import assemble
from moonas.training.split import load_search_data
from moonas.training.trainer import Trainer

Array = np.ndarray[Any, Any]


def waves(count: int = 240, length: int = 32, seed: int = 0) -> tuple[Array, Array]:
    """Noisy waves of three frequencies, in two channels of very different scale and offset."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    phases = random.random((count, 1)) * 2 * np.pi
    steps = np.arange(length)[None, :]
    wave = np.sin(2 * np.pi * (labels[:, None] + 1) * steps / 16 + phases)
    inputs = np.stack([wave, 1000 + 50 * np.roll(wave, 3, axis=1)], axis=2)
    return (inputs + random.normal(0, 0.1, inputs.shape)).astype(np.float32), labels


@pytest.fixture
def path(tmp_path: Path) -> Path:
    x, y = waves()
    np.savez(tmp_path / "waves.npz", x_train=x, y_train=y)
    return tmp_path / "waves.npz"


def test_sequences_keep_their_shape_and_make_a_task(path: Path) -> None:
    data = load_search_data(DataSpec(name="npz", path=str(path), kind="sequences"))
    assert data.train.inputs.shape == (144, 32, 2)
    assert data.task == moonas.Task((32, 2), 3)
    assert data.train.kind == "sequences"


def test_sequences_without_channels_get_one() -> None:
    data = assemble((np.zeros((4, 9)), [0, 1, 0, 1]), "data D", kind="sequences")
    assert data.main.inputs.shape == (4, 9, 1)


@pytest.mark.parametrize(
    ("shape", "kind", "message"),
    [
        ((4,), "sequences", r"sequences must be \(n, length\) or \(n, length, channels\), are \(4,\)"),
        ((4, 3, 9, 9), "sequences", r"sequences must be .* are \(4, 3, 9, 9\)"),
        ((4, 0, 2), "sequences", r"holds no steps: sequences are \(4, 0, 2\)"),
        ((4, 9), "images", r"images must be .* are \(4, 9\); for sequences set data.kind to sequences"),
        ((3, 9, 2), "sequences", "3 sequences but 4 labels"),
    ],
)
def test_what_are_no_sequences_is_refused(shape: tuple[int, ...], kind: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        assemble((np.zeros(shape), [0, 1, 0, 1]), "data D", kind=kind)


@given(shift=st.integers(0, 5), seed=st.integers(0, 100))
def test_each_sequence_is_shifted_by_itself_and_filled_with_its_ends(shift: int, seed: int) -> None:
    sequences = torch.arange(6 * 7 * 2, dtype=torch.float32).reshape(6, 7, 2)
    shifted = shift_in_time(sequences, shift, torch.Generator().manual_seed(seed))
    for sequence, result in zip(sequences.numpy(), shifted.numpy(), strict=True):
        padded = np.pad(sequence, ((shift, shift), (0, 0)), mode="edge")
        assert any(np.array_equal(padded[i : i + 7], result) for i in range(2 * shift + 1))


def test_every_shift_occurs() -> None:
    sequences = torch.arange(9.0)[None, :, None].expand(300, 9, 1)
    shifted = shift_in_time(sequences, 2, torch.Generator().manual_seed(0))
    assert set(shifted[:, 4, 0].tolist()) == {2, 3, 4, 5, 6}


@pytest.mark.usefixtures("one_thread")
def test_a_transformer_learns_sequences(path: Path) -> None:
    data = load_search_data(DataSpec(name="npz", path=str(path), kind="sequences"))
    trainer = Trainer(data, FidelitySpec(epochs=30), TrainingSpec(batch=16, learning_rate=0.2, shift=2))
    space = moonas.search_space("sequence")
    largest = tuple(int(size) - 1 for size in space.sizes)
    assert trainer.score(trainer.fit(space.decode(largest), seed=0)) > 0.9
    inputs, _ = trainer.validation
    assert inputs.shape == (48, 32, 2)
    assert inputs.mean(dim=(0, 1)).abs().max() < 0.2
    assert (inputs.std(dim=(0, 1)) - 1).abs().max() < 0.2


def problem(path: Path, **changes: Any) -> dict[str, Any]:
    return {
        "encoding": "sequence",
        "data": {"name": "npz", "path": str(path), "kind": "sequences"},
        "objectives": [{"metric": "accuracy"}, {"metric": "latency_ms"}, {"metric": "params"}],
        "fidelity": {"epochs": 2},
        "search": {"population": 3},
        "budget": {"trials": 3},
        "workers": 0,
        **changes,
    }


def test_sequences_are_searched_and_timed(path: Path, tmp_path: Path) -> None:
    study = moonas.load(problem(path), out=tmp_path / "run")
    front = study.run()
    assert len(front)
    assert (study.trials["state"] == "complete").all(), study.trials["error"].tolist()
    assert (study.trials["latency_ms"] > 0).all()


def test_networks_for_images_fail_on_sequences_in_one_sentence(path: Path, tmp_path: Path) -> None:
    study = moonas.load(problem(path, encoding="tiny_cnn"), out=tmp_path / "run")
    with pytest.raises(MoonasError, match="networks of this family take images"):
        study.run()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fidelity": {"resolution": 8}}, "fidelity.resolution: is for images; these are sequences"),
        ({"training": {"flip": True}}, "training.flip: is for images; these are sequences"),
        ({"data": {"name": "digits", "kind": "sequences"}}, "data.kind: digits holds images; sequences come as npz"),
        ({"data": {"name": "digits", "kind": "sequence"}}, "data.kind: must be one of images, sequences"),
    ],
)
def test_what_is_for_images_is_refused_for_sequences(path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(MoonasError, match=message):
        moonas.load(problem(path, **changes))
