"""What a problem file may say: encoding, data, device, objectives, constraints, search, budget."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from moonas.errors import UnknownNameError, choose_from
from moonas.registry import DATA_SETS, STRATEGIES, is_dotted_path
from moonas.spec.device import DeviceSpec
from moonas.spec.encoding import EncodingSpec, FactorySpec
from moonas.spec.metric import METRICS, Cost, Goal
from moonas.spec.validation import MisplacedError, SpecModel, named, shown

Positive = Annotated[int, Field(ge=1)]
Number = Annotated[float, Field(allow_inf_nan=False)]


def _column(metric: str) -> str:
    """The column of a metric: its name, or the function's for `package.module:function`."""
    return metric.rpartition(":")[2].rpartition(".")[2]


class MetricUse(SpecModel):
    """A metric, named or computed by a function of the user's own, and the limits it must keep."""

    metric: str
    at_most: Number | None = None
    at_least: Number | None = None
    cost: Cost | None = None

    @property
    def column(self) -> str:
        """What the metric is called in tables."""
        return _column(self.metric)

    @property
    def is_function(self) -> bool:
        """Whether the metric is a function of the user's own."""
        return is_dotted_path(self.metric)

    @model_validator(mode="after")
    def _check_limits(self) -> MetricUse:
        if self.at_most is not None and self.at_least is not None and self.at_most < self.at_least:
            raise MisplacedError(("at_most",), f"{self.at_most} is below at_least {self.at_least}: nothing fits")
        if self.cost is not None and not self.is_function:
            raise MisplacedError(("cost",), "is known for this metric; only functions of your own need it")
        if self.is_function and self.column in METRICS:
            raise MisplacedError(("metric",), f"a function cannot be called {self.column}: moonas measures that")
        return self


class ObjectiveSpec(MetricUse):
    """A metric to be made as large or as small as can be.

    Attributes:
        goal: known for the metrics of moonas, needed for a function.
        reference: the worst value that still counts, for the hypervolume; taken from the first generation if not given.
    """

    goal: Goal | None = None
    reference: Number | None = None

    @model_validator(mode="after")
    def _check_goal(self) -> ObjectiveSpec:
        if self.goal is None and self.is_function:
            raise MisplacedError(("goal",), "is missing; say maximize or minimize")
        return self

    @property
    def direction(self) -> Goal:
        """The goal given, or the one known for the metric."""
        return self.goal or METRICS[self.column].goal


class ConstraintSpec(MetricUse):
    """A limit on a metric that need not be an objective."""

    @model_validator(mode="after")
    def _check_some_limit(self) -> ConstraintSpec:
        if self.at_most is None and self.at_least is None:
            raise ValueError("sets no limit; give at_most or at_least")
        return self


class TaskSpec(SpecModel):
    """What the networks take and give, for a search without data."""

    input_shape: Annotated[tuple[Positive, Positive, Positive], Field(strict=False)]
    classes: Annotated[int, Field(ge=2)]


Share = Annotated[float, Field(ge=0, le=1)]


class SplitSpec(SpecModel):
    """Shares of the data: train updates weights, val selects, test is kept for the final networks.

    A data set that brings its own test part takes `test: 0`.
    """

    train: Share = 0.6
    val: Share = 0.2
    test: Share = 0.2

    @model_validator(mode="after")
    def _check_sum(self) -> SplitSpec:
        total = self.train + self.val + self.test
        if not math.isclose(total, 1.0, abs_tol=1e-6):
            raise ValueError(f"the shares must sum to one, they sum to {total:g}")
        for part in ("train", "val"):
            if getattr(self, part) == 0:
                raise MisplacedError((part,), "must be more than 0")
        return self


class DataSpec(SpecModel):
    """The data: a known format with its path, or a function of the user's own with its options."""

    name: str
    path: str | None = None
    split: SplitSpec = SplitSpec()
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = 0
    options: dict[str, Any] = Field(default_factory=dict)

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str) -> str:
        return known(DATA_SETS.check, name)

    @model_validator(mode="after")
    def _check_path(self) -> DataSpec:
        if self.name in ("npz", "idx", "folder") and self.path is None:
            raise MisplacedError(("path",), "is missing; say where the data lies, as in --set data.path=FILE")
        if self.name == "digits" and self.path is not None:
            raise MisplacedError(("path",), "digits are built in and have no path; leave it out")
        return self


class FidelitySpec(SpecModel):
    """How much training a candidate gets. Other phases of a search differ in this value alone.

    Attributes:
        epochs: passes over the training images.
        samples: training images used, a stratified part; all if not given.
        resolution: side to which images are resized, in pixels; theirs if not given.
        seeds: trainings from different initial weights, averaged.
    """

    epochs: Positive = 10
    samples: Positive | None = None
    resolution: Positive | None = None
    seeds: Annotated[int, Field(ge=1, le=100)] = 1


class TrainingSpec(SpecModel):
    """The recipe: Nesterov SGD under a one-cycle schedule, with batch augmentation.

    Attributes:
        learning_rate: the peak of the cycle.
        shift: random shift of each image, in pixels to each side.
        flip: whether images are mirrored at random; wrong for digits and letters.
    """

    batch: Annotated[int, Field(ge=2)] = 64
    learning_rate: Annotated[float, Field(gt=0, le=100)] = 0.1
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 5e-4
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.1
    shift: Annotated[int, Field(ge=0, le=64)] = 1
    flip: bool = False


class SearchSpec(SpecModel):
    """The strategy. `options` go to it by name; a strategy of one's own is a dotted path."""

    strategy: str = "nsga2"
    population: Annotated[int, Field(ge=2, le=100_000)] = 24
    options: dict[str, Any] = Field(default_factory=dict)

    @field_validator("strategy")
    @classmethod
    def _check_strategy(cls, name: str) -> str:
        return known(STRATEGIES.check, name)


class BudgetSpec(SpecModel):
    """Where the search ends, and what one candidate may take.

    Attributes:
        trials: candidates evaluated in all.
        hours: time of this search in all, resumed runs added up; no limit if not given.
        trial_seconds: time limit of one candidate, for each part of its evaluation.
        trial_memory_gb: memory a worker process may take beyond what it starts with; no limit if not given.
    """

    trials: Positive = 96
    hours: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    trial_seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 600.0
    trial_memory_gb: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None


def known(check: Any, name: str) -> str:
    """Run a registry's check where pydantic will carry the message."""
    try:
        return str(check(name))
    except UnknownNameError as error:
        raise ValueError(str(error)) from error


class ProblemSpec(SpecModel):
    """The whole of a problem file, names of other files resolved.

    Attributes:
        record: further metrics to be measured and written, not optimised.
        workers: worker processes; `auto` is one for each core, 0 evaluates in this process, without time limits.
    """

    name: str
    encoding: EncodingSpec | FactorySpec
    data: Annotated[DataSpec | None, BeforeValidator(named)] = None
    task: TaskSpec | None = None
    device: DeviceSpec = DeviceSpec()
    objectives: Annotated[tuple[ObjectiveSpec, ...], Field(min_length=1, strict=False)]
    constraints: Annotated[tuple[ConstraintSpec, ...], Field(strict=False)] = ()
    record: Annotated[tuple[str, ...], Field(strict=False)] = ("params", "flops", "size_mb")
    fidelity: FidelitySpec = FidelitySpec()
    training: TrainingSpec = TrainingSpec()
    search: SearchSpec = SearchSpec()
    budget: BudgetSpec = BudgetSpec()
    seed: Annotated[int, Field(ge=0)] = 0
    workers: Annotated[int | Literal["auto"], Field(union_mode="left_to_right")] = "auto"

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
            what = "must be letters, digits, '_', '-' or '.', the first a letter or digit"
            raise ValueError(f"{what}, is {shown(name)}")
        return name

    @field_validator("workers", mode="before")
    @classmethod
    def _check_workers(cls, workers: Any) -> Any:
        count = isinstance(workers, int) and not isinstance(workers, bool) and 0 <= workers <= 1024
        if workers != "auto" and not count:
            raise ValueError(f"must be auto or a whole number from 0 to 1024, is {shown(workers)}")
        return workers

    @property
    def metric_uses(self) -> list[tuple[tuple[str | int, ...], MetricUse]]:
        """Objectives and constraints with their locations."""
        return [
            *((("objectives", i), use) for i, use in enumerate(self.objectives)),
            *((("constraints", i), use) for i, use in enumerate(self.constraints)),
        ]

    @model_validator(mode="after")
    def _check_metrics(self) -> ProblemSpec:
        functions = {use.column for _, use in self.metric_uses if use.is_function}
        for location, use in self.metric_uses:
            measured = use.is_function or use.metric in METRICS or use.metric in functions
            if not measured or (isinstance(use, ObjectiveSpec) and use.metric in functions):
                raise MisplacedError((*location, "metric"), _unknown_metric(use.metric, functions))
        for i, name in enumerate(self.record):
            if name not in METRICS:
                raise MisplacedError(("record", i), _unknown_metric(name, set()))
        return self

    @model_validator(mode="after")
    def _check_repeats(self) -> ProblemSpec:
        paths: dict[str, str] = {}
        for location, use in self.metric_uses:
            if use.is_function and paths.setdefault(use.column, use.metric) != use.metric:
                what = f"{use.column} is already the column of {paths[use.column]}; give one function another name"
                raise MisplacedError((*location, "metric"), what)
        seen: dict[tuple[str, str], int] = {}
        for (part, i), use in self.metric_uses:
            first = seen.setdefault((str(part), use.column), int(i))
            if first != i:
                raise MisplacedError((part, i, "metric"), f"{use.column} is in {part} twice; keep one")
        return self

    @model_validator(mode="after")
    def _check_data(self) -> ProblemSpec:
        if self.data is None and self.task is None:
            what = "is missing; give data, or task (input_shape, classes) for a search without training"
            raise MisplacedError(("data",), what)
        if self.data is not None and self.task is not None:
            raise MisplacedError(("task",), "is given beside data; keep one")
        if self.data is None and "accuracy" in self.record:
            raise MisplacedError(("record", self.record.index("accuracy")), "accuracy needs data to train on")
        for location, use in self.metric_uses:
            metric = METRICS.get(use.metric)
            if metric and metric.source == "training" and self.data is None:
                raise MisplacedError((*location, "metric"), f"{use.metric} needs data to train on")
        return self


def _unknown_metric(name: str, functions: set[str]) -> str:
    hint = ", or give a function of your own as package.module:function"
    return f"nothing measures '{name}'; {choose_from(name, {*METRICS, *functions}, hint)}"
