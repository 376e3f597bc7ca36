"""Training as moonas does it against the loop that an engineer writes, on the same images seen as often."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from moonas.benchmark.contenders import Contender, Moonas, Reference, reference_loop, training_evaluator
from moonas.benchmark.networks import random_networks
from moonas.benchmark.rows import Rows
from moonas.benchmark.turns import TURN_COLUMNS, take_turns
from moonas.encoding.catalogue import encoding_of
from moonas.encoding.encoding import Encoding
from moonas.errors import MoonasError
from moonas.run import parse_assignments
from moonas.spec.encoding import load_encoding
from moonas.spec.load import load_problem
from moonas.spec.problem import ProblemSpec
from moonas.study.assemble_evaluation import load_data
from moonas.study.workers import Workers
from moonas.terminal import say

if TYPE_CHECKING:
    from moonas.training.split import SearchData


def training(
    encoding: Annotated[list[str] | None, typer.Option(help="May be given often.", show_default="tiny, mobile")] = None,
    networks: Annotated[int, typer.Option(min=1, help="Random networks of each encoding.")] = 24,
    data: Annotated[
        Path | None, typer.Option(metavar="FILE.npz", help="Images with a test part.", show_default="digits")
    ] = None,
    epochs: Annotated[int, typer.Option(min=1)] = 2,
    samples: Annotated[int, typer.Option(min=1, help="Training images.")] = 1024,
    passes: Annotated[int, typer.Option(min=1, help="How often all is done, with other seeds.")] = 2,
    block: Annotated[
        int | None, typer.Option(min=1, help="Networks in a turn.", show_default="two a worker of moonas")
    ] = None,
    resolution: Annotated[
        int,
        typer.Option(min=0, help="Pixels to which networks resize images if that is a gene; 0 leaves it to chance."),
    ] = 32,
    seed: Annotated[int, typer.Option(min=0, help="Draws the networks.")] = 0,
    device: Annotated[Literal["cpu", "cuda"], typer.Option(help="Where all of them train.")] = "cpu",
    out: Annotated[Path, typer.Option(metavar="FILE.csv", help="All rows; must not be there yet.")] = Path(
        "runs/training.csv"
    ),
    assignments: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY.PATH=VALUE", help="As of a problem: training.flip=true.")
    ] = None,
) -> None:
    """Candidates an hour and accuracy of moonas, and of a loop written by hand with two recipes, by turns."""
    from moonas.benchmark.reference import RECIPES
    from moonas.benchmark.training_report import print_training

    names = encoding or ["tiny", "mobile"]
    changes = {"training.processor": device, **parse_assignments(assignments or [])}
    spec = _problem(names[0], data, epochs, samples, changes)
    images = checked_images(spec, {"--samples": spec.fidelity.samples})
    _check(spec, device, out)
    contenders: list[Contender] = [
        Reference(reference_loop(spec, images, spec.fidelity, recipe, device=device)) for recipe in RECIPES
    ]
    spaces = {name: _space(name, resolution) for name in names}
    drawn = {name: random_networks(space, [images.task], networks, seed=seed) for name, space in spaces.items()}
    rows = Rows(out, TURN_COLUMNS)
    with Workers(spec, [training_evaluator(spec, images, spec.fidelity)]) as workers:
        contenders.append(Moonas(workers))
        _announce(spec, workers, device)
        try:
            for name, some in drawn.items():
                size = block or 2 * workers.count
                for turn in take_turns(contenders, some, space=name, block=size, passes=passes):
                    rows.add(*turn)
        finally:  # also if interrupted
            print_training(rows.frame)


def _space(name: str, resolution: int) -> Encoding:
    """A search space, its networks all of one resolution if one is given: large ones would train for minutes."""
    return encoding_of(load_encoding(name).narrowed({"resolution": [resolution]} if resolution else {}))


def _problem(encoding: str, data: Path | None, epochs: int, samples: int, changes: dict[str, Any]) -> ProblemSpec:
    """The problem of training alone."""
    own: dict[str, Any] = {"name": "digits"}
    if data is not None:
        own = {"name": "npz", "path": str(data.resolve()), "split": {"train": 0.9, "val": 0.1, "test": 0}}
    problem = {
        "name": "training",
        "encoding": encoding,
        "data": own,
        "objectives": [{"metric": "accuracy"}],
        "fidelity": {"epochs": epochs, "samples": samples},
        "budget": {"trial_seconds": 3600},
    }
    return load_problem(problem, overrides=changes)


def checked_images(spec: ProblemSpec, samples: dict[str, int | None]) -> SearchData:
    """The data of a problem, if they are images of classes, and so many of them for training as options want.

    Raises:
        MoonasError: if they are not.
    """
    data = load_data(spec)
    if data is None or data.train.kind != "images" or data.target != "class":
        raise MoonasError(f"{spec.name}: the reference loop classifies images; give a problem with such data")
    for option, count in samples.items():
        if count is not None and count > len(data.train):
            raise MoonasError(f"{option} {count}: there are {len(data.train):,} images for training; give at most that")
    return data


def _check(spec: ProblemSpec, device: str, out: Path) -> None:
    """Refuse what would make the figures wrong, or lose some."""
    import torch

    from moonas.benchmark.reference import BATCH

    samples, own = spec.fidelity.samples, spec.training.batch
    if samples is None or samples % BATCH or samples % own:
        what = f"must be a multiple of {BATCH} and {own}, the batches of reference and moonas"
        raise MoonasError(f"--samples {samples}: {what}, for both to see each image as often")
    if out.exists():
        raise MoonasError(f"--out {out} is there already, and stays as it is; give another file")
    if device == "cuda" and not torch.cuda.is_available():
        raise MoonasError("--device cuda: PyTorch sees no such device here; use cpu")


def _announce(spec: ProblemSpec, workers: Workers, device: str) -> None:
    import torch

    threads = f"{torch.get_num_threads()} threads" if device == "cpu" else torch.cuda.get_device_name()
    say(f"{spec.fidelity}; reference loops: one network at a time, {threads} and 2 loader processes")
    say(f"moonas: {workers.count} workers, which took {workers.startup:.1f} s to start, not counted below")
