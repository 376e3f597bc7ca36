"""What a bundle says that is to be measured elsewhere, and what comes back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from moonas.errors import SpecError
from moonas.spec.device import MOST_ROUNDS, DeviceSpec, NotNegative
from moonas.spec.document import Document
from moonas.spec.provenance import EnvironmentSpec, MachineSpec, Share
from moonas.spec.validation import LISTED, Mistake, SpecModel, validate

SCHEMA_VERSION = 1
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]


class ComparisonSpec(SpecModel):
    """A kernel whose time is a difference.

    Attributes:
        key: of the kernel.
        whole: number, among the files of its group, of what makes its inputs, and the kernel.
        less: of what makes its inputs, alone.
        times: how often the kernel is in it.
    """

    key: str
    whole: Count
    less: Count
    times: Annotated[int, Field(ge=1)] = 1


class GroupSpec(SpecModel):
    """Models that are timed side by side.

    Attributes:
        kind: the call that computes nothing, kernels, or whole networks.
        files: the model of each.
        comparisons: what becomes of the times, where they are of kernels.
        networks: how many of the files, the last ones, are whole networks that tell how fast the device is.
    """

    kind: Literal["call", "kernels", "networks"]
    files: Annotated[tuple[str, ...], LISTED]
    comparisons: Annotated[tuple[ComparisonSpec, ...], LISTED] = ()
    networks: Count = 0

    def mistakes(self) -> Iterator[Mistake]:
        """Refuse comparisons of what is not timed."""
        for i, each in enumerate(self.comparisons):
            if max(each.whole, each.less) >= len(self.files):
                yield ("comparisons", i), f"is of a model that is not among the {len(self.files)} of its group"
        if self.networks > len(self.files):
            yield ("networks",), f"must be at most the {len(self.files)} files of its group, are {self.networks}"


class ManifestSpec(SpecModel):
    """What a bundle holds.

    Attributes:
        profile: that is to be made, but for the machine.
        seed: of the orders.
        rest: the model that stands for the rest of a network.
        groups: in the order in which they are timed.
        works: by the key of each kernel, what it asks of a device, in the order of `Work`.
        networks: for each network of the last group, the keys of its kernels.
    """

    schema_version: Literal[1] = 1
    profile: DeviceSpec
    seed: Count
    rest: str
    groups: Annotated[tuple[GroupSpec, ...], LISTED]
    works: dict[str, Annotated[tuple[Count, Count, Count, Count, Count, Count, Count], LISTED]]
    networks: Annotated[tuple[Annotated[tuple[str, ...], LISTED], ...], LISTED]

    def mistakes(self) -> Iterator[Mistake]:
        """Refuse what cannot become a table."""
        kinds = [group.kind for group in self.groups]
        calls = (i for i, group in enumerate(self.groups) if group.kind == "call" and len(group.files) != 1)
        if kinds[:1] != ["call"] or kinds[-1:] != ["networks"] or "networks" in kinds[:-1]:
            yield ("groups",), "must be a call, kernels and calls, and at last networks"
        elif (wrong := next(calls, None)) is not None:
            yield ("groups", wrong), "must time one model, the call"
        elif len(self.groups[-1].files) != len(self.networks):
            yield ("networks",), f"must list the kernels of {len(self.groups[-1].files)}, are {len(self.networks)}"
        paced = {group.networks for group in self.groups if group.kind == "kernels"}
        if len(paced) > 1:
            yield (
                ("groups",),
                f"must time as many networks with each group of kernels, time {min(paced)} to {max(paced)}",
            )
        if self.groups and not self.groups[-1].files:
            yield ("groups", len(self.groups) - 1), "must time one network at least"
        compared = (each.key for group in self.groups for each in group.comparisons)
        unknown = next((key for key in (*compared, *chain(*self.networks)) if key not in self.works), None)
        if unknown is not None:
            yield ("works",), f"lacks the kernel '{unknown}'"


class FigureSpec(SpecModel):
    """The latency of one model, as `moonas.hardware.latency.Latency` has it."""

    best_ms: Positive
    median_ms: Positive
    p10_ms: Positive
    p90_ms: Positive
    uncertainty: NotNegative
    repeatability: NotNegative
    calls: Count
    rounds: Count
    cpu_over_wall: Share


class GroupResultSpec(SpecModel):
    """What was measured of a group.

    Attributes:
        figures: of its files, in order.
    """

    figures: Annotated[tuple[FigureSpec, ...], LISTED]


class ResultsSpec(SpecModel):
    """What `measure.py` writes.

    Attributes:
        device: on which it ran.
        rounds: visits to each model.
        manifest: of the bundle.
        groups: what was measured, in the order of the manifest's groups.
        environment: what was true of the device afterwards.
    """

    schema_version: Literal[1]
    device: MachineSpec
    environment: EnvironmentSpec
    rounds: Annotated[int, Field(ge=2, le=MOST_ROUNDS)]
    manifest: ManifestSpec
    groups: Annotated[tuple[GroupResultSpec, ...], LISTED]

    def mistakes(self) -> Iterator[Mistake]:
        """Refuse results that are not complete."""
        wanted = self.manifest.groups
        if len(self.groups) != len(wanted):
            yield ("groups",), f"are {len(self.groups)} of {len(wanted)}; run measure.py again, which goes on"
        for i, (found, group) in enumerate(zip(self.groups, wanted, strict=False)):
            if len(found.figures) != len(group.files):
                yield ("groups", i, "figures"), f"must be {len(group.files)}, are {len(found.figures)}"


def read_results(path: Path) -> ResultsSpec:
    """Read the results of a bundle.

    Raises:
        SpecError: if they cannot be read, are no results, of another schema, or not complete; the first mistake.
    """
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SpecError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise SpecError(f"{path}: is damaged, or no JSON: {error}; copy the results of measure.py again") from error
    if not isinstance(tree, dict) or "schema_version" not in tree:
        raise SpecError(f"{path}: is no results file of measure.py, which has a schema_version")
    if tree["schema_version"] != SCHEMA_VERSION:
        what = f"is of schema {tree['schema_version']}, and this moonas reads {SCHEMA_VERSION}"
        raise SpecError(f"{path}: {what}; make the bundle with this moonas, and measure again")
    try:
        return validate(ResultsSpec, tree, Document(str(path), tree))
    except SpecError as error:
        raise SpecError(str(error).splitlines()[0]) from error
