"""A device profile made of the results of a bundle."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from moonas.errors import MoonasError
from moonas.spec.device import DeviceSpec
from moonas.spec.results import GroupResultSpec, ManifestSpec, ResultsSpec, read_results
from moonas.study.profile_file import alone, path_of, proved, refuse_others, write_profile

if TYPE_CHECKING:
    from moonas.hardware.kernel_times import KernelTime
    from moonas.hardware.latency import Latency


def import_results(
    path: Path,
    *,
    name: str | None = None,
    folder: Path = Path("hw_profiles"),
    of: ManifestSpec | None = None,
) -> DeviceSpec:
    """Make a profile of what `measure.py` brought back: its YAML file, and the table beside it.

    Neither the encoding nor the bundle is needed: the results say which kernels each network has.

    Args:
        path: of the results.
        name: of the profile; as the bundle says.
        folder: where it comes to lie.
        of: what the bundle said that was to be measured; None if that is not known.

    Raises:
        SpecError: if these are no results, or not complete.
        MoonasError: if there is another profile of this name, or the results are of another bundle.
    """
    from moonas.hardware.roofline import Work
    from moonas.hardware.table import KernelTable, append_rows

    results = read_results(path)
    manifest = results.manifest
    if of is not None and manifest != of:
        raise MoonasError(f"{path} holds the results of another bundle")
    name = name or manifest.profile.name
    profile = path_of(name, folder)
    table = profile.with_suffix(".csv")
    changes = {"name": name, "table": table.name, "rounds": results.rounds}
    spec = manifest.profile.model_copy(update=changes).on(results.device)
    times = kernel_times(results)
    measured = KernelTable(times)
    named = [[(key, Work(*manifest.works[key])) for key in keys] for keys in manifest.networks]
    sums = [measured.sum_named(parts).latency_ms for parts in named]
    timed = _latencies(results.groups[-1])
    proof = proved(spec, measured, timed=timed, sums_ms=sums, environment=results.environment)
    with alone(profile):
        draft = table.with_name(f".{table.name}.draft")
        draft.unlink(missing_ok=True)
        try:
            append_rows(draft, times)
            refuse_others(profile, spec, table=draft.read_bytes())
            draft.replace(table)
        finally:
            draft.unlink(missing_ok=True)
        write_profile(profile, proof)  # last: a profile that is there is whole
    return proof


def kernel_times(results: ResultsSpec) -> list[KernelTime]:
    """What the kernels took, and before each group of them a call."""
    from moonas.hardware.kernel_times import Comparison, Pace, call_time
    from moonas.hardware.roofline import Work

    works = results.manifest.works
    times: list[KernelTime] = []
    call: list[KernelTime] = []
    pace = Pace({})
    for group, result in zip(results.manifest.groups, results.groups, strict=True):
        found = _latencies(result)
        call = [call_time(found[0])] if group.kind == "call" else call
        compared = (Comparison(c.key, Work(*works[c.key]), c.whole, c.less, c.times) for c in group.comparisons)
        if group.kind == "kernels":
            kernels = [comparison.time(found) for comparison in compared]
            times += pace.corrected([*call, *kernels], found[len(found) - group.networks :])
    return times


def _latencies(result: GroupResultSpec) -> Sequence[Latency]:
    from moonas.hardware.latency import Latency

    figures = (each.model_dump().items() for each in result.figures)
    return [Latency(**{name.removesuffix("_ms"): value for name, value in each}) for each in figures]
