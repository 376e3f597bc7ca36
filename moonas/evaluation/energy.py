"""Energy and power as metrics: metered on the device, or modelled."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from moonas.errors import CandidateError
from moonas.evaluation.evaluator import Candidate, Evaluator, Outcome, attempt, build
from moonas.evaluation.latency import SideBySideEvaluator
from moonas.network.architecture import Task


class MeteredEnergyEvaluator(SideBySideEvaluator):
    """Meters whole networks on the device, one running at a time."""

    def values(self, result: Any) -> Mapping[str, float]:
        """Name what was measured; see `moonas.hardware.energy.Energy`."""
        return {**_common_values(result), "energy_uncertainty": result.uncertainty}


class ModelledEnergyEvaluator(Evaluator):
    """Models energy from what a network computes and moves, and the latency that was measured of it before."""

    def __init__(
        self,
        metrics: Sequence[str],
        task: Task,
        estimate: Callable[[Any, Sequence[int], float], Any],
        *,
        gated: bool,
    ):
        """Take the model.

        Args:
            metrics: what it gives.
            task: of the networks.
            estimate: gives the energy of a module, the shape of one input and a latency in milliseconds.
            gated: whether latency is known only of networks that keep the limits on all other metrics.
        """
        self.metrics = tuple(metrics)
        self.gated = gated
        self._task, self._estimate = task, estimate

    def evaluate(self, candidates: Sequence[Candidate]) -> list[Outcome]:
        """Build each candidate and model it."""
        return [attempt(partial(self._model, candidate)) for candidate in candidates]

    def _model(self, candidate: Candidate) -> Mapping[str, float]:
        latency_ms = candidate.known.get("latency_ms")
        if not latency_ms:
            raise CandidateError("energy is modelled from latency_ms, which is not known of this network")
        module = build(candidate, self._task).eval()
        return _common_values(self._estimate(module, self._task.input_shape, latency_ms))


def _common_values(energy: Any) -> dict[str, float]:
    """What is known of an energy however it came about."""
    return {
        "energy_mj": energy.energy_mj,
        "energy_above_idle_mj": energy.above_idle_mj,
        "power_w": energy.power_w,
    }
