"""Data sets: built in, from files, from a function of the user's own; all as arrays in memory."""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from moonas.errors import DataError
from moonas.registry import DATA_SETS
from moonas.spec.problem import DataSpec

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Part:
    """Images and their labels.

    Attributes:
        images: (n, channels, height, width), as stored: uint8 or float32.
        labels: (n,), int64 from 0.
    """

    images: Array
    labels: Array

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: Array) -> Part:
        """The images and labels at `indices`."""
        return Part(self.images[indices], self.labels[indices])


@dataclass(frozen=True)
class DataSet:
    """A data set whole.

    Attributes:
        main: what is split into training and validation, and into test where the data set brings no test part.
        test: the data set's own test part, if it has one.
        classes: the names of the classes, in the order of the labels.
    """

    main: Part
    test: Part | None
    classes: tuple[str, ...]


def load_data_set(spec: DataSpec) -> DataSet:
    """Load what a problem names.

    Raises:
        DataError: if it is missing or malformed.
    """
    source = DATA_SETS.load(spec.name)
    arguments = {"path": Path(spec.path)} if spec.path is not None else {}
    try:
        arrays = source(**arguments, **spec.options)
    except TypeError as error:
        raise DataError(f"data {spec.name} does not take these options: {error}") from error
    return assemble(arrays, f"data {spec.path or spec.name}")


def assemble(arrays: Any, where: str) -> DataSet:
    """Check raw arrays and bring them into shape.

    Args:
        arrays: (x, y), (x_train, y_train, x_test, y_test), or a mapping with these names.
        where: how messages call them.

    Raises:
        DataError: if they do not fit together.
    """
    x, y, x_test, y_test = _unpack(arrays, where)
    images = _images(x, where)
    names, labels = np.unique(np.asarray(y).reshape(-1), return_inverse=True)
    _check(images, labels, names, where)
    test = None
    if x_test is not None:
        test_labels = np.asarray(y_test).reshape(-1)
        strange = np.setdiff1d(test_labels, names)
        if len(strange):
            raise DataError(f"{where}: the test part has classes that training lacks: {strange[:5].tolist()}")
        test = Part(_images(x_test, where), np.searchsorted(names, test_labels))
        if len(test.images) != len(test.labels) or test.images.shape[1:] != images.shape[1:]:
            raise DataError(f"{where}: the test part does not fit the training part")
    return DataSet(Part(images, labels.astype(np.int64)), test, tuple(str(name) for name in names))


def _unpack(arrays: Any, where: str) -> tuple[Any, Any, Any, Any]:
    if isinstance(arrays, Mapping):
        missing = [name for name in ("x_train", "y_train") if name not in arrays]
        if missing or ("x_test" in arrays) != ("y_test" in arrays):
            found = ", ".join(sorted(arrays)) or "nothing"
            raise DataError(f"{where}: must hold x_train, y_train and, if any, x_test, y_test; holds {found}")
        return arrays["x_train"], arrays["y_train"], arrays.get("x_test"), arrays.get("y_test")
    if isinstance(arrays, tuple) and len(arrays) in (2, 4):
        return (*arrays, None, None) if len(arrays) == 2 else arrays
    raise DataError(f"{where}: must give (x, y) or (x_train, y_train, x_test, y_test), gives {type(arrays).__name__}")


def _images(x: Any, where: str) -> Array:
    """Bring images into (n, channels, height, width), uint8 or float32."""
    images = np.asarray(x)
    if images.dtype.kind not in "uifb":
        raise DataError(f"{where}: images must be numbers, are {images.dtype}")
    if images.ndim == 3:
        images = images[:, None]
    if images.ndim != 4:
        raise DataError(f"{where}: images must be (n, height, width) with or without channels, are {images.shape}")
    if images.shape[1] not in (1, 2, 3, 4) and images.shape[3] in (1, 2, 3, 4):
        images = images.transpose(0, 3, 1, 2)
    images = np.ascontiguousarray(images)
    return images if images.dtype == np.uint8 else images.astype(np.float32)


def _check(images: Array, labels: Array, names: Array, where: str) -> None:
    if len(images) != len(labels):
        raise DataError(f"{where}: {len(images)} images but {len(labels)} labels")
    if len(names) < 2:
        raise DataError(f"{where}: holds {len(names)} class; a classifier needs two or more")
    if images.dtype != np.uint8 and not np.isfinite(images).all():
        broken = int((~np.isfinite(images)).reshape(len(images), -1).any(axis=1).sum())
        raise DataError(f"{where}: {broken} of {len(images)} images hold NaN or infinite values")


def digits() -> tuple[Array, Array]:
    """Scikit-learn's 1,797 handwritten digits of (1, 8, 8), from the UCI repository."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return bunch.images.astype(np.float32), bunch.target


def npz(path: Path) -> dict[str, Array]:
    """A NumPy archive with x_train, y_train and, if it has a test part, x_test, y_test."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except FileNotFoundError as error:
        raise DataError(f"data {path}: no such file") from error
    except (OSError, ValueError, AttributeError) as error:
        raise DataError(f"data {path}: is not a .npz archive of plain arrays: {error}") from error


def idx(path: Path) -> dict[str, Array]:
    """A folder of IDX files, gzipped or not, named as MNIST's: train-images-idx3-ubyte and so on."""
    names = {
        "x_train": "train-images-idx3-ubyte",
        "y_train": "train-labels-idx1-ubyte",
        "x_test": "t10k-images-idx3-ubyte",
        "y_test": "t10k-labels-idx1-ubyte",
    }
    arrays = {}
    for key, name in names.items():
        found = [file for file in (path / name, path / f"{name}.gz") if file.is_file()]
        if found:
            arrays[key] = _read_idx(found[0])
        elif key in ("x_train", "y_train"):
            raise DataError(f"data {path}: has no file {name} or {name}.gz")
    return arrays


def _read_idx(path: Path) -> Array:
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError) as error:
        raise DataError(f"data {path}: cannot be read: {error}") from error
    if len(content) < 4 or content[:3] != b"\0\0\x08":
        raise DataError(f"data {path}: is not an IDX file of bytes")
    dimensions = content[3]
    start = 4 + 4 * dimensions
    shape = np.frombuffer(content[4:start], dtype=">u4")
    if len(content) - start != int(np.prod(shape, dtype=np.int64)):
        raise DataError(f"data {path}: is cut short: its header promises {shape.tolist()}")
    return np.frombuffer(content[start:], dtype=np.uint8).reshape(shape)


def folder(path: Path) -> dict[str, Array]:
    """A folder of images, a sub-folder for each class; or `train` and `test` folders of such.

    All images must have one size; grey, colour and transparency are told by the first.
    """
    if not path.is_dir():
        raise DataError(f"data {path}: no such folder")
    if not (path / "train").is_dir():
        return _read_classes(path, "train")
    parts = _read_classes(path / "train", "train")
    return parts | _read_classes(path / "test", "test") if (path / "test").is_dir() else parts


def _read_classes(path: Path, part: str) -> dict[str, Array]:
    images: list[Array] = []
    labels: list[str] = []
    for label, image in _read_images(path):
        if images and image.shape != images[0].shape:
            raise DataError(f"data {path}: images differ in size: {images[0].shape[:2]} and {image.shape[:2]}")
        images.append(image)
        labels.append(label)
    if not images:
        raise DataError(f"data {path}: has no images in sub-folders named after classes")
    return {f"x_{part}": np.stack(images), f"y_{part}": np.array(labels)}


def _read_images(path: Path) -> Iterator[tuple[str, Array]]:
    from PIL import Image, UnidentifiedImageError

    mode = ""
    for class_folder in sorted(child for child in path.iterdir() if child.is_dir()):
        for file in sorted(child for child in class_folder.iterdir() if child.suffix.lower() in _IMAGES):
            try:
                with Image.open(file) as image:
                    mode = mode or ("L" if image.mode in ("1", "L", "I;16") else "RGB")
                    yield class_folder.name, np.asarray(image.convert(mode))
            except (UnidentifiedImageError, OSError) as error:
                raise DataError(f"data {file}: is not an image that can be read") from error


_IMAGES = {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff"}
