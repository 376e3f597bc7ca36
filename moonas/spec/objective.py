"""What a problem may say of a metric: that it is an objective, or what limits it must keep."""

from __future__ import annotations

from collections.abc import Iterator

from moonas.registry import is_dotted_path
from moonas.spec.metric import COLUMNS, Cost, Goal, metric_of
from moonas.spec.validation import Mistake, SpecModel


class MetricUse(SpecModel):
    """A metric, named or computed by a function of the user's own, and the limits it must keep."""

    metric: str
    at_most: float | None = None
    at_least: float | None = None
    cost: Cost | None = None

    @property
    def column(self) -> str:
        """What the metric is called in tables: its name, or the function's for `package.module:function`."""
        return self.metric.rpartition(":")[2].rpartition(".")[2] if self.is_function else self.metric

    @property
    def is_function(self) -> bool:
        """Whether the metric is a function of the user's own."""
        return is_dotted_path(self.metric)

    def mistakes(self) -> Iterator[Mistake]:
        """Refuse limits that cross, a cost that is known, and a function called like a metric of moonas."""
        if self.at_most is not None and self.at_least is not None and self.at_most < self.at_least:
            yield ("at_most",), f"{self.at_most} is below at_least {self.at_least}: nothing fits"
        if self.cost is not None and not self.is_function:
            yield ("cost",), "is known for this metric; only functions of your own need it"
        if self.is_function and metric_of(self.column):
            yield ("metric",), f"a function cannot be called {self.column}: moonas measures that"
        if self.is_function and self.column in COLUMNS:
            yield ("metric",), f"a function cannot be called {self.column}: that is another column; rename it"


class ObjectiveSpec(MetricUse):
    """A metric to be made as large or as small as can be.

    Attributes:
        goal: known for the metrics of moonas, needed for a function.
        reference: the worst value that still counts, for the hypervolume; taken from the first generation if not given.
    """

    goal: Goal | None = None
    reference: float | None = None

    def mistakes(self) -> Iterator[Mistake]:
        """Refuse a function without a goal, too."""
        yield from super().mistakes()
        if self.goal is None and self.is_function:
            yield ("goal",), "is missing; say maximize or minimize"

    @property
    def direction(self) -> Goal:
        """The goal given, or the one known for the metric."""
        if self.goal is not None:
            return self.goal
        known = metric_of(self.column)
        assert known is not None, "what moonas does not know has its goal given"
        return known.goal


class ConstraintSpec(MetricUse):
    """A limit on a metric that need not be an objective."""

    def mistakes(self) -> Iterator[Mistake]:
        """Refuse a constraint without a limit, too."""
        yield from super().mistakes()
        if self.at_most is None and self.at_least is None:
            yield (), "sets no limit; give at_most or at_least"
