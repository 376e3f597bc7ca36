"""Where data come from: built in, a NumPy archive, IDX files, folders of images. Each gives raw arrays."""

from __future__ import annotations

import gzip
import math
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from moonas.errors import DataError, one_line

Array = np.ndarray[Any, Any]


def digits() -> tuple[Array, Array]:
    """Scikit-learn's 1,797 handwritten digits of (1, 8, 8), from the UCI repository."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return bunch.images.astype(np.float32), bunch.target


def npz(path: Path) -> dict[str, Array]:
    """A NumPy archive with x_train, y_train and, if it has a test part, x_test, y_test."""
    if not path.is_file():
        raise DataError(f"data {path}: {'is a folder, a .npz file is needed' if path.is_dir() else 'no such file'}")
    if not zipfile.is_zipfile(path):
        raise DataError(f"data {path}: is not a .npz archive")
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"data {path}: is not a .npz archive of plain arrays: {one_line(error)}") from error


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
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"data {path}: cannot be read: {one_line(error)}") from error
    if content[:3] != b"\0\0\x08" or len(content) < 4:
        raise DataError(f"data {path}: is not an IDX file of bytes")
    start = 4 + 4 * content[3]
    if len(content) < start:
        raise DataError(f"data {path}: is cut short within its header")
    shape = np.frombuffer(content[4:start], dtype=">u4").tolist()
    promised, found = math.prod(shape), len(content) - start
    if promised != found:
        raise DataError(f"data {path}: its header promises {promised} bytes of {shape}, {found} follow")
    return np.frombuffer(content[start:], dtype=np.uint8).reshape(shape).copy()


def folder(path: Path) -> dict[str, Array]:
    """A folder of images, a sub-folder for each class; or `train` and `test` folders of such.

    All images must have one size. If all are grey, they are read as such (8 bits, or deeper if one is); else in colour.
    """
    if not path.is_dir():
        raise DataError(f"data {path}: no such folder")
    whole = not (path / "train").is_dir()
    files = {"train": _image_files(path if whole else path / "train")}
    if not whole and (path / "test").is_dir():
        files["test"] = _image_files(path / "test")
    mode = _common_mode([file for part in files.values() for file in part])
    shape = _read_image(files["train"][0], mode).shape
    arrays = {}
    for part, of_part in files.items():
        arrays[f"x_{part}"] = np.stack([_read_image(file, mode, shape) for file in of_part])
        arrays[f"y_{part}"] = np.array([file.parent.name for file in of_part])
    return arrays


def _image_files(path: Path) -> list[Path]:
    folders = sorted(child for child in path.iterdir() if child.is_dir() and not child.name.startswith("."))
    inside = [file for child in folders for file in sorted(child.iterdir()) if not file.name.startswith(".")]
    files = [file for file in inside if file.suffix.lower() in _SUFFIXES]
    if not files:
        raise DataError(f"data {path}: has no images in sub-folders named after classes")
    return files


def _common_mode(files: Sequence[Path]) -> str:
    """The mode of Pillow that holds what all files show: L for grey of 8 bits, F for deeper grey, RGB for colour."""
    modes = {_open_image(file, lambda image: _GREY.get(image.mode, "RGB")) for file in files}
    return "RGB" if "RGB" in modes else "F" if "F" in modes else "L"


def _read_image(file: Path, mode: str, shape: tuple[int, ...] | None = None) -> Array:
    """Return (height, width) of grey or (height, width, 3) of colour."""

    def read(image: Any) -> Array:
        # Pillow's own way from 16 bits to F cuts at 8 bits.
        deep = mode == "F" and image.mode != "F"
        return np.asarray(image, dtype=np.float32) if deep else np.asarray(image.convert(mode))

    pixels: Array = _open_image(file, read)
    if shape is not None and pixels.shape != shape:
        raise DataError(f"data {file}: is of {pixels.shape[:2]} pixels, images before it are of {shape[:2]}")
    return pixels


def _open_image(file: Path, use: Callable[[Any], Any]) -> Any:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(file) as image:
            return use(image)
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"data {file}: is not an image that can be read: {one_line(error)}") from error


_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff"}
_GREY = {"1": "L", "L": "L", "I": "F", "I;16": "F", "I;16B": "F", "F": "F"}
"""Pillow's modes of grey images -> the mode in which they are read."""
