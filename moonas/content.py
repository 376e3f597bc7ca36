"""Where the shipped YAML files lie, and how a name becomes a file.

The one place that knows whether moonas runs from a checkout or from a wheel.
"""

from __future__ import annotations

import os.path
from pathlib import Path

from moonas.errors import MoonasError, UnknownNameError

KINDS = {
    "problems": "problem",
    "encodings": "encoding",
    "architectures": "architecture",
    "hw_profiles": "device profile",
}
_FOLDERS = {"architectures": "encodings/architectures"}
_package = Path(__file__).parent


def shipped_folder(kind: str) -> Path:
    """The folder that holds the shipped files of `kind` (a key of KINDS)."""
    folder = _FOLDERS.get(kind, kind)
    installed = _package / "shipped" / folder
    return installed if installed.is_dir() else _package.parent / folder


def available(kind: str) -> dict[str, Path]:
    """Name -> file of all that can be named of `kind`: the shipped, and those in ./KIND, which come first.

    Raises:
        UnknownNameError: if there is no such kind.
    """
    if kind not in KINDS:
        raise UnknownNameError("kind", kind, KINDS)
    shipped, here = shipped_folder(kind), Path(kind)
    folders = [shipped] if here.is_dir() and here.samefile(shipped) else [shipped, here]
    paths = [path for folder in folders for path in folder.glob("*.yaml")]
    return dict(sorted({path.stem: path for path in paths if path.is_file()}.items()))


def find_shipped(name: str) -> tuple[str, Path]:
    """The kind and file of a shipped name, whatever its kind, or of KIND/NAME.

    Raises:
        UnknownNameError: if nothing shipped has that name.
        MoonasError: if several kinds have it.
    """
    wanted, slash, stem = name.rpartition("/")
    kinds = [wanted] if slash and wanted in KINDS else list(KINDS)
    stem = stem if len(kinds) == 1 else name
    files = {kind: shipped_folder(kind) / f"{stem}.yaml" for kind in kinds}
    found = [(kind, path) for kind, path in files.items() if path.is_file()]
    if len(found) > 1:
        kinds_of_it = " and ".join(KINDS[kind] for kind, _ in found)
        raise MoonasError(f"{name} is {kinds_of_it}; write {' or '.join(f'{kind}/{name}' for kind, _ in found)}")
    if not found:
        raise UnknownNameError(
            "file", name, {path.stem for kind in KINDS for path in shipped_folder(kind).glob("*.yaml")}
        )
    return found[0]


def find(kind: str, name: str, *, beside: Path = Path()) -> Path:
    """Resolve `name`: a path, else ./KIND/NAME.yaml, else the shipped file of that name.

    Args:
        kind: a key of KINDS.
        name: what the user wrote.
        beside: the folder where relative paths begin.

    Raises:
        UnknownNameError: if there is none of these.
    """
    candidates = (beside / name, Path(kind) / f"{name}.yaml", shipped_folder(kind) / f"{name}.yaml")
    for path in candidates:
        if os.path.isfile(path):  # noqa: PTH113  # Path.is_file raises for a name too long
            return path
    is_file_name = name.endswith((".yaml", ".yml"))
    what = f"no such file: {name}" if is_file_name else ""
    if name and os.path.isdir(beside / name):  # noqa: PTH112
        what = f"{name} is a folder, a file is needed"
    stem = Path(name).stem if is_file_name else name
    raise UnknownNameError(KINDS[kind], stem, available(kind), ", or give the path of a file", what)


def summary(path: Path) -> str:
    """The first comment line of a YAML file: what it is for."""
    try:
        with path.open(encoding="utf-8", errors="replace") as lines:
            first = next(lines, "")
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return first.lstrip("# ").strip() if first.startswith("#") else ""
