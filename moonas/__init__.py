"""moonas: search for neural networks that are accurate, fast and small on the device they will run on.

    import moonas
    front = moonas.search("digits")          # a DataFrame, and a run folder runs/digits

The public names are imported when they are first used, so `import moonas` loads neither torch nor pymoo.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from moonas.encoding.catalogue import architecture as architecture
    from moonas.encoding.catalogue import search_space as search_space
    from moonas.encoding.encoding import Encoding as Encoding
    from moonas.encoding.encoding import Gene as Gene
    from moonas.encoding.encoding import Genotype as Genotype
    from moonas.encoding.tree import TreeEncoding as TreeEncoding
    from moonas.errors import MoonasError as MoonasError
    from moonas.network.architecture import Architecture as Architecture
    from moonas.network.architecture import Task as Task
    from moonas.problem.objective import Constraint as Constraint
    from moonas.problem.objective import Objective as Objective
    from moonas.problem.trial import Trial as Trial
    from moonas.spec.load import objective as objective
    from moonas.strategy.strategy import Strategy as Strategy
    from moonas.study.check import check as check
    from moonas.study.start import load as load
    from moonas.study.start import search as search
    from moonas.study.study import Study as Study

_HOMES = {
    "Architecture": "moonas.network.architecture",
    "Constraint": "moonas.problem.objective",
    "Encoding": "moonas.encoding.encoding",
    "Gene": "moonas.encoding.encoding",
    "Genotype": "moonas.encoding.encoding",
    "MoonasError": "moonas.errors",
    "Objective": "moonas.problem.objective",
    "Strategy": "moonas.strategy.strategy",
    "Study": "moonas.study.study",
    "Task": "moonas.network.architecture",
    "TreeEncoding": "moonas.encoding.tree",
    "Trial": "moonas.problem.trial",
    "architecture": "moonas.encoding.catalogue",
    "check": "moonas.study.check",
    "load": "moonas.study.start",
    "objective": "moonas.spec.load",
    "search": "moonas.study.start",
    "search_space": "moonas.encoding.catalogue",
}

_MODULES = ("audit", "design_space", "testing")

__all__ = [
    "Architecture",
    "Constraint",
    "Encoding",
    "Gene",
    "Genotype",
    "MoonasError",
    "Objective",
    "Strategy",
    "Study",
    "Task",
    "TreeEncoding",
    "Trial",
    "architecture",
    "check",
    "load",
    "objective",
    "search",
    "search_space",
]


def __getattr__(name: str) -> Any:
    """Import a public name on its first use."""
    if name == "__version__":
        from importlib.metadata import version

        return version("moonas")
    if name in _MODULES:
        return import_module(f"moonas.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'moonas' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES, *_MODULES, "__version__"})
