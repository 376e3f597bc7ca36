"""The unit of a search: one architecture, what was measured of it, how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from moonas.encoding.encoding import Genotype
from moonas.network.architecture import Architecture

State = Literal["complete", "stopped", "infeasible", "failed"]

LEARNT_NOTHING = "no better than chance"
"""How the reason of networks ends that a halving stopped because they had learnt nothing."""


@dataclass(frozen=True)
class Trial:
    """One architecture evaluated.

    Attributes:
        number: its place on the path of the search, from 0.
        genotype: canonical.
        state: `complete`; `stopped`: kept all limits as far as measured, but a halving did not let it go on to the
            training that complete ones get; `infeasible`: breaks a constraint, and was not trained if that showed
            before; `failed`: could not be evaluated.
        metrics: what was measured, by name, of a stopped one after less training; infeasible and failed ones may lack
            some.
        seconds: wall time spent on it.
        error: why it failed or was stopped, or which constraint it breaks; empty for complete ones.
        rung: at which it was stopped, from 1; 0 if it was not.
    """

    number: int
    genotype: Genotype
    architecture: Architecture
    state: State
    metrics: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    error: str = ""
    rung: int = 0

    @property
    def key(self) -> str:
        """The identity of the architecture."""
        return self.architecture.key


@dataclass(frozen=True)
class Budget:
    """Where a search ends.

    Attributes:
        trials: evaluated in all.
        seconds: of searching in all, over all runs in the folder; None for no limit.
    """

    trials: int
    seconds: float | None = None
