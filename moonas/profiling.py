"""Device profiles measured on this machine: a table of the kernels of a search space, and how well it predicts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import filelock
import numpy as np

from moonas.encoding.catalogue import encoding_of
from moonas.errors import MoonasError
from moonas.network.architecture import Task
from moonas.spec.device import HERE, DeviceSpec, load_device_tree
from moonas.spec.document import Document
from moonas.spec.encoding import load_encoding
from moonas.spec.provenance import SpaceSpec
from moonas.spec.validation import validate
from moonas.study.assemble import device_profile
from moonas.study.environment import machine, surroundings
from moonas.study.profile_file import CALIBRATED_ON, VALIDATED_ON, calibrating, claim, path_of, proved, write_profile
from moonas.study.spread import draw_different

if TYPE_CHECKING:
    from torch import nn

    from moonas.encoding.encoding import Encoding, Genotype
    from moonas.hardware.kernels import Kernel
    from moonas.hardware.space import KernelSpace
    from moonas.hardware.table import KernelTable

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


def built(encoding: Encoding, task: Task, genotypes: Iterable[Genotype], *, seed: int) -> Iterator[nn.Module]:
    """Build networks of a search space, ready for inference.

    Args:
        encoding: the search space.
        task: what they are for.
        genotypes: one for each network.
        seed: of their weights.
    """
    from moonas.evaluation.evaluator import Candidate, build

    return (build(Candidate(encoding.decode(genotype), seed), task).eval() for genotype in genotypes)


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
    here = machine(profiling.device.runtime, on_gpu=profiling.device.processor == "cuda")
    if here.gpu == "unknown":
        raise MoonasError(f"a GPU is to be measured for {profiling.path}, and PyTorch sees none here")
    if profiling.device.threads > here.cores:
        what = f"{profiling.device.threads} threads are to be timed, and this machine has {here.cores} cores for them"
        raise MoonasError(f"{profiling.path}: {what}")
    spec = described(profiling, space).on(here)
    kept = claim(profiling.path, spec)
    device = device_profile(spec)
    known = read_table(profiling.table_path).times if profiling.table_path.exists() else {}
    missing = [kernel for kernel in space.kernels if kernel.key not in known]
    before = done = len(space.kernels) - len(missing)

    def told(rounds: int) -> None:
        progress(f"{done:,} of {len(space.kernels):,} kernels measured, the next {rounds} times of {device.rounds}")

    proof = profiling.proof()
    networks = [prepare(each, profiling.task.input_shape, device) for each in proof[: calibrating(len(proof))]]
    pace, weights, seed = Pace(known), space.weight_bytes, profiling.seed
    for times in time_kernels(
        missing, device, weight_bytes=weights, networks=networks, pace=pace, seed=seed, told=told
    ):
        append_rows(profiling.table_path, times)
        done += sum(each.work.kernels > 0 for each in times)
        progress(f"{done:,} of {len(space.kernels):,} kernels measured")
    if done == before and kept.validation is not None:
        return kept  # measured and proved; what is missing cannot be timed by itself
    if done < len(space.kernels):
        progress(f"{len(space.kernels) - done:,} kernels cannot be timed by themselves, and are predicted from others")
    return _proved(profiling, spec, read_table(profiling.table_path), progress)


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


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Keep a profile to this process.

    Raises:
        MoonasError: if another one has it, or the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(path.with_name(f".{path.stem}.lock"), blocking=False, thread_local=False)
        lock.acquire()
    except filelock.Timeout as error:
        raise MoonasError(f"{path} is being measured by another process; wait, or choose another name") from error
    except OSError as error:
        raise MoonasError(f"{path} cannot be written: {error.strerror}") from error
    try:
        yield
    finally:
        lock.release()


def _proved(profiling: Profiling, spec: DeviceSpec, table: KernelTable, progress: Progress) -> DeviceSpec:
    """Time networks, and see how well the table predicts them."""
    from moonas.hardware.latency import measure
    from moonas.hardware.runtime import prepare

    device = device_profile(spec)
    networks = profiling.proof()
    progress(f"{len(networks)} networks are timed, to see how well the table predicts them")
    timed = [prepare(network, profiling.task.input_shape, device) for network in networks]
    found = measure(timed, device, up_to_s=UP_TO_S, patience=device.rounds, seed=profiling.seed)
    around = surroundings()
    sums = [table.sum(profiling.kernels(network)).latency_ms for network in networks]
    proof = proved(spec, table, timed=found, sums_ms=sums, environment=around)
    write_profile(profiling.path, proof)
    return proof
