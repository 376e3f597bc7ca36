from __future__ import annotations

import gzip
import io
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from moonas.errors import DataError
from moonas.registry import path_of
from moonas.spec.data import DataSpec, SplitSpec
from moonas.training.data_sets import DataSet, assemble, load_data_set
from moonas.training.test_split import load_test_part

Array = np.ndarray[Any, Any]

_RANDOM = np.random.default_rng(0)
X = _RANDOM.integers(0, 256, (20, 5, 6), dtype=np.uint8)
Y = np.arange(20, dtype=np.uint8) % 3


def load(name: str, path: Path | None = None, **options: Any) -> DataSet:
    return load_data_set(DataSpec(name=name, path=None if path is None else str(path), options=options))


def refusal(call: Callable[[], Any]) -> str:
    """The message of the DataError that `call` must raise: one sentence that says which data it means."""
    with pytest.raises(DataError) as caught:
        call()
    message = str(caught.value)
    assert message.startswith("data ")
    assert "\n" not in message
    assert len(message) < 300
    return message


# --- digits


def test_digits_are_those_of_scikit_learn() -> None:
    from sklearn.datasets import load_digits

    data = load("digits")
    assert data.test is None
    assert data.classes == tuple("0123456789")
    assert data.main.inputs.shape == (1797, 1, 8, 8)
    np.testing.assert_array_equal(data.main.inputs[:, 0], load_digits().images)
    np.testing.assert_array_equal(data.main.labels, load_digits().target)


def test_an_option_that_digits_do_not_have_is_refused_by_name() -> None:
    assert "subset" in refusal(lambda: load("digits", subset=3))


# --- npz


def test_an_npz_file_brings_its_arrays_and_its_test_part(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", x_train=X, y_train=Y, x_test=X[:4], y_test=Y[:4])
    data = load("npz", tmp_path / "d.npz")
    np.testing.assert_array_equal(data.main.inputs[:, 0], X)
    np.testing.assert_array_equal(data.main.labels, Y)
    assert data.test is not None
    np.testing.assert_array_equal(data.test.inputs[:, 0], X[:4])
    np.testing.assert_array_equal(data.test.labels, Y[:4])


def test_an_npz_file_need_not_have_a_test_part(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "d.npz", x_train=X, y_train=Y)
    assert load("npz", tmp_path / "d.npz").test is None


def test_a_missing_npz_file_is_named(tmp_path: Path) -> None:
    message = refusal(lambda: load("npz", tmp_path / "absent.npz"))
    assert "absent.npz" in message
    assert "no such file" in message


def test_an_npz_file_with_other_names_is_told_the_right_ones(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", x=X, y=Y)
    message = refusal(lambda: load("npz", tmp_path / "d.npz"))
    for name in ("x_train", "y_train", "x_test", "y_test", "holds x, y"):
        assert name in message


def test_test_images_without_test_labels_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", x_train=X, y_train=Y, x_test=X)
    assert "y_test" in refusal(lambda: load("npz", tmp_path / "d.npz"))


class _Trap:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_pickled_objects_are_refused_and_never_run(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", x_train=np.array([_Trap(tmp_path / "sprung")], dtype=object), y_train=Y)
    message = refusal(lambda: load("npz", tmp_path / "d.npz"))
    assert "d.npz" in message
    assert not (tmp_path / "sprung").exists()


def _npz_bytes() -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, x_train=X, y_train=Y)
    return buffer.getvalue()


def _npy_bytes() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, X)
    return buffer.getvalue()


def _overwritten(content: bytes, at: int) -> bytes:
    return content[:at] + b"\xff" * 40 + content[at + 40 :]


# NumPy leaves a broken archive to the garbage collector, which complains that nobody closed it.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"hello, world", id="text"),
        pytest.param(b"", id="empty"),
        pytest.param(_npz_bytes()[:200], id="cut short"),
        pytest.param(_overwritten(_npz_bytes(), 100), id="corrupt"),
        pytest.param(_npy_bytes(), id="npy"),
    ],
)
def test_a_file_that_is_no_npz_archive_is_refused_as_such(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "d.npz").write_bytes(content)
    message = refusal(lambda: load("npz", tmp_path / "d.npz"))
    assert "d.npz" in message
    assert "options" not in message  # nothing is wrong with those
    assert "unsafe" not in message  # no advice to load what must not be loaded


def test_a_folder_is_no_npz_archive(tmp_path: Path) -> None:
    assert str(tmp_path) in refusal(lambda: load("npz", tmp_path))


# --- IDX


def idx(array: Array) -> bytes:
    return b"\0\0\x08" + bytes([array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write_idx(folder: Path, images: bytes | None, labels: bytes | None, *, part: str = "train", end: str = "") -> Path:
    for name, content in ((f"{part}-images-idx3-ubyte", images), (f"{part}-labels-idx1-ubyte", labels)):
        if content is not None:
            (folder / f"{name}{end}").write_bytes(content)
    return folder


def test_idx_files_are_read(tmp_path: Path) -> None:
    write_idx(tmp_path, idx(X), idx(Y))
    write_idx(tmp_path, idx(X[:7]), idx(Y[:7]), part="t10k")
    data = load("idx", tmp_path)
    np.testing.assert_array_equal(data.main.inputs[:, 0], X)
    np.testing.assert_array_equal(data.main.labels, Y)
    assert data.test is not None
    np.testing.assert_array_equal(data.test.inputs[:, 0], X[:7])
    np.testing.assert_array_equal(data.test.labels, Y[:7])


def test_gzipped_idx_files_are_read(tmp_path: Path) -> None:
    write_idx(tmp_path, gzip.compress(idx(X)), gzip.compress(idx(Y)), end=".gz")
    data = load("idx", tmp_path)
    np.testing.assert_array_equal(data.main.inputs[:, 0], X)
    assert data.test is None


def test_the_test_part_of_idx_files_can_be_handed_to_pytorch(tmp_path: Path) -> None:
    write_idx(tmp_path, idx(X), idx(Y))
    write_idx(tmp_path, idx(X[:7]), idx(Y[:7]), part="t10k")
    part = load_test_part(DataSpec(name="idx", path=str(tmp_path), split=SplitSpec(train=0.8, val=0.2, test=0)))
    torch.from_numpy(part.inputs)  # which warns of arrays that cannot be written to, and warnings are errors
    torch.from_numpy(part.labels)


@pytest.mark.parametrize("length", [*range(17), 100, len(idx(X)) - 1])
def test_an_idx_file_cut_short_anywhere_is_refused(tmp_path: Path, length: int) -> None:
    write_idx(tmp_path, idx(X)[:length], idx(Y))
    assert "train-images-idx3-ubyte" in refusal(lambda: load("idx", tmp_path))


def test_an_idx_file_with_too_many_bytes_is_not_called_short(tmp_path: Path) -> None:
    write_idx(tmp_path, idx(X) + b"more", idx(Y))
    message = refusal(lambda: load("idx", tmp_path))
    assert "train-images-idx3-ubyte" in message
    assert "short" not in message


@pytest.mark.parametrize("magic", [b"\x89PNG", b"\0\0\x0d\3", b"\1\0\x08\3"], ids=["png", "floats", "wrong zeros"])
def test_a_file_with_another_magic_number_is_refused(tmp_path: Path, magic: bytes) -> None:
    write_idx(tmp_path, magic + idx(X)[4:], idx(Y))
    message = refusal(lambda: load("idx", tmp_path))
    assert "train-images-idx3-ubyte" in message
    assert "IDX" in message


def test_a_missing_idx_file_is_named(tmp_path: Path) -> None:
    write_idx(tmp_path, idx(X), None)
    assert "train-labels-idx1-ubyte" in refusal(lambda: load("idx", tmp_path))


def test_a_missing_folder_of_idx_files_is_named(tmp_path: Path) -> None:
    assert "absent" in refusal(lambda: load("idx", tmp_path / "absent"))


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(gzip.compress(idx(X))[:-20], id="cut short"),
        pytest.param(_overwritten(gzip.compress(idx(X)), 12), id="corrupt"),
        pytest.param(idx(X), id="not gzipped"),
        pytest.param(b"", id="empty"),
    ],
)
def test_a_broken_gzip_file_is_refused(tmp_path: Path, content: bytes) -> None:
    write_idx(tmp_path, content, gzip.compress(idx(Y)), end=".gz")
    assert "train-images-idx3-ubyte.gz" in refusal(lambda: load("idx", tmp_path))


def test_as_many_idx_labels_as_images_are_needed(tmp_path: Path) -> None:
    write_idx(tmp_path, idx(X), idx(Y[:-1]))
    message = refusal(lambda: load("idx", tmp_path))
    assert "20 images" in message
    assert "19 labels" in message


# --- a folder of images


def save(pixels: Array, *path: str | Path) -> Path:
    file = Path(*path)
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(file)
    return file


GREY = _RANDOM.integers(0, 256, (4, 6, 5), dtype=np.uint8)
COLOUR = _RANDOM.integers(0, 256, (4, 6, 5, 3), dtype=np.uint8)


def test_grey_images_have_one_channel(tmp_path: Path) -> None:
    for i, name in enumerate(["dog/b.png", "dog/a.png", "cat/z.PNG", "cat/y.png"]):
        save(GREY[i], tmp_path, name)
    data = load("folder", tmp_path)
    assert data.classes == ("cat", "dog")
    assert data.test is None
    assert data.main.labels.tolist() == [0, 0, 1, 1]
    assert data.main.inputs.shape == (4, 1, 6, 5)
    read = {image.tobytes() for image in data.main.inputs[data.main.labels == 1]}
    assert read == {GREY[0].tobytes(), GREY[1].tobytes()}


def test_colour_images_have_three_channels_in_their_order(tmp_path: Path) -> None:
    save(COLOUR[0], tmp_path, "cat/a.png")
    save(COLOUR[1], tmp_path, "dog/a.png")
    images = load("folder", tmp_path).main.inputs
    np.testing.assert_array_equal(images, COLOUR[:2].transpose(0, 3, 1, 2))


def test_palette_images_keep_their_colours(tmp_path: Path) -> None:
    for i, name in enumerate(("cat", "dog")):
        (tmp_path / name).mkdir()
        Image.fromarray(COLOUR[i]).quantize(64).save(tmp_path / name / "a.png")  # at most 30 colours: none is lost
    np.testing.assert_array_equal(load("folder", tmp_path).main.inputs, COLOUR[:2].transpose(0, 3, 1, 2))


def test_deep_grey_images_are_not_burnt_out(tmp_path: Path) -> None:
    dark, bright = np.full((4, 4), 3_000, dtype=np.uint16), np.full((4, 4), 50_000, dtype=np.uint16)
    middle = np.full((4, 4), 20_000, dtype=np.uint16)
    save(dark, tmp_path, "cat/1.png")
    save(middle, tmp_path, "cat/2.png")
    save(bright, tmp_path, "dog/3.png")
    try:
        images = load("folder", tmp_path).main.inputs
    except DataError:
        return  # to refuse them is honest, too
    assert images[0].max() < images[1].min() <= images[1].max() < images[2].min()


def test_other_files_beside_images_do_no_harm(tmp_path: Path) -> None:
    save(GREY[0], tmp_path, "cat/a.png")
    save(GREY[1], tmp_path, "dog/a.png")
    (tmp_path / "README.txt").write_text("about cats and dogs")
    (tmp_path / "cat" / "notes.txt").write_text("about cats")
    (tmp_path / "empty").mkdir()
    data = load("folder", tmp_path)
    assert data.classes == ("cat", "dog")
    assert len(data.main) == 2


def test_images_of_different_sizes_are_refused(tmp_path: Path) -> None:
    save(GREY[0], tmp_path, "cat/a.png")
    save(GREY[1, :5], tmp_path, "dog/smaller.png")
    message = refusal(lambda: load("folder", tmp_path))
    assert "(6, 5)" in message
    assert "(5, 5)" in message


def test_the_first_image_of_another_size_is_named(tmp_path: Path) -> None:
    save(GREY[0], tmp_path, "cat/a.png")
    save(GREY[1, :5], tmp_path, "dog/smaller.png")
    assert "smaller.png" in refusal(lambda: load("folder", tmp_path))


def test_train_and_test_folders_are_the_two_parts(tmp_path: Path) -> None:
    for i, name in enumerate(["train/cat/a.png", "train/dog/a.png", "test/dog/x.png"]):
        save(GREY[i], tmp_path, name)
    data = load("folder", tmp_path)
    assert data.classes == ("cat", "dog")
    np.testing.assert_array_equal(data.main.inputs[:, 0], GREY[:2])
    assert data.test is not None
    assert data.test.labels.tolist() == [1]
    np.testing.assert_array_equal(data.test.inputs[:, 0], GREY[2:3])


@pytest.mark.parametrize("first_is_grey", [False, True])
def test_train_and_test_folders_agree_on_colour(tmp_path: Path, first_is_grey: bool) -> None:
    # A few images saved as grey among colour images are common; that the test part's first one is must not matter.
    save(COLOUR[0], tmp_path, "train/cat/a.png")
    save(COLOUR[1], tmp_path, "train/dog/a.png")
    save(GREY[0] if first_is_grey else COLOUR[2], tmp_path, "test/cat/a.png")
    save(COLOUR[3], tmp_path, "test/dog/a.png")
    data = load("folder", tmp_path)
    assert data.test is not None
    assert data.test.inputs.shape == (2, 3, 6, 5)


def test_a_test_folder_with_a_class_of_its_own_is_refused(tmp_path: Path) -> None:
    for name in ("train/cat", "train/dog", "test/cow"):
        save(GREY[0], tmp_path, name, "a.png")
    assert "cow" in refusal(lambda: load("folder", tmp_path))


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    save(GREY[0], tmp_path, "a.png")  # beside the sub-folders, not in one
    assert "sub-folders" in refusal(lambda: load("folder", tmp_path))


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    message = refusal(lambda: load("folder", tmp_path / "absent"))
    assert "absent" in message
    assert "no such folder" in message


def _png_bytes() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(_RANDOM.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(buffer, "png")
    return buffer.getvalue()


PNG = _png_bytes()


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"hello, world", id="text"),
        pytest.param(b"", id="empty"),
        pytest.param(PNG[:400], id="cut short"),
        pytest.param(PNG[:33] + b"\0" * 20 + PNG[33:], id="broken chunk"),
        pytest.param(_overwritten(PNG, 60), id="corrupt"),
    ],
)
def test_a_broken_image_is_named(tmp_path: Path, content: bytes) -> None:
    save(GREY[0], tmp_path, "cat/a.png")
    (tmp_path / "cat" / "broken.png").write_bytes(content)
    assert "broken.png" in refusal(lambda: load("folder", tmp_path))


# --- a function of the user's own


def two_arrays() -> tuple[Array, Array]:
    return X, Y


def four_arrays() -> tuple[Array, Array, Array, Array]:
    return X, Y, X[:5], Y[:5]


def named_arrays() -> dict[str, Array]:
    return {"x_train": X, "y_train": Y, "x_test": X[:5], "y_test": Y[:5]}


def with_options(count: int, *, path: Path | None = None) -> tuple[Array, Array]:
    assert path is None or isinstance(path, Path)
    return X[:count], Y[:count]


def with_a_mistake() -> tuple[Array, Array]:
    count: Any = None
    return X[: count + 1], Y


def with_a_missing_file() -> tuple[Array, Array]:
    raise FileNotFoundError("no file faces.csv")


@pytest.mark.parametrize("function", [two_arrays, four_arrays, named_arrays])
def test_a_function_gives_its_arrays_in_any_of_three_forms(function: Callable[[], Any]) -> None:
    data = load(path_of(function))
    np.testing.assert_array_equal(data.main.inputs[:, 0], X)
    np.testing.assert_array_equal(data.main.labels, Y)
    assert (data.test is None) == (function is two_arrays)
    if data.test is not None:
        np.testing.assert_array_equal(data.test.inputs[:, 0], X[:5])
        np.testing.assert_array_equal(data.test.labels, Y[:5])


def test_a_function_gets_its_options_and_its_path(tmp_path: Path) -> None:
    assert len(load(path_of(with_options), count=7).main) == 7
    assert len(load(path_of(with_options), tmp_path, count=9).main) == 9


def test_an_option_that_a_function_does_not_take_is_named() -> None:
    message = refusal(lambda: load(path_of(with_options), count=7, amount=3))
    assert "with_options" in message
    assert "amount" in message


def test_a_mistake_inside_of_a_function_is_not_blamed_on_its_options() -> None:
    message = refusal(lambda: load(path_of(with_a_mistake)))
    assert "with_a_mistake" in message
    assert "options" not in message


def test_a_function_that_fails_is_named_with_its_reason() -> None:
    message = refusal(lambda: load(path_of(with_a_missing_file)))
    assert "with_a_missing_file" in message
    assert "faces.csv" in message


@pytest.mark.parametrize(
    "given", [None, X, [X, Y], (X,), (X, Y, X), {"x": X, "y": Y}], ids=["None", "array", "list", "1", "3", "names"]
)
def test_a_function_that_gives_something_else_is_told_what_to_give(given: Any) -> None:
    def give() -> Any:
        return given

    message = refusal(lambda: load(path_of(give)))
    assert "give" in message
    assert "x_train" in message


def test_a_tuple_of_the_wrong_length_is_told_its_length() -> None:
    assert re.search(r"\b3\b|three", refusal(lambda: assemble((X, Y, X), "data D")))


# --- labels


def test_classes_that_are_words_are_numbered_in_their_order() -> None:
    data = assemble((X[:4], ["dog", "ant", "dog", "cat"], X[:2], ["cat", "ant"]), "data D")
    assert data.classes == ("ant", "cat", "dog")
    assert data.main.labels.tolist() == [2, 0, 2, 1]
    assert data.test is not None
    assert data.test.labels.tolist() == [1, 0]


def test_gaps_in_the_labels_are_closed() -> None:
    data = assemble((X[:4], np.array([7, -3, 7, 40]), X[:3], np.array([40, 7, -3])), "data D")
    assert data.classes == ("-3", "7", "40")
    assert data.main.labels.tolist() == [1, 0, 1, 2]
    assert data.test is not None
    assert data.test.labels.tolist() == [2, 1, 0]


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(-(2**40), 2**40), min_size=2, max_size=30).filter(lambda labels: len(set(labels)) > 1))
def test_labels_count_from_zero_and_name_their_classes(labels: list[int]) -> None:
    data = assemble((np.zeros((len(labels), 2, 2)), labels), "data D")
    assert data.main.labels.dtype == np.int64
    assert set(data.main.labels.tolist()) == set(range(len(data.classes)))
    assert [data.classes[label] for label in data.main.labels] == [str(label) for label in labels]


def test_a_column_of_labels_is_taken() -> None:
    assert assemble((X, Y[:, None]), "data D").main.labels.tolist() == Y.tolist()


def test_one_class_is_not_enough() -> None:
    assert "two" in refusal(lambda: assemble((X, np.zeros(20)), "data D"))


def test_no_images_at_all_are_refused() -> None:
    refusal(lambda: assemble((X[:0], Y[:0]), "data D"))


@pytest.mark.parametrize("count", [0, 19, 21])
def test_as_many_labels_as_images_are_needed(count: int) -> None:
    refusal(lambda: assemble((X, np.arange(count) % 2), "data D"))


def test_labels_of_the_test_part_that_training_lacks_are_named() -> None:
    assert "training lacks: 4" in refusal(lambda: assemble((X, Y, X[:2], [4, 1]), "data D"))


def test_labels_that_are_not_numbers_are_refused() -> None:
    # NumPy would make a class of them.
    labels = np.where(Y == 0, np.nan, Y.astype(float))
    refusal(lambda: assemble((X, labels), "data D"))


def test_numbers_between_classes_are_taken_for_values() -> None:
    assert "labels such as 0.5 are no classes" in refusal(lambda: assemble((X, Y + 0.5), "data D"))
    assert assemble((X, Y.astype(float)), "data D").main.labels.tolist() == Y.tolist()


def test_one_hot_labels_are_told_from_too_many() -> None:
    message = refusal(lambda: assemble((X, np.eye(4)[Y % 4]), "data D"))
    assert "are (20, 4)" in message
    assert "argmax" in message


def test_missing_labels_are_refused() -> None:
    refusal(lambda: assemble((X[:3], np.array(["a", "b", None], dtype=object)), "data D"))


def test_missing_labels_in_a_column_of_words_are_refused() -> None:
    # As pandas marks them: NumPy would make a class called nan.
    refusal(lambda: assemble((X[:3], np.array(["a", "b", np.nan], dtype=object)), "data D"))


def test_labels_that_are_lists_of_different_lengths_are_refused() -> None:
    refusal(lambda: assemble((X[:2], [[1], [2, 3]]), "data D"))


# --- images


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_channels_may_come_first_or_last(channels: int) -> None:
    first = _RANDOM.integers(0, 256, (20, channels, 7, 6), dtype=np.uint8)
    last = np.ascontiguousarray(first.transpose(0, 2, 3, 1))
    np.testing.assert_array_equal(assemble((first, Y), "data D").main.inputs, first)
    np.testing.assert_array_equal(assemble((last, Y), "data D").main.inputs, first)


def test_many_channels_come_first() -> None:
    images = np.zeros((20, 13, 7, 6), dtype=np.uint8)
    assert assemble((images, Y), "data D").main.inputs.shape == (20, 13, 7, 6)


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "int64", "int8", "uint16", "bool"])
def test_numbers_of_other_kinds_become_floats_of_the_same_value(dtype: str) -> None:
    images = (X % 100).astype(dtype)
    kept = assemble((images, Y), "data D").main.inputs
    assert kept.dtype == np.float32
    np.testing.assert_array_equal(kept[:, 0], images.astype(np.float32))


def test_bytes_stay_bytes() -> None:
    assert assemble((X, Y), "data D").main.inputs.dtype == np.uint8


@settings(deadline=None, max_examples=40)
@given(hnp.arrays(np.float64, (4, 3, 2), elements=st.floats(-1e6, 1e6)))
def test_double_precision_is_rounded_to_single(images: Array) -> None:
    kept = assemble((images, [0, 1, 0, 1]), "data D").main.inputs
    np.testing.assert_allclose(kept[:, 0], images, rtol=1e-7, atol=1e-45)


@pytest.mark.parametrize("shape", [(20,), (20, 30), (20, 1, 1, 5, 6)])
def test_images_of_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    assert str(shape) in refusal(lambda: assemble((np.zeros(shape), Y), "data D"))


def test_images_without_a_pixel_are_refused() -> None:
    refusal(lambda: assemble((np.zeros((20, 0, 5)), Y), "data D"))


@pytest.mark.parametrize("images", [X.astype(complex), X.astype(str), X.astype(object)], ids=["complex", "str", "obj"])
def test_images_that_are_not_numbers_are_refused(images: Array) -> None:
    assert "numbers" in refusal(lambda: assemble((images, Y), "data D"))


def test_images_of_different_sizes_in_a_list_are_refused() -> None:
    refusal(lambda: assemble(([np.zeros((3, 3)), np.zeros((4, 4))], [0, 1]), "data D"))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_images_with_values_that_are_not_finite_are_counted(value: float) -> None:
    images = X.astype(float)
    images[3, 0, 0] = images[3, 1, 1] = images[8, 2, 2] = value
    assert "2 of 20" in refusal(lambda: assemble((images, Y), "data D"))


def test_values_too_large_for_single_precision_are_refused() -> None:
    assert "20 of 20" in refusal(lambda: assemble((np.full((20, 2, 2), 1e300), Y), "data D"))


def test_test_images_with_values_that_are_not_finite_are_refused() -> None:
    # They would make a final accuracy that means nothing.
    images = X.astype(float)
    images[3, 0, 0] = np.nan
    assert "test" in refusal(lambda: assemble((X.astype(float), Y, images, Y), "data D"))


def test_an_empty_test_part_is_refused() -> None:
    assert "test" in refusal(lambda: assemble((X, Y, X[:0], Y[:0]), "data D"))


def test_test_images_of_another_shape_are_refused_with_both_shapes() -> None:
    message = refusal(lambda: assemble((X, Y, X[:, :4], Y), "data D"))
    assert "5, 6" in message
    assert "4, 6" in message


def test_as_many_test_labels_as_test_images_are_needed() -> None:
    message = refusal(lambda: assemble((X, Y, X[:4], Y[:3]), "data D"))
    assert "4" in message
    assert "3" in message


def test_test_images_without_labels_are_refused() -> None:
    refusal(lambda: assemble((X, Y, X, None), "data D"))
