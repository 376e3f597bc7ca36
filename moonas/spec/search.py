"""What a problem may say of the search: the strategy, and where it ends."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from moonas.registry import STRATEGIES
from moonas.spec.validation import SpecModel, name_in


class SearchSpec(SpecModel):
    """The strategy. `options` go to it by name; a strategy of one's own is a dotted path."""

    strategy: Annotated[str, name_in(STRATEGIES)] = "nsga2"
    population: Annotated[int, Field(ge=2, le=100_000)] = 24
    options: dict[str, Any] = Field(default_factory=dict)


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
