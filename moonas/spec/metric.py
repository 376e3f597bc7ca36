"""The metrics that moonas knows by name: what they mean, which way is better, what they cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Goal = Literal["maximize", "minimize"]
Cost = Literal["cheap", "dear"]


@dataclass(frozen=True)
class Metric:
    """A metric with a name of its own.

    Attributes:
        name: with its unit as suffix; a column of the CSVs.
        goal: which way is better.
        source: what measures it: `static` (from the module), `zero_cost` (from a pass or two before any training),
            `memory` (computed for the device's runtime), `latency` (timed on the device, or predicted of it),
            `prediction` (of a latency), `energy` (metered on the device, or modelled), `training`.
        ideal: the best value that could be, for the normalised hypervolume; None where there is none.
        meaning: one line for people.
    """

    name: str
    goal: Goal
    source: Literal["static", "zero_cost", "memory", "latency", "prediction", "energy", "training"]
    ideal: float | None
    meaning: str


METRICS = {
    metric.name: metric
    for metric in (
        Metric("accuracy", "maximize", "training", 1.0, "share of validation images classified right, 0 to 1"),
        Metric("average_precision", "maximize", "training", 1.0, "of validation inputs, mean over the labels, 0 to 1"),
        Metric("r2", "maximize", "training", 1.0, "share of the variance of validation values that is explained"),
        Metric("training_loss", "minimize", "training", 0.0, "mean loss of all training steps, steadier than accuracy"),
        Metric("params", "minimize", "static", 0.0, "number of parameters"),
        Metric("flops", "minimize", "static", 0.0, "multiply-adds for one input, as fvcore counts them"),
        Metric("size_mb", "minimize", "static", 0.0, "weights and buffers as stored, in 10^6 bytes"),
        Metric("synflow", "maximize", "zero_cost", None, "logarithm of what flows through all weights"),
        Metric("naswot", "maximize", "zero_cost", None, "how well a batch is told apart by which units are active"),
        Metric("jacobian_covariance", "maximize", "zero_cost", None, "how little the images' gradients correlate"),
        Metric("snip", "maximize", "zero_cost", None, "how much the loss depends on the presence of weights"),
        Metric("gradient_norm", "maximize", "zero_cost", None, "norms of the gradients of all layers"),
        Metric("peak_memory_mb", "minimize", "memory", 0.0, "most that one inference holds at once, in 10^6 bytes"),
        Metric(
            "peak_activations_mb", "minimize", "memory", 0.0, "the same without the weights, which may stay in flash"
        ),
        Metric("latency_ms", "minimize", "latency", 0.0, "best time of one inference on the device"),
        Metric("latency_median_ms", "minimize", "latency", 0.0, "median time of one inference"),
        Metric("latency_p90_ms", "minimize", "latency", 0.0, "time that 9 of 10 inferences keep"),
        Metric("latency_wall_ms", "minimize", "latency", 0.0, "median time until a GPU's result is there"),
        Metric(
            "latency_uncertainty",
            "minimize",
            "latency",
            0.0,
            "spread of the rounds' floors above latency_ms, as a share of it",
        ),
        Metric("coverage", "maximize", "prediction", 1.0, "share of a predicted latency that is of measured kernels"),
        Metric("energy_mj", "minimize", "energy", 0.0, "energy of one inference, in millijoules"),
        Metric("energy_above_idle_mj", "minimize", "energy", 0.0, "the same without what the device draws at rest"),
        Metric("power_w", "minimize", "energy", 0.0, "watts while inferences follow each other"),
        Metric("energy_uncertainty", "minimize", "energy", 0.0, "of energy_mj where it is measured, as a share of it"),
    )
}
FRONT_COLUMNS = (
    "measured_latency_ms",
    "measured_latency_uncertainty",
    "latency_quality",
    "latency_tied_with",
    "latency_timed_together",
)
"""What is added to a front whose networks were timed together in the end; see `moonas.report.timed_front`."""
ENERGY_SOURCE = "energy_source"
"""How the energies of a run came about."""
COLUMNS = ("key", "number", "state", "seconds", "error", ENERGY_SOURCE, *FRONT_COLUMNS)
"""The columns of the CSVs that are neither metrics nor genes."""
AT = "@"
"""Between a metric and the device that predicts it: `latency_ms@raspberry_pi_4`."""
PREDICTED_COLUMNS = ("latency_ms", "coverage")
"""What a profile of a device predicts; the second, if it has a table of measured kernels."""
MEMORY_COLUMNS = tuple(name for name, metric in METRICS.items() if metric.source == "memory")
LATENCY_COLUMNS = tuple(name for name, metric in METRICS.items() if metric.source == "latency")
WALL_COLUMN = "latency_wall_ms"
"""What is timed on GPUs alone."""
ENERGY_COLUMNS = tuple(name for name, metric in METRICS.items() if metric.source == "energy")


def metric_of(column: str) -> Metric | None:
    """The metric of moonas that a column holds, whatever device it is of; None if it is none of them."""
    name, at, device = column.partition(AT)
    if at and not (device and name in PREDICTED_COLUMNS):
        return None
    return METRICS.get(name)


def device_in(column: str) -> str:
    """The device that a column names, `raspberry_pi_4` in `latency_ms@raspberry_pi_4`; empty for that of the search."""
    return column.partition(AT)[2]
