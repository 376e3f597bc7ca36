"""What a problem file may say, all parts together."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SerializeAsAny

from moonas.errors import UnknownNameError, choose_from
from moonas.spec.data import SCORES, DataSpec, TaskSpec
from moonas.spec.device import DeviceSpec
from moonas.spec.document import Location, dotted
from moonas.spec.family import EncodingSpec, FactorySpec
from moonas.spec.metric import AT, ENERGY_COLUMNS, METRICS, PREDICTED_COLUMNS, device_in, metric_of
from moonas.spec.objective import ConstraintSpec, MetricUse, ObjectiveSpec
from moonas.spec.search import BudgetSpec, SearchSpec
from moonas.spec.table import TableSpec
from moonas.spec.training import PHASES, FidelitySpec, Phase, Phases, TrainingSpec
from moonas.spec.validation import LISTED, SOME, Mistake, SpecModel, named
from moonas.spec.wording import shown


def _check_name(name: str) -> str:
    """Refuse what cannot name a run folder everywhere."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
        what = "must be letters, digits, '_', '-' or '.', the first a letter or digit"
        raise ValueError(f"{what}, is {shown(name)}")
    if len(name) > 100:
        raise ValueError(f"must be at most 100 characters long, is {shown(name)}")
    return name


def _check_workers(workers: Any) -> Any:
    count = isinstance(workers, int) and not isinstance(workers, bool) and 0 <= workers <= 1024
    if workers != "auto" and not count:
        raise ValueError(f"must be auto or a whole number from 0 to 1024, is {shown(workers)}")
    return workers


class ProblemSpec(SpecModel):
    """The whole of a problem file, names of other files resolved.

    Attributes:
        device: where latency and energy are measured, or what predicts them.
        devices: further ones that predict latencies, by what metrics call them: `latency_ms@NAME`.
        fidelity: how much training a candidate of the search gets.
        phases: the fidelities of the other phases; see `in_phase`.
        record: further metrics to be measured and written, not optimised.
        workers: worker processes; `auto` is one for each core, 0 evaluates in this process, without time limits.
    """

    name: Annotated[str, AfterValidator(_check_name)]
    encoding: SerializeAsAny[EncodingSpec] | FactorySpec
    data: Annotated[DataSpec | None, BeforeValidator(named)] = None
    task: TaskSpec | None = None
    table: TableSpec | None = None
    device: DeviceSpec = DeviceSpec()
    devices: dict[str, DeviceSpec] = Field(default_factory=dict)
    objectives: Annotated[tuple[ObjectiveSpec, ...], LISTED, SOME]
    constraints: Annotated[tuple[ConstraintSpec, ...], LISTED] = ()
    record: Annotated[tuple[str, ...], LISTED] = ("params", "flops", "size_mb")
    fidelity: FidelitySpec = FidelitySpec()
    phases: Phases = Field(default_factory=lambda: {**PHASES})
    training: TrainingSpec = TrainingSpec()
    search: SearchSpec = SearchSpec()
    budget: BudgetSpec = BudgetSpec()
    seed: Annotated[int, Field(ge=0, le=2**63 - 1)] = 0
    workers: Annotated[int | Literal["auto"], BeforeValidator(_check_workers)] = "auto"

    @property
    def tabled(self) -> tuple[str, ...]:
        """The metrics that are looked up in a table."""
        return () if self.table is None else tuple(self.table.metrics)

    @property
    def metric_uses(self) -> list[tuple[Location, MetricUse]]:
        """Objectives and constraints with their locations."""
        return [
            *((("objectives", i), use) for i, use in enumerate(self.objectives)),
            *((("constraints", i), use) for i, use in enumerate(self.constraints)),
        ]

    def device_of(self, column: str) -> DeviceSpec:
        """The device of which a metric is: the one that its name says, else that of the problem."""
        name = device_in(column)
        return self.devices[name] if name else self.device

    @property
    def wants_energy(self) -> bool:
        """Whether energies are to be measured or modelled, and not only looked up in a table."""
        named = {*(use.column for _, use in self.metric_uses), *self.record}
        return bool(named & {*ENERGY_COLUMNS} - {*self.tabled})

    @property
    def score(self) -> str:
        """The metric by which networks are judged on validation data."""
        return SCORES["class"] if self.data is None else SCORES[self.data.target]

    @property
    def rungs(self) -> tuple[FidelitySpec, ...]:
        """The fidelities at which candidates are trained, those of a halving first, the top one last."""
        halving = self.search.halving
        return (*halving.rungs, self.fidelity) if halving is not None else (self.fidelity,)

    @property
    def fidelities(self) -> dict[Location, FidelitySpec]:
        """All trainings that the problem names, by location; phases first, as `in_phase` makes a search of one."""
        rungs = self.search.halving.rungs if self.search.halving else ()
        found: dict[Location, FidelitySpec] = {("phases", name): each for name, each in self.phases.items()}
        found |= {("search", "halving", "rungs", i): each for i, each in enumerate(rungs)}
        return {**found, ("fidelity",): self.fidelity}

    def in_phase(self, phase: Phase) -> ProblemSpec:
        """This problem at the fidelity of a phase, under a name of its own; `validate` is one generation.

        All candidates of these phases are trained alike: there is no halving.

        Raises:
            UnknownNameError: if there is no such phase.
        """
        if phase == "proxy":
            return self
        if phase not in self.phases:
            raise UnknownNameError("phase", str(phase), ("validate", "proxy", "full"))
        changes: dict[str, Any] = {"name": f"{self.name[:91]}-{phase}", "fidelity": self.phases[phase]}
        changes["search"] = self.search.model_copy(update={"halving": None})
        if phase == "validate":
            trials = min(self.budget.trials, self.search.population)
            changes["budget"] = self.budget.model_copy(update={"trials": trials})
        return self.model_copy(update=changes)

    def mistakes(self) -> Iterator[Mistake]:
        """Refuse metrics that nothing measures, uses of one metric that clash, and training without data."""
        yield from self._clashes()
        yield from self._unmeasured()
        yield from self._halved()
        yield from self._wrong_scores()
        yield from self._unpowered()
        yield from self._untold()
        if self.data is None and self.task is None:
            yield ("data",), "is missing; give data, or task (input_shape, classes) for a search without training"
        elif self.data is None:
            yield from self._untrained()
        elif self.task is not None:
            yield ("task",), "is given beside data; keep one"
        elif self.data.kind == "sequences":
            yield from self._only_for_images()

    def _named_metrics(self) -> Iterator[tuple[Location, str]]:
        """Every place that names a metric, and the name."""
        yield from (((*location, "metric"), use.metric) for location, use in self.metric_uses)
        yield from ((("record", i), name) for i, name in enumerate(self.record))

    def _first_uses(self) -> dict[str, tuple[Location, MetricUse]]:
        """Column -> where a function is used first, and how."""
        return {use.column: (location, use) for location, use in reversed(self.metric_uses) if use.is_function}

    def _clashes(self) -> Iterator[Mistake]:
        functions, seen = self._first_uses(), set()
        for location, use in self.metric_uses:
            where, first = functions.get(use.column, (location, use))
            part_and_column = (location[0], use.column)
            if use.is_function and use.metric != first.metric:
                what = f"two functions are called {use.column}: {first.metric} and {use.metric}; rename one"
                yield (*location, "metric"), what
            elif part_and_column in seen:
                yield (*location, "metric"), f"{use.column} is in {location[0]} twice; keep one"
            elif use.is_function and (use.cost or "cheap") != (first.cost or "cheap"):
                what = f"{use.column} is {first.cost or 'cheap'} in {dotted(where)}; make them agree"
                yield (*location, "cost"), what
            seen.add(part_and_column)

    def _unmeasured(self) -> Iterator[Mistake]:
        functions, known = self._first_uses(), {*METRICS, *self.tabled}
        own = ", or give a function of your own as package.module:function"
        for location, use in self.metric_uses:
            measured = use.is_function or metric_of(use.metric) or use.metric in {*self.tabled, *functions}
            if not measured:
                choice = _of_devices(use.metric) or choose_from(use.metric, {*known, *functions}, own)
                yield (*location, "metric"), f"nothing measures '{use.metric}'; {choice}"
            elif use.metric in functions and location[0] == "objectives":
                where, function = functions[use.metric]
                if where[0] == "constraints":
                    yield (*location, "metric"), f"an objective names a function by its path; write {function.metric}"
        for i, name in enumerate(self.record):
            if not metric_of(name) and name not in self.tabled:
                yield ("record", i), f"nothing measures '{name}'; {_of_devices(name) or choose_from(name, known)}"
        for i, objective in enumerate(self.objectives):
            if objective.goal is None and objective.metric in self.tabled and not metric_of(objective.metric):
                yield ("objectives", i, "goal"), "is missing; say maximize or minimize"
            if objective.is_function and objective.column in self.tabled:
                yield ("objectives", i, "metric"), f"a function cannot be called {objective.column}: the table has that"

    def _halved(self) -> Iterator[Mistake]:
        """Refuse a halving of what is not trained, and rungs in a wrong order."""
        if self.search.halving is None:
            return
        where: Location = ("search", "halving")
        if self.data is None or not any(map(self._is_of_training, self.objectives)):
            what = "compares networks by how they train, and no objective comes of training; "
            yield where, what + ("the table has them, so leave it out" if self.table else "add one, such as accuracy")
        yield from (((*where, *at), what) for at, what in self.search.halving.misplaced(self.fidelity))

    def _wrong_scores(self) -> Iterator[Mistake]:
        """Refuse metrics that judge networks for other targets than these data have."""
        for location, name in self._named_metrics():
            kinds = [kind for kind, score in SCORES.items() if score == name]
            if self.data is not None and kinds and name != self.score and name not in self.tabled:
                what = f"{name} is for data.target {kinds[0]}; for {self.data.target} write {self.score}"
                yield location, what

    def _unpowered(self) -> Iterator[Mistake]:
        """Refuse energy that can neither be measured nor modelled."""
        if self.wants_energy and self.device.power is None and not self.device.may_be_metered:
            yield ("device", "power"), "is missing; energy that is not measured is modelled by it"

    def _untold(self) -> Iterator[Mistake]:
        """Refuse latencies that their device does not give."""
        for location, name in self._named_metrics():
            if name not in self.tabled and device_in(name) in {"", *self.devices}:  # else it was not found
                complaint = self.device_of(name).refusal(name)
                if complaint:
                    yield location, complaint

    def _is_of_training(self, use: MetricUse) -> bool:
        if use.is_function:
            return use.cost == "dear"
        metric = metric_of(use.metric)
        return metric is not None and metric.source == "training" and use.metric not in self.tabled

    def _only_for_images(self) -> Iterator[Mistake]:
        for location, fidelity in self.fidelities.items():
            if fidelity.resolution is not None:
                yield (*location, "resolution"), "is for images; these are sequences"
        if self.training.flip:
            yield ("training", "flip"), "is for images; these are sequences"

    def _untrained(self) -> Iterator[Mistake]:
        if self.search.screen is not None:
            yield ("search", "screen"), f"{self.search.screen.metric} needs data to look at"
        for location, name in self._named_metrics():
            metric = metric_of(name)
            if name in self.tabled or metric is None:
                continue
            if metric.source == "training":
                yield location, f"{name} needs data to train on"
            elif metric.source == "zero_cost":
                yield location, f"{name} needs data to look at"


def _of_devices(name: str) -> str:
    """What metrics of other devices there are, where one is meant."""
    examples = " and ".join(f"{each}{AT}NAME" for each in PREDICTED_COLUMNS)
    return f"of other devices there are {examples}, NAME being a device profile" if AT in name else ""
