"""Augmentation of whole batches on tensors."""

from __future__ import annotations

import torch
from torch.nn import functional


def augment(images: torch.Tensor, shift: int, flip: bool, generator: torch.Generator) -> torch.Tensor:
    """Shift each image by up to `shift` pixels to each side, filling with its border, and mirror half of them.

    The result lies in memory as the images do.

    Args:
        images: (batch, channels, height, width).
        shift: in pixels; 0 for none.
        flip: whether to mirror.
        generator: of the random choices; on the CPU, wherever the data are.
    """
    count, _, height, width = images.shape
    layout = torch.channels_last if images.is_contiguous(memory_format=torch.channels_last) else torch.contiguous_format
    if shift:
        padded = functional.pad(images, (shift,) * 4, mode="replicate")
        windows = padded.unfold(2, height, 1).unfold(3, width, 1)  # (batch, channels, rows, columns, height, width)
        rows, columns = torch.randint(2 * shift + 1, (2, count), generator=generator).to(images.device)
        images = windows[torch.arange(count, device=images.device), :, rows, columns]
    if flip:
        mirrored = torch.rand(count, generator=generator).to(images.device) < 0.5
        images = torch.where(mirrored[:, None, None, None], images.flip(3), images)
    return images.contiguous(memory_format=layout)


def shift_in_time(sequences: torch.Tensor, shift: int, generator: torch.Generator) -> torch.Tensor:
    """Shift each sequence by up to `shift` steps to either side, filling with its first or last step.

    Args:
        sequences: (batch, length, channels).
        shift: in steps; 0 for none.
        generator: of the random choices; on the CPU, wherever the data are.
    """
    if not shift:
        return sequences
    count, length, _ = sequences.shape
    starts = torch.randint(-shift, shift + 1, (count, 1), generator=generator)
    steps = (torch.arange(length) + starts).to(sequences.device).clamp(0, length - 1)  # (batch, length)
    return sequences[torch.arange(count, device=sequences.device)[:, None], steps]
