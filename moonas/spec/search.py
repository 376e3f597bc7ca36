"""What a problem may say of the search: the strategy, and where it ends."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from moonas.registry import STRATEGIES
from moonas.spec.halving import HalvingSpec, ScreenSpec
from moonas.spec.validation import SpecModel, name_in


class SearchSpec(SpecModel):
    """The strategy, and how it spares work.

    Attributes:
        strategy: a name, or the dotted path of one's own.
        population: candidates of a generation.
        options: go to the strategy by name.
        halving: little training for most candidates.
        screen: none for those whose score before training looks worst.
    """

    strategy: Annotated[str, name_in(STRATEGIES)] = "nsga2"
    population: Annotated[int, Field(ge=2, le=100_000)] = 24
    options: dict[str, Any] = Field(default_factory=dict)
    halving: HalvingSpec | None = None
    screen: ScreenSpec | None = None


class BudgetSpec(SpecModel):
    """Where the search ends, and what one candidate may take.

    Attributes:
        trials: candidates evaluated in all.
        hours: time of this search in all, resumed runs added up; no limit if not given.
        trial_seconds: time limit of one candidate, for each part of its evaluation.
        trial_memory_gb: memory a worker process may take beyond what it starts with; no limit if not given.
    """

    trials: Annotated[int, Field(ge=1)] = 96
    hours: Annotated[float, Field(gt=0, le=1e6)] | None = None
    trial_seconds: Annotated[float, Field(gt=0, le=1e6)] = 600.0
    trial_memory_gb: Annotated[float, Field(gt=0, le=1e6)] | None = None
