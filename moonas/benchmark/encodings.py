"""The speed of decoding and of building."""

from __future__ import annotations

import statistics
from functools import partial
from typing import Annotated

import numpy as np
import typer

from moonas import content
from moonas.benchmark.stopwatch import timed
from moonas.encoding.catalogue import search_space
from moonas.encoding.encoding import Encoding
from moonas.errors import EncodingError
from moonas.evaluation.static import count_flops
from moonas.network.architecture import Task
from moonas.terminal import input_shape, say


def encodings(
    names: Annotated[list[str] | None, typer.Argument(help="Encodings.", show_default="all shipped")] = None,
    shape: Annotated[str, typer.Option("--input", help="Channels x height x width, or length x channels.")] = "3x32x32",
    decodes: Annotated[int, typer.Option(help="Genotypes to decode.")] = 3000,
    builds: Annotated[int, typer.Option(help="Networks to build and count.")] = 20,
) -> None:
    """How many genotypes are decoded and named a second, and what building a network and counting its flops takes.

    On one thread; the encodings take turns, so that a busy machine slows all of them.
    """
    import torch

    torch.set_num_threads(1)
    task = Task(input_shape(shape), 10)
    spaces = {name: search_space(name) for name in names or content.available("encodings")}
    rate = {name: decodes / timed(partial(_decode, space, decodes)) for name, space in spaces.items()}
    milliseconds: dict[str, list[float]] = {name: [] for name in spaces}
    for seed in range(-1, builds):  # the first of each warms up
        for name, space in spaces.items():
            architecture = space.decode(space.sample(np.random.default_rng(abs(seed))))
            try:
                taken = 1000 * timed(lambda: count_flops(architecture.build(task).eval(), task.input_shape))  # noqa: B023
            except EncodingError:  # too small an input for it
                continue
            if seed >= 0:
                milliseconds[name].append(taken)
    for name, taken_by in milliseconds.items():
        spread = (
            f"{statistics.median(taken_by):4.0f} ms, {min(taken_by):.0f} to {max(taken_by):.0f}" if taken_by else "-"
        )
        say(f"{name:<14} decode + key {rate[name]:7,.0f} a second   build + flops of {len(taken_by)}: {spread}")


def _decode(space: Encoding, count: int) -> None:
    random = np.random.default_rng(0)
    for _ in range(count):
        _ = space.decode(space.sample(random)).key
