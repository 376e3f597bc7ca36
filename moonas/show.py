"""`moonas show`: what a search space offers, and what a network is made of."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from moonas.errors import MoonasError, UnknownNameError, one_line, place_in_users_code
from moonas.terminal import exit_codes, input_shape, say, while_read

if TYPE_CHECKING:
    import pandas as pd

    from moonas.encoding.encoding import Encoding
    from moonas.network.architecture import Architecture, Task
    from moonas.spec.family import EncodingSpec

_USUAL = (3, 32, 32), 10
"""What networks are for where nobody says so: images in classes."""
_SAMPLES, _DRAWS = 5, 50
"""Random architectures, and how many are drawn until so many differ: a space may hold less."""

app = typer.Typer(no_args_is_help=True, help="Show what a search space offers, or what a network is made of.")

Input = Annotated[
    str | None,
    typer.Option("--input", metavar="SHAPE", help="Of one input: channels x height x width, or length x channels."),
]
Classes = Annotated[int | None, typer.Option(min=1, max=10**6, help="Outputs of the network.")]


@app.command("encoding")
def show_encoding(
    name: Annotated[str, typer.Argument(help="A shipped encoding, one in ./encodings, or a file.")],
    shape: Input = None,
    classes: Classes = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the random architectures.")] = 0,
) -> None:
    """Show the genes of a search space with their choices, and five random architectures."""
    with exit_codes():
        from moonas.encoding.catalogue import encoding_of
        from moonas.network.architecture import Task
        from moonas.spec.encoding import load_encoding

        spec = load_encoding(name)
        encoding = encoding_of(spec)
        task = _task(shape, classes, lambda: _published(spec) or Task(*_USUAL))
        say(f"{name}: {spec.family}, {len(encoding.genes)} genes, {encoding.extent}")
        _print(_genes(encoding), "Genes, with their choices")
        with _explained(f"{name}: decoding"):
            drawn = _draw(encoding, seed)
        _print(_counts(drawn, task), f"Random architectures, {_for(task)}")


@app.command("architecture")
def show_architecture(
    name: Annotated[str, typer.Argument(metavar="KEY_OR_NAME", help="A known network, a file, or the key of a trial.")],
    run: Annotated[Path | None, typer.Option(help="The run folder of the key.", show_default="all in ./runs")] = None,
    shape: Input = None,
    classes: Classes = None,
    depth: Annotated[int, typer.Option(min=1, help="Levels of nested modules that are taken apart.")] = 2,
) -> None:
    """Show the layers of a network with their shapes, parameters and multiply-adds (fvcore's: normalisation counts)."""
    with exit_codes():
        from moonas.evaluation.evaluator import Candidate, build
        from moonas.evaluation.layers import layer_table

        architecture, own, where = _find(name, run)
        task = _task(shape, classes, own)
        with _explained(f"{name}, {_for(task)}"):
            layers = layer_table(build(Candidate(architecture, 0), task), task.input_shape, depth=depth)
        totals = {"layer": "total", "kind": "", "output": "", **layers[["params", "flops"]].sum()}
        layers["output"] = [" x ".join(map(str, each)) for each in layers["output"]]
        layers.loc[len(layers)] = totals
        say(f"{architecture.key}{where}\n\n{_described(architecture)}")
        _print(layers, f"Layers, {_for(task)}")


def _find(name: str, run: Path | None) -> tuple[Architecture, Callable[[], Task], str]:
    """A network, the task it is for (which may have to be read from data), and in words where it was found."""
    from moonas.encoding.catalogue import architecture
    from moonas.network.architecture import Task
    from moonas.spec.encoding import load_encoding
    from moonas.study.start import load

    if run is None and not re.fullmatch(r"\w+-[0-9a-f]{12}", name):
        task = _published(load_encoding(name, kind="architectures"))
        return architecture(name), lambda: task or Task((3, 224, 224), 1000), f", known as {name}"
    unreadable = []
    for folder in [run] if run else sorted(path.parent for path in Path("runs").glob("*/problem.yaml")):
        try:
            study = load(folder)
        except MoonasError:
            if run:
                raise
            unreadable.append(str(folder))
            continue
        try:
            return study.architecture(name), lambda: study.task, f" of {folder}"  # noqa: B023  # leaves the loop
        except MoonasError:
            if run:
                raise
    closed = f" ({', '.join(unreadable)} could not be read)" if unreadable else ""
    raise UnknownNameError("key", name, [], f" in the folders of ./runs{closed}; name its folder: --run DIR")


def _published(spec: EncodingSpec) -> Task | None:
    """What an encoding file says that its networks are for."""
    from moonas.network.architecture import Task

    return None if spec.task is None else Task(spec.task.input_shape, spec.task.classes)


def task_for(encoding: str, shape: str | None, classes: int | None) -> Task:
    """What the networks of an encoding are for: as the options say, else as its file does."""
    from moonas.network.architecture import Task
    from moonas.spec.encoding import load_encoding

    return _task(shape, classes, lambda: _published(load_encoding(encoding)) or Task(*_USUAL))


def _task(shape: str | None, classes: int | None, own: Callable[[], Task]) -> Task:
    """What the options say, and of what they leave open, what is the network's own."""
    from moonas.network.architecture import Task

    given = None if shape is None else input_shape(shape)
    if given is not None and classes is not None:
        return Task(given, classes)
    default = own()
    return Task(given or default.input_shape, classes or default.classes)


def _for(task: Task) -> str:
    return f"for inputs of {' x '.join(map(str, task.input_shape))} in {task.classes} classes"


@contextmanager
def _explained(what: str) -> Iterator[None]:
    """Word whatever a family of the user's own, or PyTorch for want of memory, raises."""
    try:
        yield
    except MoonasError:
        raise
    except Exception as error:
        raise MoonasError(f"{what}: {one_line(error)}{place_in_users_code(error)}") from error


def _genes(encoding: Encoding) -> pd.DataFrame:
    import pandas as pd

    rows = [
        (gene.name, ", ".join(_word(choice) for choice in gene.choices), "yes" if gene.ordered else "")
        for gene in encoding.genes
    ]
    return pd.DataFrame(rows, columns=["gene", "choices", "ordered"])


def _word(choice: Any) -> str:
    """A choice as a YAML file writes it."""
    return str(choice).lower() if isinstance(choice, bool) else str(choice)


def _draw(encoding: Encoding, seed: int) -> list[Architecture]:
    """Different architectures at random, if the space holds so many."""
    import numpy as np

    generator = np.random.default_rng(seed)
    drawn: dict[str, Architecture] = {}
    for _ in range(_DRAWS):
        architecture = encoding.decode(encoding.sample(generator))
        if len(drawn) < _SAMPLES:
            drawn.setdefault(architecture.key, architecture)
    return list(drawn.values())


def _counts(architectures: Sequence[Architecture], task: Task) -> pd.DataFrame:
    """Parameters and multiply-adds of each, or why there are none."""
    import pandas as pd

    from moonas.evaluation.evaluator import Candidate, Failure
    from moonas.evaluation.static import StaticEvaluator

    evaluator = StaticEvaluator(("params", "flops"), task)
    rows: list[dict[str, Any]] = []
    for architecture in architectures:
        (outcome,) = evaluator.evaluate([Candidate(architecture, 0)])
        found = {"note": outcome.reason} if isinstance(outcome, Failure) else outcome
        rows.append({"key": architecture.key, **found})
    return pd.DataFrame(rows, columns=["key", "params", "flops", "note"]).dropna(axis="columns", how="all")


def _described(architecture: Architecture) -> str:
    """What an architecture is made of, a line for each part."""
    import json

    import yaml

    plain = json.loads(json.dumps(architecture.to_dict()))
    text: str = yaml.safe_dump(plain, sort_keys=False, default_flow_style=None, width=10_000)
    return text


def _print(frame: pd.DataFrame, title: str) -> None:
    from moonas.report.table import print_frame

    with while_read():
        print_frame(frame, title)
