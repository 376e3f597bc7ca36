"""From a name in a file to the Python object behind it: built in, plugged in, or by a dotted path of the user's own.

The tables hold import paths as text, so knowing a name costs no import.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from moonas.errors import MoonasError, UnknownNameError, one_line

_given_from_python: dict[str, Any] = {}


class Named:
    """A function under a name of the caller's choice."""

    def __init__(self, function: Callable[..., Any], name: str):
        self.function = function
        self.__name__ = name
        self.__module__ = str(getattr(function, "__module__", "__main__"))

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        """Call the function."""
        return self.function(*arguments, **keywords)


def is_dotted_path(name: str) -> bool:
    """Tell whether `name` has the form `package.module:object`."""
    module, colon, attribute = name.partition(":")
    return bool(colon) and all(part.isidentifier() for part in (*module.split("."), *attribute.split(".")))


def path_of(given: Callable[..., Any]) -> str:
    """Return a dotted path for an object handed over from Python, and remember the object under it.

    Args:
        given: a function or class; it need not be importable (a notebook's, a closure).

    Raises:
        MoonasError: if it has no name of its own, as a lambda.
    """
    path = f"{getattr(given, '__module__', '__main__')}:{name_of(given)}"
    _given_from_python[path] = given
    return path


def name_of(given: Callable[..., Any]) -> str:
    """Return the name of an object handed over from Python.

    Raises:
        MoonasError: if it has none that can stand in a path and head a column.
    """
    name = str(getattr(given, "__name__", ""))
    if not name.isidentifier():
        raise MoonasError(f"{given!r} has no name that a column could carry; give one: name='...'")
    return name


def given_objects() -> dict[str, Any]:
    """The objects handed over from Python so far, by path."""
    return dict(_given_from_python)


@contextmanager
def as_given(objects: Mapping[str, Any]) -> Iterator[None]:
    """Let paths mean what they meant when `objects` was taken, though a later function may have taken a path over."""
    now = given_objects()
    _given_from_python.update(objects)
    try:
        yield
    finally:
        _given_from_python.update(now)


def import_path(path: str) -> Any:
    """Import `package.module:object`; the current folder counts as a place to import from.

    Raises:
        MoonasError: when there is no such module or object in it.
    """
    if path in _given_from_python:
        return _given_from_python[path]
    module_name, _, attribute = path.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise MoonasError(f"importing '{module_name}' failed: no module named '{error.name}'") from error
        raise MoonasError(
            f"no module named '{module_name}'; it must be installed or lie in the current folder"
        ) from error
    except (Exception, SystemExit) as error:  # whatever the user's own module raises
        raise MoonasError(f"importing '{module_name}' failed: {one_line(error)}") from error
    for part in attribute.split("."):
        if not hasattr(found, part) and module_name == "__main__":
            raise MoonasError(
                f"{path} was defined in a script or notebook, and this is another one; define it here first, or move "
                "it to a module and name it as package.module:name"
            )
        if not hasattr(found, part):
            raise UnknownNameError(f"object in {module_name}", part, _public_names(found))
        found = getattr(found, part)
    return found


def import_extra(package: str, extra: str) -> Any:
    """Import a package that comes with an extra of moonas.

    Raises:
        MoonasError: naming the extra, if it is not installed.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise MoonasError(f"{package} is not installed; pip install 'moonas[{extra}]'") from error


def _public_names(module: Any) -> list[str]:
    return [name for name in dir(module) if callable(getattr(module, name, None)) and not name.startswith("_")]


@dataclass(frozen=True)
class Registry:
    """The objects of one kind that can be named in a file.

    Attributes:
        kind: what they are, for messages.
        built_in: name -> dotted path of those that moonas ships.
        group: the entry-point group through which other packages add theirs.
    """

    kind: str
    built_in: Mapping[str, str]
    group: str

    def names(self) -> list[str]:
        """All names that can be used, sorted."""
        return sorted({*self.built_in, *(entry.name for entry in entry_points(group=self.group))})

    def check(self, name: str) -> str:
        """Return `name` if it can stand for an object, without importing anything.

        Raises:
            UnknownNameError: if it is neither known nor a dotted path.
        """
        if name not in self.built_in and not is_dotted_path(name) and name not in self.names():
            hint = ", or give your own as package.module:name"
            raise UnknownNameError(self.kind, name, self.names(), hint)
        return name

    def load(self, name: str) -> Any:
        """Import and return the object that `name` stands for."""
        self.check(name)
        if name in self.built_in:
            return import_path(self.built_in[name])
        if is_dotted_path(name):
            return import_path(name)
        entry = next(entry for entry in entry_points(group=self.group) if entry.name == name)
        return import_path(f"{entry.module}:{entry.attr}")


FAMILIES = Registry(
    "architecture family",
    {
        "staged_cnn": "moonas.network.staged_cnn:StagedCNN",
        "nas_bench_201": "moonas.network.nas_bench_201:NASBench201",
        "darts": "moonas.network.darts:DARTS",
        "transformer": "moonas.network.transformer:Transformer",
    },
    "moonas.families",
)
ENCODINGS = Registry(
    "encoding family",
    {
        "staged_cnn": "moonas.encoding.staged_cnn:StagedCNNEncoding",
        "compound_scaling": "moonas.encoding.compound_scaling:CompoundScalingEncoding",
        "regnet": "moonas.encoding.regnet:RegNetEncoding",
        "nas_bench_201": "moonas.encoding.nas_bench_201:NASBench201Encoding",
        "darts": "moonas.encoding.darts:DARTSEncoding",
        "transformer": "moonas.encoding.transformer:TransformerEncoding",
    },
    "moonas.encodings",
)
DATA_SETS = Registry(
    "data set",
    {
        "digits": "moonas.training.readers:digits",
        "npz": "moonas.training.readers:npz",
        "idx": "moonas.training.readers:idx",
        "folder": "moonas.training.readers:folder",
    },
    "moonas.data_sets",
)
STRATEGIES = Registry(
    "strategy",
    {"nsga2": "moonas.strategy.nsga2:NSGA2", "random": "moonas.strategy.random_search:RandomSearch"},
    "moonas.strategies",
)
METERS = Registry(
    "meter",
    {
        "nvml": "moonas.hardware.meter.nvml:find",
        "rapl": "moonas.hardware.meter.rapl:find",
        "jetson": "moonas.hardware.meter.ina3221:find",
        "raspberry_pi_5": "moonas.hardware.meter.pmic:find",
    },
    "moonas.meters",
)
"""Functions f(processor, root) that give a `moonas.hardware.meter.meter.Meter`; tried in this order."""
