"""Device profiles measured on this machine: a table of the kernels of a search space, and how well it predicts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from moonas.encoding.catalogue import encoding_of
from moonas.errors import MoonasError, one_line
from moonas.network.architecture import Task
from moonas.spec.device import HERE, DeviceSpec, load_device_tree
from moonas.spec.document import Document
from moonas.spec.encoding import load_encoding
from moonas.spec.provenance import MachineSpec, SpaceSpec
from moonas.spec.validation import validate
from moonas.study.assemble import device_profile
from moonas.study.environment import machine, surroundings
from moonas.study.profile_file import (
    CALIBRATED_ON,
    VALIDATED_ON,
    alone,
    calibrating,
    claim,
    path_of,
    proved,
    write_profile,
)
from moonas.study.spread import built, draw_different

if TYPE_CHECKING:
    from torch import nn

    from moonas.encoding.encoding import Encoding
    from moonas.hardware.kernels import Kernel
    from moonas.hardware.runtime import Inference
    from moonas.hardware.space import KernelSpace

_SECONDS_TO_LOAD = 0.04
"""Of each that is timed; `remote/measure.py` says the same."""
UP_TO_S = 30.0
"""So long whole networks are timed for ten times as many rounds; `remote/measure.py` says the same. A shared machine is
slower for half a minute at a time."""
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Profiling:
    """A profile in the making.

    Attributes:
        path: of its YAML file; the table lies beside it.
        device: what is measured, and how.
        encoding: the search space.
        space: its name.
        task: what its networks are for.
        seed: of the networks that are drawn.
    """

    path: Path
    device: DeviceSpec
    encoding: Encoding
    space: str
    task: Task
    seed: int

    @property
    def table_path(self) -> Path:
        """Of the table."""
        return self.path.with_suffix(".csv")

    def networks(self) -> Iterator[nn.Module]:
        """Draw networks at random, without end."""
        random = np.random.default_rng((self.seed, 1))  # not the stream of the proof, which is (seed, 0) = seed
        endless = iter(lambda: self.encoding.sample(random), None)
        return built(self.encoding, self.task, endless, seed=self.seed)

    def proof(self) -> list[nn.Module]:
        """The networks on which a table is scaled and tried: each a different one, fewer if there are no more."""
        drawn = draw_different(self.encoding, CALIBRATED_ON + VALIDATED_ON, seed=self.seed)
        return list(built(self.encoding, self.task, drawn.genotypes, seed=self.seed))

    def kernels(self, network: nn.Module) -> list[Kernel]:
        """The kernels of a network."""
        from moonas.hardware.kernels import kernels_of
        from moonas.hardware.trace import trace

        operations = trace(network, self.task.input_shape, batch=self.device.batch)
        return kernels_of(operations, self.device.fusion)


def plan(
    name: str,
    encoding: str,
    task: Task,
    *,
    changes: Mapping[str, Any] | None = None,
    overrides: Mapping[str, Any] | None = None,
    folder: Path = Path("hw_profiles"),
    seed: int = 0,
) -> Profiling:
    """Say what is to be measured.

    Args:
        name: of the profile.
        encoding: a search space, by name or path.
        task: what its networks are for.
        changes: to the defaults of a device, as `{"runtime": "torch"}`.
        overrides: dotted path -> value, laid over the encoding, as `{"resolution": 32}`.
        folder: where the profile comes to lie.
        seed: of the networks that are drawn.

    Raises:
        MoonasError: if there is no such encoding, or nothing can be timed so.
    """
    from moonas.hardware.device import FUSION

    path = path_of(name, folder)
    changed = {"processor": load_device_tree(HERE)["processor"], "runtime": "onnxruntime", **(changes or {})}
    tree = {"name": name, **changed, "fusion": FUSION[str(changed["runtime"])]}
    device = validate(DeviceSpec, tree, Document(f"profile {name}", tree))
    space = encoding_of(load_encoding(encoding, overrides=overrides))
    said = ", ".join([encoding, *(f"{path}={value}" for path, value in (overrides or {}).items())])
    return Profiling(path, device, space, said, task, seed)


def measure(profiling: Profiling, progress: Progress = lambda line: None) -> DeviceSpec:
    """Measure a profile, or go on where it was interrupted, and write it.

    From then on this process keeps its memory, as the workers of a search do: else the same network would take longer
    here than there.

    Raises:
        MoonasError: if there is another profile of this name, another process measures it, or it cannot be written.
    """
    with alone(profiling.path):
        return _measure(profiling, progress)


def _measure(profiling: Profiling, progress: Progress) -> DeviceSpec:
    from moonas.evaluation.worker import keep_memory
    from moonas.hardware.kernel_times import Pace, time_kernels
    from moonas.hardware.runtime import prepare
    from moonas.hardware.table import append_rows, read_table

    keep_memory()
    space = find_kernels(profiling, progress)
    spec = described(profiling, space).on(_here(profiling))
    kept, device = claim(profiling.path, spec), device_profile(spec)
    known = read_table(profiling.table_path).times if profiling.table_path.exists() else {}
    missing = [kernel for kernel in space.kernels if kernel.key not in known]
    before = done = len(space.kernels) - len(missing)

    def told(rounds: int) -> None:
        progress(f"{done:,} of {len(space.kernels):,} kernels measured, the next {rounds} times of {device.rounds}")

    proof = profiling.proof()
    with taken(profiling):
        ready = [prepare(network, profiling.task.input_shape, device) for network in proof]
    weights, networks, pace, seed = space.weight_bytes, ready[: calibrating(len(ready))], Pace(known), profiling.seed
    for times in time_kernels(
        missing, device, weight_bytes=weights, networks=networks, pace=pace, seed=seed, told=told
    ):
        append_rows(profiling.table_path, times)
        done += sum(each.work.kernels > 0 for each in times)
        progress(f"{done:,} of {len(space.kernels):,} kernels measured")
    if done == before and kept.validation is not None:
        return kept  # measured and proved; what is missing cannot be timed by itself
    if untimed := len(space.kernels) - done:
        progress(f"{untimed:,} kernels cannot be timed by themselves, and are predicted from others")
    progress(f"{len(proof)} networks are timed, to see how well the table predicts them")
    return _proved(profiling, spec, proof, ready)


def _here(profiling: Profiling) -> MachineSpec:
    """This machine, if it has what is to be measured."""
    here = machine(profiling.device.runtime, on_gpu=profiling.device.processor == "cuda")
    if here.gpu == "unknown":
        raise MoonasError(f"a GPU is to be measured for {profiling.path}, and PyTorch sees none here")
    if profiling.device.threads > here.cores:
        raise MoonasError(f"{profiling.path}: give at most {here.cores} threads, as many as there are cores")
    return here


def _proved(
    profiling: Profiling, spec: DeviceSpec, networks: Sequence[nn.Module], ready: Sequence[Inference]
) -> DeviceSpec:
    """Time networks, and see how well the table predicts them."""
    from moonas.hardware.latency import measure
    from moonas.hardware.table import read_table

    device = device_profile(spec)
    found = measure(ready, device, up_to_s=UP_TO_S, patience=device.rounds, seed=profiling.seed)
    around, table = surroundings(), read_table(profiling.table_path)
    sums_ms = [table.sum(profiling.kernels(network)).latency_ms for network in networks]
    proof = proved(spec, table, timed=found, sums_ms=sums_ms, environment=around)
    write_profile(profiling.path, proof)
    return proof


@contextmanager
def taken(profiling: Profiling) -> Iterator[None]:
    """Say of whole networks that a runtime does not take them.

    Raises:
        MoonasError: if it does not.
    """
    try:
        yield
    except (MoonasError, OSError, MemoryError):
        raise
    except Exception as error:  # of many kinds, none of which has a name
        runtime, space = profiling.device.runtime, profiling.space
        raise MoonasError(f"{runtime} does not take the networks of {space}: {one_line(error)}") from error


def find_kernels(profiling: Profiling, progress: Progress = lambda line: None) -> KernelSpace:
    """Find the kernels of the search space."""
    from moonas.hardware.space import kernel_space

    def told(networks: int, kernels: int) -> None:
        if networks % 25 == 0:
            progress(f"{networks} networks drawn, with {kernels:,} kernels")

    return kernel_space(profiling.networks(), profiling.kernels, progress=told)


def minutes(profiling: Profiling, space: KernelSpace) -> float:
    """About how long it takes: kernels, what makes their inputs, calls, and whole networks."""
    from moonas.hardware.kernel_times import count_timed

    timed = count_timed(space.kernels, networks=CALIBRATED_ON) + CALIBRATED_ON + VALIDATED_ON
    return UP_TO_S / 60 + timed * (profiling.device.rounds * profiling.device.round_ms / 1000 + _SECONDS_TO_LOAD) / 60


def described(profiling: Profiling, space: KernelSpace) -> DeviceSpec:
    """The profile, before anything was timed, and but for the machine."""
    about = SpaceSpec(
        encoding=profiling.space,
        input_shape=profiling.task.input_shape,
        classes=profiling.task.classes,
        unseen=round(space.unseen, 5),
        weight_bytes=space.weight_bytes,
        seed=profiling.seed,
    )
    return profiling.device.model_copy(update={"table": profiling.table_path.name, "space": about})
