from __future__ import annotations

import pickle
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from moonas.errors import DataError
from moonas.network.architecture import Task
from moonas.spec.data import DataSpec, SplitSpec
from moonas.training.data_sets import DataSet, Part, load_data_set
from moonas.training.split import load_search_data, split_indices
from moonas.training.test_split import load_test_part

DIGITS = DataSpec(name="digits")
OWN_TEST = SplitSpec(train=0.75, val=0.25, test=0)


def data_of(counts: list[int], *, test: bool = False) -> DataSet:
    """A data set of images of one pixel, with so many images of each class, in a random order."""
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))
    part = Part(np.zeros((len(labels), 1, 1, 1), dtype=np.uint8), labels)
    return DataSet(part, part if test else None, tuple(f"class{i}" for i in range(len(counts))))


def spec(train: float = 0.6, val: float = 0.2, test: float = 0.2, *, seed: int = 0) -> DataSpec:
    return DataSpec(name="digits", split=SplitSpec(train=train, val=val, test=test), seed=seed)


def random_npz(path: Path, count: int, *, test: int = 0) -> DataSpec:
    """A file of images that are all different; with `test` > 0, it brings so many of its own for testing."""
    random = np.random.default_rng(1)
    arrays: dict[str, Any] = {
        "x_train": random.integers(0, 256, (count, 4, 4), dtype=np.uint8),
        "y_train": np.arange(count) % 2,
    }
    if test:
        arrays["x_test"] = random.integers(0, 256, (test, 4, 4), dtype=np.uint8)
        arrays["y_test"] = np.arange(test) % 2
    np.savez(path, **arrays)
    return DataSpec(name="npz", path=str(path), split=OWN_TEST if test else SplitSpec())


# --- the indices

_COUNTS = st.lists(st.integers(10, 60), min_size=2, max_size=6)
_SHARES = st.sampled_from([(0.6, 0.2, 0.2), (0.5, 0.25, 0.25), (0.7, 0.1, 0.2), (0.34, 0.33, 0.33)])


@settings(deadline=None, max_examples=40)
@given(_COUNTS, _SHARES, st.integers(0, 1000))
def test_the_parts_are_disjoint_and_cover_everything(counts: list[int], shares: Any, seed: int) -> None:
    parts = split_indices(data_of(counts), spec(*shares, seed=seed))
    together = np.concatenate(parts)
    assert sorted(together.tolist()) == list(range(sum(counts)))


@settings(deadline=None, max_examples=40)
@given(_COUNTS, _SHARES, st.integers(0, 1000))
def test_every_part_has_its_share_of_the_images(counts: list[int], shares: Any, seed: int) -> None:
    parts = split_indices(data_of(counts), spec(*shares, seed=seed))
    for part, share in zip(parts, shares, strict=True):
        assert abs(len(part) - share * sum(counts)) < 2  # two cuts, each rounded


@settings(deadline=None, max_examples=40)
@given(_COUNTS, _SHARES, st.integers(0, 1000))
def test_every_part_has_the_classes_in_proportion(counts: list[int], shares: Any, seed: int) -> None:
    data = data_of(counts)
    for part in split_indices(data, spec(*shares, seed=seed)):
        found = np.bincount(data.main.labels[part], minlength=len(counts))
        due = len(part) * np.array(counts) / sum(counts)
        assert np.abs(found - due).max() < 2  # two cuts, each within one image


def test_the_classes_of_digits_keep_their_share_within_one_image() -> None:
    labels = load_data_set(DIGITS).main.labels
    for part in split_indices(load_data_set(DIGITS), DIGITS):
        due = len(part) * np.bincount(labels) / len(labels)
        assert np.abs(np.bincount(labels[part]) - due).max() <= 1


def test_a_seed_fixes_the_split() -> None:
    data = data_of([30, 40])
    for one, other in zip(split_indices(data, spec(seed=3)), split_indices(data, spec(seed=3)), strict=True):
        np.testing.assert_array_equal(one, other)


def test_another_seed_gives_another_split() -> None:
    data = data_of([30, 40])
    for one, other in zip(split_indices(data, spec(seed=3)), split_indices(data, spec(seed=4)), strict=True):
        assert set(one.tolist()) != set(other.tolist())


@pytest.mark.parametrize("small", [1, 2])
def test_a_class_too_small_for_three_parts_is_named(small: int) -> None:
    with pytest.raises(DataError, match="class1") as caught:
        split_indices(data_of([100, small]), spec())
    assert "\n" not in str(caught.value)


@settings(deadline=None, max_examples=60)
@example([100, 2], (0.6, 0.2, 0.2))
@example([300, 3], (0.8, 0.1, 0.1))
@given(st.lists(st.integers(1, 12), min_size=2, max_size=5), _SHARES)
def test_every_class_is_in_every_part_or_the_split_is_refused(counts: list[int], shares: Any) -> None:
    data = data_of(counts)
    try:
        parts = split_indices(data, spec(*shares))
    except DataError:
        return
    for part in parts:
        assert set(data.main.labels[part].tolist()) == set(range(len(counts)))


def test_a_part_too_small_for_all_classes_is_refused() -> None:
    with pytest.raises(DataError, match="test part would lack class class0, which has 10 of 100 images"):
        split_indices(data_of([10] * 10), spec(0.9, 0.05, 0.05))


def test_a_data_set_with_a_test_part_is_split_in_two() -> None:
    train, val, test = split_indices(
        data_of([40, 60], test=True), DataSpec(name="npz", path="d.npz", split=SplitSpec(train=0.8, val=0.2, test=0))
    )
    assert (len(train), len(val), len(test)) == (80, 20, 0)
    assert sorted([*train.tolist(), *val.tolist()]) == list(range(100))


def test_a_data_set_with_a_test_part_gives_no_second_one() -> None:
    with pytest.raises(DataError, match=r"data\.split\.test to 0"):
        split_indices(data_of([40, 60], test=True), spec())


def test_a_data_set_without_a_test_part_must_give_one() -> None:
    with pytest.raises(DataError, match=r"data\.split\.test to more than 0"):
        split_indices(data_of([40, 60]), spec(0.8, 0.2, 0))


# --- what a search gets


def bytes_of(part: Part) -> list[bytes]:
    return [image.tobytes() for image in part.inputs]


def test_search_data_and_test_part_make_up_the_data_set() -> None:
    whole, found, test = load_data_set(DIGITS).main, load_search_data(DIGITS), load_test_part(DIGITS)
    assert len(found.train) + len(found.val) + len(test) == len(whole)
    together = bytes_of(found.train) + bytes_of(found.val) + bytes_of(test)
    assert Counter(together) == Counter(bytes_of(whole))


def test_images_keep_their_labels() -> None:
    whole = load_data_set(DIGITS).main
    pairs = Counter(zip(bytes_of(whole), whole.labels.tolist(), strict=True))
    found = load_search_data(DIGITS)
    for part in (found.train, found.val, load_test_part(DIGITS)):
        assert not Counter(zip(bytes_of(part), part.labels.tolist(), strict=True)) - pairs


def test_no_test_image_of_digits_is_seen_by_the_search() -> None:
    occurrences = Counter(bytes_of(load_data_set(DIGITS).main))
    found = load_search_data(DIGITS)
    seen = {*bytes_of(found.train), *bytes_of(found.val)}
    unique = [image for image in bytes_of(load_test_part(DIGITS)) if occurrences[image] == 1]
    assert len(unique) > 300
    assert not seen.intersection(unique)


@pytest.mark.parametrize("own", [0, 12])
def test_search_data_carry_no_test_image_to_another_process(tmp_path: Path, own: int) -> None:
    problem = random_npz(tmp_path / "d.npz", 60, test=own)
    found = load_search_data(problem)
    sent = pickle.dumps(found)
    assert len(load_test_part(problem)) == 12
    assert not [image for image in bytes_of(load_test_part(problem)) if image in sent]
    assert all(image in sent for image in bytes_of(found.train) + bytes_of(found.val))
    received = pickle.loads(sent)
    assert len(received.train.inputs) + len(received.val.inputs) == 60 - (0 if own else 12)


def test_search_data_hold_on_to_no_larger_array() -> None:
    # A view would keep the test images in memory, where pickle does not show them.
    found = load_search_data(DIGITS)
    for array in (found.train.inputs, found.train.labels, found.val.inputs, found.val.labels):
        assert array.base is None or array.base.size == array.size


def test_a_data_set_brings_its_own_test_part(tmp_path: Path) -> None:
    problem = random_npz(tmp_path / "d.npz", 60, test=12)
    with np.load(tmp_path / "d.npz") as arrays:
        np.testing.assert_array_equal(load_test_part(problem).inputs[:, 0], arrays["x_test"])
        np.testing.assert_array_equal(load_test_part(problem).labels, arrays["y_test"])


def test_the_task_follows_from_the_data() -> None:
    assert load_search_data(DIGITS).task == Task((1, 8, 8), 10)


_SEARCH = """
import sys
import moonas.cli, moonas.run, moonas.study.study
from moonas.evaluation.evaluator import Candidate
from moonas.spec.load import load_problem
from moonas.study import assemble
from moonas.study.assemble_evaluation import assemble_evaluators, load_data, settled

spec = load_problem("digits_tiny", overrides={"device.rounds": 2, "device.round_ms": 0.1, "fidelity.samples": 64})
encoding = assemble.assemble_encoding(spec)
candidate = Candidate(encoding.decode(tuple(0 for _ in encoding.genes)), seed=0)
data = load_data(spec)
for evaluator in assemble_evaluators(settled(spec, data), data):
    (outcome,) = evaluator.evaluate([candidate])
    assert set(outcome) == set(evaluator.metrics), outcome
assert "moonas.training.split" in sys.modules
print("moonas.training.test_split" in sys.modules)
"""


def test_a_search_never_imports_the_test_split(tmp_path: Path) -> None:
    ran = subprocess.run([sys.executable, "-c", _SEARCH], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip() == "False"
