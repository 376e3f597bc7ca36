"""How much eager PyTorch holds during a forward pass."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import nn

from moonas.hardware.meta import META, OnMeta, tensors
from moonas.hardware.twin import meta_twin


def held_bytes(module: nn.Module, input_shape: Sequence[int], *, batch: int = 1) -> int:
    """The most bytes that tensors take at once in a forward pass in evaluation mode, weights left out.

    A tensor takes memory until no name in the network's Python code refers to it any more, which is often long after
    its last use: `x` of a `forward(self, x)` stays until that returns. So a twin of the module runs on PyTorch's meta
    device, where nothing is computed, and each storage is followed from the call that makes it to its end.

    Args:
        module: takes (batch, *input_shape); stays as it is.
        input_shape: of one input, as (channels, height, width). It is held all the time, by the caller.
        batch: inputs of the pass.
    """
    twin = meta_twin(module).eval()
    images = torch.empty(batch, *input_shape, device=META)
    with torch.no_grad(), _Follower([*twin.parameters(), *twin.buffers()]) as follower:
        follower.follow(images)
        twin(images)
    most: int = follower.most
    return most


class _Follower(OnMeta):  # type: ignore[no-untyped-call]
    """Counts the bytes of storages that operators make; a view has that of what it shows, and counts nothing."""

    def __init__(self, uncounted: Iterable[torch.Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.most, self._now = 0, 0
        self._uncounted = [tensor.untyped_storage() for tensor in uncounted]  # kept, lest others get their numbers
        self._followed = {storage._cdata for storage in self._uncounted}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = super().__torch_dispatch__(func, types, args, kwargs)
        for each in tensors(result):
            self.follow(each)
        return result

    def follow(self, tensor: torch.Tensor) -> None:
        """Count a tensor from now to the end of its storage."""
        storage = tensor.untyped_storage()
        number, size = storage._cdata, storage.nbytes()
        if number in self._followed:
            return
        self._followed.add(number)
        self._now += size
        self.most = max(self.most, self._now)
        weakref.finalize(storage, self._forget, number, size).atexit = False

    def _forget(self, number: int, size: int) -> None:
        self._followed.remove(number)
        self._now -= size
