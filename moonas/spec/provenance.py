"""Where the figures of a device profile come from, and how well they have proved."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from moonas.spec.validation import LISTED, SpecModel

Share = Annotated[float, Field(ge=0, le=1)]
Correlation = Annotated[float, Field(ge=-1, le=1)]


class SourceSpec(SpecModel):
    """Where somebody else's figures are published.

    Attributes:
        url: or the title of a document.
        date: on which they were read, as YYYY-MM-DD.
        licence: of the figures, if they have one.
    """

    url: str
    date: str
    licence: str | None = None


class MachineSpec(SpecModel):
    """What a profile was measured on: it holds for nothing else.

    Attributes:
        processor: as the system names it.
        cores: that the system may use.
        runtime_version: of what ran the networks.
        system: operating system and instruction set.
        gpu: which one, where that runs the networks.
        driver: its version, where the system tells.
        cuda: the version for which the runtime was built.
    """

    processor: str
    cores: Annotated[int, Field(ge=1)]
    runtime_version: str
    system: str
    gpu: str | None = None
    driver: str | None = None
    cuda: str | None = None


class EnvironmentSpec(SpecModel):
    """What was true of the machine when whole networks were timed, at the end, as far as the system tells.

    It is there to be judged by a reader, and refuses nothing.

    Attributes:
        date: as YYYY-MM-DD, in UTC.
        system: operating system, with its version.
        python: its version.
        load: processes that wanted to run, of the last minute; one is the measurement.
        pressure: percent of the last ten seconds in which some process waited for a CPU.
        governor: what sets the CPU's clock.
        mhz: the clock of the first core.
        turbo: whether it may rise above its nominal value.
        cpu_over_wall: of the networks, median: share of the time in which they were computed; less where others were.
    """

    date: str
    system: str
    python: str
    load: Annotated[float, Field(ge=0)] | None = None
    pressure: Annotated[float, Field(ge=0, le=100)] | None = None
    governor: str | None = None
    mhz: Annotated[float, Field(gt=0)] | None = None
    turbo: bool | None = None
    cpu_over_wall: Share | None = None


class SpaceSpec(SpecModel):
    """The search space whose kernels a table knows.

    Attributes:
        encoding: its name.
        input_shape: of one input, as (channels, height, width).
        classes: outputs of the networks.
        unseen: estimated share, among the kernels of another network, of those that are not in the table.
        weight_bytes: median of its networks: so much was read between two calls of a kernel.
        seed: of the networks that were drawn.
    """

    encoding: str
    input_shape: Annotated[tuple[int, ...], LISTED]
    classes: Annotated[int, Field(ge=1)]
    unseen: Share
    weight_bytes: Annotated[int, Field(ge=1)]
    seed: Annotated[int, Field(ge=0)] = 0


class ValidationSpec(SpecModel):
    """How well latencies are predicted of networks on which the profile was not built.

    Attributes:
        networks: how many they are, and what they are; for fitted profiles each was left out of the fit in turn.
        smallest_pixels: side of the smallest images that they are for; on smaller ones errors are not known.
        spearman: correlation of predicted and measured ranks.
        mape: mean of |predicted - measured| / measured.
        median_ape: median of the same.
        within_10_percent: share of the networks whose prediction is so near.
        timed_well: share of the networks whose own latencies another measurement would find again.
        kernel_uncertainty: by how much one half of the rounds found other times of the kernels than the other half, as
            a share of all of them.
    """

    networks: Annotated[int, Field(ge=1)]
    of: str
    smallest_pixels: Annotated[float, Field(gt=0)] | None = None
    spearman: Correlation | None = None
    mape: Annotated[float, Field(ge=0)] | None = None
    median_ape: Annotated[float, Field(ge=0)] | None = None
    within_10_percent: Share | None = None
    timed_well: Share | None = None
    kernel_uncertainty: Annotated[float, Field(ge=0)] | None = None


class PriceSpec(SpecModel):
    """What an hour of the device costs, where it is rented.

    Attributes:
        sku: what is rented, as its provider calls it.
        per: devices of this kind that are rented together.
    """

    usd_per_hour: Annotated[float, Field(gt=0)]
    sku: str
    per: Annotated[int, Field(ge=1)] = 1
    source: SourceSpec
