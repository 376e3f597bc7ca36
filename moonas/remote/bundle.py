"""A zip of all that is timed for a profile, with the program that times it anywhere."""

from __future__ import annotations

import hashlib
import math
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import astuple, dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moonas.errors import MoonasError
from moonas.profiling import Profiling, described, find_kernels, taken
from moonas.spec.results import ComparisonSpec, GroupSpec, ManifestSpec
from moonas.study.profile_file import calibrating

if TYPE_CHECKING:
    import torch
    from torch import nn

    from moonas.hardware.space import KernelSpace
    from moonas.profiling import Progress

SCRIPT = Path(__file__).with_name("measure.py")
_MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Bundle:
    """A bundle that was written.

    Attributes:
        path: of the zip.
        manifest: what it holds.
        digest: of all of it: a bundle made again by the same command has the same.
    """

    path: Path
    manifest: ManifestSpec
    digest: str


def write_bundle(profiling: Profiling, path: Path, progress: Progress = lambda line: None) -> Bundle:
    """Write the bundle of a profile: its models, a manifest, and `measure.py`.

    Args:
        profiling: what is to be measured.
        path: of the zip.
        progress: told how far it is.

    Raises:
        MoonasError: if it cannot be written, or ONNX Runtime is not to be measured.
    """
    if profiling.device.runtime != "onnxruntime":
        raise MoonasError(f"a bundle is measured with ONNX Runtime; --runtime {profiling.device.runtime} measures here")
    space = find_kernels(profiling, progress)
    draft = path.with_name(f".{path.name}.draft")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED) as file:
            manifest = _Writer(file).write(profiling, space, progress)
        draft.replace(path)
    except OSError as error:
        raise MoonasError(f"{path} cannot be written: {error.strerror}") from error
    finally:
        with suppress(OSError):
            draft.unlink()
    return Bundle(path, manifest, hashlib.sha256(path.read_bytes()).hexdigest()[:12])


class _Writer:
    """Writes models into a zip, each content once."""

    def __init__(self, file: zipfile.ZipFile):
        self._file = file

    def write(self, profiling: Profiling, space: KernelSpace, progress: Progress) -> ManifestSpec:
        """Write all, and say what is timed."""
        from moonas.hardware.kernel_times import added_work, together
        from moonas.hardware.replay import Nothing, Rest

        call, networks = GroupSpec(kind="call", files=(self.model(Nothing()),)), profiling.proof()
        groups: list[GroupSpec] = []
        with taken(profiling):
            timed = tuple(self.network(profiling, each) for each in networks)
        paced = timed[: calibrating(len(timed))]
        for some in together(space.kernels):
            files, able = some.ready(self.model)
            compared = tuple(ComparisonSpec(key=c.key, whole=c.whole, less=c.less, times=c.times) for c in able)
            groups += call, GroupSpec(kind="kernels", files=(*files, *paced), comparisons=compared, networks=len(paced))
            done = sum(len(group.comparisons) for group in groups)
            progress(f"{done:,} of {len(space.kernels):,} kernels exported")
        kernels = [profiling.kernels(network) for network in networks]
        manifest = ManifestSpec(
            profile=described(profiling, space),
            seed=profiling.seed,
            rest=self.model(Rest(space.weight_bytes)),
            groups=(*groups, GroupSpec(kind="networks", files=timed)),
            works={each.key: astuple(added_work(each)) for each in (*space.kernels, *chain(*kernels))},
            networks=tuple(tuple(each.key for each in network) for network in kernels),
        )
        self._store(_MANIFEST, manifest.model_dump_json(exclude_none=True).encode())
        self._store(SCRIPT.name, SCRIPT.read_bytes())
        return manifest

    def model(self, module: Any) -> str:
        """Export a part that has inputs."""
        return self._export(module, module.inputs)

    def network(self, profiling: Profiling, network: nn.Module) -> str:
        """Export a network."""
        import torch

        return self._export(network, [torch.zeros(profiling.device.batch, *profiling.task.input_shape)])

    def _export(self, module: nn.Module, inputs: Sequence[torch.Tensor]) -> str:
        from moonas.hardware.runtime import to_onnx

        fill_weights(module)
        exported = to_onnx(module.eval(), *inputs)
        name = f"models/{hashlib.sha256(exported).hexdigest()[:16]}.onnx"
        if name not in self._file.NameToInfo:
            self._store(name, exported)
        return name

    def _store(self, name: str, content: bytes) -> None:
        """With no date, so that the same content makes the same zip."""
        self._file.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)


def fill_weights(module: nn.Module) -> None:
    """Give each weight tensor one value, so that a zip of models is small.

    The value lets a layer give back the mean of what it reads, so that numbers stay near 1: zeros, denormal or infinite
    numbers may take other times to compute. It differs from tensor to tensor, as equal weights would be merged by the
    exporter, and a network would read less of them than it does.

    Side by side, networks and kernels of `mobile` and `nas_bench_201` took 0.99 to 1.00 times as long as with random
    weights (medians). The bundle of `nas_bench_201` has 0.2 MB instead of 34, that of `mobile` at 32 pixels 1.5 MB
    instead of 391.
    """
    import torch

    with torch.no_grad():
        for i, weight in enumerate(module.parameters()):
            reads = math.prod(weight.shape[1:]) if weight.ndim > 1 else 2
            weight.fill_((1 + i / 1024) / reads)
