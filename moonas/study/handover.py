"""One object handed to many worker processes in a file, whose arrays they share instead of each holding a copy."""

from __future__ import annotations

import mmap
import pickle
from pathlib import Path
from typing import Any

_ALIGNMENT = 64
HANDED_OVER = (_HEAD, _ARRAYS) = ("head", "arrays")
"""The names of the files."""


def write_handover(folder: Path, given: Any) -> None:
    """Write an object, functions of notebooks and scripts included, into two files of a folder of our own.

    Files, and not the pipes on which processes start: a worker that dies while its parent writes more than a pipe holds
    would block the parent for ever.

    Raises:
        OSError: if they cannot be written.
    """
    import cloudpickle

    arrays: list[pickle.PickleBuffer] = []
    head = cloudpickle.dumps(given, protocol=5, buffer_callback=arrays.append)
    spans = []
    with (folder / _ARRAYS).open("wb") as file:
        for array in arrays:
            file.write(bytes(-file.tell() % _ALIGNMENT))
            raw = array.raw()
            spans.append((file.tell(), raw.nbytes))
            file.write(raw)
    (folder / _HEAD).write_bytes(pickle.dumps((head, spans)))


def read_handover(folder: Path) -> Any:
    """Read what `write_handover` wrote. Its arrays lie in memory once for all processes, until one writes to them."""
    head, spans = pickle.loads((folder / _HEAD).read_bytes())
    if not spans:
        return pickle.loads(head)
    with (folder / _ARRAYS).open("rb") as file:
        if not any(length for _, length in spans):
            return pickle.loads(head, buffers=[bytearray()] * len(spans))
        whole = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))
    return pickle.loads(head, buffers=[whole[start : start + length] for start, length in spans])
