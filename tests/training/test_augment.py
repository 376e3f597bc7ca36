from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from moonas.training.augment import augment

Offset = tuple[int, int, bool]


def random_images(count: int, channels: int = 2, height: int = 5, width: int = 6) -> torch.Tensor:
    return torch.rand(count, channels, height, width, generator=torch.Generator().manual_seed(1))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def how_made(image: torch.Tensor, result: torch.Tensor, shift: int, flip: bool) -> list[Offset]:
    """All legal ways to make `result` from `image`: (row, column, mirrored), by NumPy's padding."""
    _, height, width = image.shape
    padded = np.pad(image.numpy(), ((0, 0), (shift, shift), (shift, shift)), mode="edge")
    ways = []
    for row in range(2 * shift + 1):
        for column in range(2 * shift + 1):
            window = padded[:, row : row + height, column : column + width]
            for mirrored in (False, True) if flip else (False,):
                legal = window[:, :, ::-1] if mirrored else window
                if np.array_equal(legal, result.numpy()):
                    ways.append((row, column, mirrored))
    return ways


def test_without_shift_and_flip_nothing_changes() -> None:
    images = random_images(7)
    assert torch.equal(augment(images, 0, False, generator()), images)


@settings(deadline=None, max_examples=40)
@given(
    shift=st.integers(0, 4),
    flip=st.booleans(),
    channels=st.integers(1, 3),
    height=st.integers(1, 6),
    width=st.integers(2, 6),
    seed=st.integers(0, 100),
)
def test_each_image_is_a_legal_window_of_itself(
    shift: int, flip: bool, channels: int, height: int, width: int, seed: int
) -> None:
    images = random_images(5, channels, height, width)
    results = augment(images, shift, flip, generator(seed))
    assert results.shape == images.shape
    assert results.dtype == images.dtype
    for image, result in zip(images, results, strict=True):
        assert how_made(image, result, shift, flip)


def test_all_shifts_come_about_equally_often() -> None:
    images = random_images(900, channels=1)
    results = augment(images, 1, False, generator())
    ways = [how_made(image, result, 1, False) for image, result in zip(images, results, strict=True)]
    assert all(len(way) == 1 for way in ways)
    counts = Counter(way[0][:2] for way in ways)
    assert len(counts) == 9
    assert all(60 < count < 140 for count in counts.values())  # 100 each, within four standard deviations


def test_half_of_the_images_are_mirrored_exactly() -> None:
    images = random_images(1000)
    results = augment(images, 0, True, generator())
    mirrored = [torch.equal(result, image.flip(2)) for image, result in zip(images, results, strict=True)]
    kept = [torch.equal(result, image) for image, result in zip(images, results, strict=True)]
    assert all(one != other for one, other in zip(mirrored, kept, strict=True))
    assert 430 < sum(mirrored) < 570


def test_shift_and_mirror_are_drawn_independently() -> None:
    images = random_images(400, channels=1)
    results = augment(images, 1, True, generator())
    ways = {how_made(image, result, 1, True)[0] for image, result in zip(images, results, strict=True)}
    assert len(ways) == 18


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_input_and_its_kind_are_kept(dtype: torch.dtype) -> None:
    images = random_images(6).to(dtype)
    before = images.clone()
    assert augment(images, 2, True, generator()).dtype == dtype
    assert torch.equal(images, before)


def test_a_generator_fixes_the_outcome() -> None:
    images = random_images(50)
    once = augment(images, 1, True, generator(5))
    assert torch.equal(once, augment(images, 1, True, generator(5)))
    assert not torch.equal(once, augment(images, 1, True, generator(6)))


def test_the_global_generator_is_left_alone() -> None:
    before = torch.get_rng_state()
    augment(random_images(6), 1, True, generator())
    assert torch.equal(torch.get_rng_state(), before)
