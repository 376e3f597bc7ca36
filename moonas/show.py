"""`moonas show`: what a search space offers, and what a network is made of."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from moonas.errors import EncodingError, MoonasError, UnknownNameError
from moonas.terminal import exit_codes, input_shape, say, while_read

if TYPE_CHECKING:
    import pandas as pd

    from moonas.encoding.encoding import Encoding
    from moonas.network.architecture import Architecture, Task
    from moonas.study.study import Study

_SAMPLES, _DRAWS = 5, 50
"""Random architectures, and how many are drawn until so many differ: a space may hold less."""

app = typer.Typer(no_args_is_help=True, help="Show what a search space offers, or what a network is made of.")

Input = Annotated[
    str | None,
    typer.Option("--input", metavar="SHAPE", help="Of one input: channels x height x width, or length x channels."),
]
Classes = Annotated[int | None, typer.Option(min=1, help="Outputs of the network.")]


@app.command("encoding")
def show_encoding(
    name: Annotated[str, typer.Argument(help="A shipped encoding, one in ./encodings, or a file.")],
    shape: Input = None,
    classes: Classes = None,
    seed: Annotated[int, typer.Option(help="Of the random architectures.")] = 0,
) -> None:
    """Show the genes of a search space with their choices, and five random architectures."""
    with exit_codes():
        from moonas.encoding.catalogue import search_space
        from moonas.network.architecture import Task

        encoding = search_space(name)
        task = Task(input_shape(shape or "3x32x32"), classes or 10)
        say(f"{name}: {len(encoding.genes)} genes, {encoding.extent}")
        _print(_genes(encoding), "Genes, with their choices")
        networks = _random_architectures(encoding, task, seed)
        _print(networks, f"{len(networks)} random architectures, {_for(task)}")


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
        from moonas.evaluation.layers import layer_table
        from moonas.network.architecture import Task

        architecture, study = _find(name, run)
        task = Task(input_shape(shape or "3x224x224"), classes or 1000)
        if study is not None and not (shape and classes):
            own = study.task  # reads the data
            task = Task(task.input_shape if shape else own.input_shape, classes or own.classes)
        layers = layer_table(architecture.build(task), task.input_shape, depth=depth)
        totals = {"layer": "total", "kind": "", "output": "", **layers[["params", "flops"]].sum()}
        layers["output"] = [" x ".join(map(str, each)) for each in layers["output"]]
        layers.loc[len(layers)] = totals
        _print(layers, f"{name}, {architecture.key}, {_for(task)}")


def _for(task: Task) -> str:
    return f"for inputs of {' x '.join(map(str, task.input_shape))} in {task.classes} classes"


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


def _random_architectures(encoding: Encoding, task: Task, seed: int) -> pd.DataFrame:
    import numpy as np
    import pandas as pd

    generator = np.random.default_rng(seed)
    drawn: dict[str, Architecture] = {}
    for _ in range(_DRAWS):
        architecture = encoding.decode(encoding.sample(generator))
        if len(drawn) < _SAMPLES:
            drawn.setdefault(architecture.key, architecture)
    rows = [{"key": key, **_counts(architecture, task)} for key, architecture in drawn.items()]
    return pd.DataFrame(rows, columns=["key", "params", "flops", "note"]).dropna(axis="columns", how="all")


def _counts(architecture: Architecture, task: Task) -> dict[str, Any]:
    """Parameters and multiply-adds, or why there are none."""
    from moonas.evaluation.static import count_flops

    try:
        module = architecture.build(task).eval()
        return {"params": sum(p.numel() for p in module.parameters()), "flops": count_flops(module, task.input_shape)}
    except EncodingError as error:
        return {"note": str(error)}


def _find(name: str, run: Path | None) -> tuple[Architecture, Study | None]:
    """A known network, or that of a trial and its study."""
    from moonas.encoding.catalogue import architecture
    from moonas.study.start import load

    if run is not None:
        study = load(run)
        return study.architecture(name), study
    if not re.fullmatch(r"\w+-[0-9a-f]{12}", name):
        return architecture(name), None
    for folder in sorted(path.parent for path in Path("runs").glob("*/problem.yaml")):
        try:
            study = load(folder)
            return study.architecture(name), study
        except MoonasError:  # it is not in this run, or the run cannot be read
            continue
    raise UnknownNameError("key", name, [], " in the folders of ./runs; name its folder: --run DIR")


def _print(frame: pd.DataFrame, title: str) -> None:
    from moonas.report.table import print_frame

    with while_read():
        print_frame(frame, title)
