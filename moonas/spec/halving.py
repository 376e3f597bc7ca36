"""What a problem may say of sparing work: most candidates trained a little, those that look worst not at all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from moonas.errors import choose_from
from moonas.spec.metric import METRICS
from moonas.spec.training import FidelitySpec
from moonas.spec.validation import LISTED, SOME, Mistake, SpecModel

Share = Annotated[float, Field(gt=0, lt=1)]


class HalvingSpec(SpecModel):
    """Successive halving: all candidates are trained at the first rung, and fewer at each further one.

    Attributes:
        rungs: the fidelities below that of the problem, which is the top rung; the cheapest first.
        keep: the share that goes on from each rung.
    """

    rungs: Annotated[tuple[FidelitySpec, ...], LISTED, SOME]
    keep: Share = 0.5

    def misplaced(self, top: FidelitySpec) -> Iterator[Mistake]:
        """Refuse rungs that take no less work than the next, as far as that shows without the data."""
        for i, (rung, following) in enumerate(zip(self.rungs, (*self.rungs[1:], top), strict=True)):
            if rung.takes_no_less_than(following):
                yield ("rungs", i), self.complaint(i)

    def complaint(self, i: int) -> str:
        """The sentence on a rung, counted from 0, that takes no less work than the next."""
        following = f"rung {i + 2}" if i + 1 < len(self.rungs) else "the problem's fidelity, which is the top rung"
        return f"takes no less work (epochs x images x pixels x seeds) than {following}; the cheapest rung comes first"


def _check_proxy(name: str) -> str:
    proxies = [known for known, metric in METRICS.items() if metric.source == "zero_cost"]
    if name not in proxies:
        raise ValueError(f"'{name}' is no zero-cost proxy; {choose_from(name, proxies)}")
    return name


class ScreenSpec(SpecModel):
    """A choice by a score of untrained networks, beside the counted objectives: more are asked for than evaluated.

    Attributes:
        metric: the score.
        keep: the share that is evaluated.
        generations: the `first` one, or `all` of them.
    """

    metric: Annotated[str, AfterValidator(_check_proxy)]
    keep: Annotated[float, Field(ge=1e-3, lt=1)] = 0.25
    generations: Literal["first", "all"] = "first"
