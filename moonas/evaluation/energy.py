"""Energy and power as metrics: metered on the device, or modelled."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from moonas.errors import CandidateError
from moonas.evaluation.latency import SideBySideEvaluator
from moonas.evaluation.looking import BuiltNetwork, LookingEvaluator, Tracer
from moonas.network.architecture import Task


class MeteredEnergyEvaluator(SideBySideEvaluator):
    """Meters whole networks on the device, one running at a time."""

    def values(self, result: Any) -> Mapping[str, float]:
        """Name what was measured; see `moonas.hardware.energy.Energy`."""
        return {**_common_values(result), "energy_uncertainty": result.uncertainty}


class ModelledEnergyEvaluator(LookingEvaluator):
    """Models energy from what a network computes and moves, and the latency that was found of it before."""

    def __init__(
        self,
        metrics: Sequence[str],
        task: Task,
        trace: Tracer,
        estimate: Callable[[Sequence[Any], float], Any],
        *,
        batch: int,
        gated: bool,
    ):
        """Take the model.

        Args:
            metrics: what it gives.
            task: of the networks.
            trace: lists what they compute.
            estimate: gives the energy of such a list and a latency in milliseconds.
            batch: inputs of one inference.
            gated: whether latency is known only of networks that keep the limits on all other metrics.
        """
        super().__init__(metrics, task, trace)
        self.gated = gated
        self._estimate, self._batch = estimate, batch

    def look(self, network: BuiltNetwork) -> Mapping[str, float]:
        """Model one network."""
        latency_ms = network.known.get("latency_ms")
        if not latency_ms:
            raise CandidateError("energy is modelled from latency_ms, which is not known of this network")
        return _common_values(self._estimate(network.operations(self._batch), latency_ms))


def _common_values(energy: Any) -> dict[str, float]:
    """What is known of an energy however it came about."""
    return {
        "energy_mj": energy.energy_mj,
        "energy_above_idle_mj": energy.above_idle_mj,
        "power_w": energy.power_w,
    }
