"""The composition root: from what the user wrote to the objects that do it; `assemble_evaluation` for what measures."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moonas.encoding.catalogue import encoding_of
from moonas.encoding.encoding import Encoding, Gene
from moonas.encoding.laws import check_coding
from moonas.errors import SpecError, choose_from, one_line
from moonas.hardware.device import FUSION, DeviceProfile
from moonas.problem.objective import Constraint, Objective
from moonas.problem.trial import Budget
from moonas.registry import STRATEGIES, import_path
from moonas.spec.device import DeviceSpec
from moonas.spec.family import FactorySpec, OwnFamilySpec
from moonas.spec.metric import COLUMNS, metric_of
from moonas.spec.objective import ObjectiveSpec
from moonas.spec.problem import ProblemSpec
from moonas.strategy.strategy import Strategy

if TYPE_CHECKING:
    from moonas.hardware.predict import LatencyModel
    from moonas.hardware.table import KernelTable


def assemble_encoding(spec: ProblemSpec) -> Encoding:
    """Make the encoding.

    Raises:
        SpecError: if a factory of the user's own does not give one.
    """
    if not isinstance(spec.encoding, FactorySpec):
        return encoding_of(spec.encoding)
    made, what = import_path(spec.encoding.name), f"encoding {spec.encoding.name}"
    if not isinstance(made, Encoding):
        made = call_with_options(made, spec.encoding.options, what)
    if not isinstance(made, Encoding):
        raise SpecError(f"{what}: must give an Encoding, gives {type(made).__name__}")
    if not isinstance(made.genes, tuple | list) or not all(isinstance(gene, Gene) for gene in made.genes):
        raise SpecError(f"{what}: its genes must be a tuple of moonas.Gene, are {made.genes!r}")
    return made


def check_laws(spec: ProblemSpec, encoding: Encoding) -> None:
    """Refuse an encoding of the user's own with which no search can work.

    Raises:
        SpecError: naming the law that it breaks.
    """
    if isinstance(spec.encoding, FactorySpec | OwnFamilySpec):
        try:
            check_coding(encoding)
        except Exception as error:  # whatever an encoding of the user's own raises
            what = f"encoding {spec.encoding.name} breaks a law: {error}"
            raise SpecError(f"{what}; moonas.testing.check_encoding checks them all") from error


def check_columns(encoding: Encoding, metrics: Sequence[str]) -> None:
    """Refuse genes that would share a column of the CSVs with something else.

    Raises:
        SpecError: naming the gene.
    """
    taken = {*COLUMNS, *metrics}
    for gene in encoding.genes:
        if gene.name in taken:
            raise SpecError(f"encoding: a gene cannot be called {gene.name}: that is another column; rename it")


def assemble_objectives(spec: ProblemSpec) -> tuple[Objective, ...]:
    """Make the objectives."""
    return tuple(Objective(use.column, use.direction, use.reference, _ideal(use)) for use in spec.objectives)


def _ideal(use: ObjectiveSpec) -> float | None:
    """The best value that a metric can have, if it is one of moonas's and wanted in the usual direction."""
    metric = metric_of(use.column)
    return metric.ideal if metric is not None and metric.goal == use.direction else None


def assemble_constraints(spec: ProblemSpec) -> tuple[Constraint, ...]:
    """Make the constraints, those given with objectives first."""
    return tuple(
        Constraint(use.column, use.at_most, use.at_least)
        for _, use in spec.metric_uses
        if use.at_most is not None or use.at_least is not None
    )


def assemble_budget(spec: ProblemSpec) -> Budget:
    """Make the budget."""
    hours = spec.budget.hours
    return Budget(spec.budget.trials, None if hours is None else hours * 3600)


def assemble_device(spec: ProblemSpec) -> DeviceProfile:
    """Make the device profile."""
    return device_profile(spec.device)


def device_profile(spec: DeviceSpec) -> DeviceProfile:
    """Make what times networks, or says how their latencies came about."""
    said = spec.model_dump(include={field.name for field in fields(DeviceProfile)})
    return DeviceProfile(**said | {"fusion": spec.fusion or FUSION.get(spec.runtime, ())})


def assemble_latency_model(spec: DeviceSpec, table: KernelTable | None = None) -> LatencyModel:
    """Make what predicts latencies.

    Args:
        spec: of a device that is not timed live.
        table: its kernels, if they were read already.

    Raises:
        MoonasError: if the table cannot be read.
    """
    from moonas.hardware.predict import LatencyModel  # torch
    from moonas.hardware.roofline import Roofline
    from moonas.hardware.table import read_table

    if table is None and spec.table is not None:
        if spec.validation is None and not Path(spec.table).exists():
            what = f"no kernel was measured yet; give the same `moonas profile {spec.name}` again, to its end"
            raise SpecError(f"device {spec.name}: {what}")
        table = read_table(Path(spec.table))
    costs = Roofline(**spec.roofline.model_dump()) if spec.roofline else Roofline()
    return LatencyModel(spec.batch, device_profile(spec).fusion, table or costs, spec.scale)


def assemble_strategy(
    spec: ProblemSpec,
    encoding: Encoding,
    objectives: tuple[Objective, ...],
    constraints: tuple[Constraint, ...],
) -> Strategy:
    """Make the strategy.

    Raises:
        SpecError: if it does not take the options that the problem gives it.
    """
    settings: dict[str, Any] = {
        "encoding": encoding,
        "objectives": objectives,
        "constraints": constraints,
        "population": spec.search.population,
        "seed": spec.seed,
    }
    made, what = STRATEGIES.load(spec.search.strategy), f"strategy {spec.search.strategy}"
    if not callable(made):
        raise SpecError(f"{what}: must be a subclass of moonas.Strategy, is a {type(made).__name__}")
    try:
        inspect.signature(made).bind_partial(**settings)
    except (TypeError, ValueError) as error:
        raise SpecError(f"{what}: must take the keywords {', '.join(settings)}, as moonas.Strategy: {error}") from error
    strategy = call_with_options(partial(made, **settings), spec.search.options, what)
    if not isinstance(strategy, Strategy):
        raise SpecError(f"{what}: must give a moonas.Strategy, gives {type(strategy).__name__}")
    return strategy


def call_with_options(function: Any, options: dict[str, Any], what: str) -> Any:
    """Call with options from a file.

    Raises:
        SpecError: if there is no such option, or the call refuses its value.
    """
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError) as error:
        raise SpecError(f"{what}: {type(function).__name__} cannot be called with options: {error}") from error
    known = [p.name for p in signature.parameters.values() if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)]
    given = function.keywords if isinstance(function, partial) else {}
    known = [name for name in known if name not in given]
    for option in options:
        if option not in known:
            raise SpecError(f"{what} has no option '{option}'; {choose_from(option, known)}")
    try:
        return function(**options)
    except (Exception, SystemExit) as error:  # whatever a class of the user's own raises
        raise SpecError(
            f"{what}: {one_line(error) if not isinstance(error, TypeError | ValueError) else error}"
        ) from error
