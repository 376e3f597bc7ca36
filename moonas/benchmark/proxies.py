"""How well a problem's short training ranks networks, and how fast, against the short training of a reference loop."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from moonas.benchmark.ranking import Ranking, times_of
from moonas.benchmark.rows import Rows
from moonas.benchmark.training import checked_images
from moonas.benchmark.turns import RANK_COLUMNS, TURN_COLUMNS
from moonas.errors import MoonasError
from moonas.run import parse_assignments
from moonas.spec.load import load_problem
from moonas.spec.training import FidelitySpec
from moonas.study.assemble_evaluation import settled


def proxies(
    problem: Annotated[str, typer.Argument(help="A problem, by path or name.")] = "fashion_mnist",
    networks: Annotated[int, typer.Option(min=3, help="Random networks of its encoding, within its limits.")] = 60,
    seeds: Annotated[int, typer.Option(min=1, help="Short trainings of each network by each contender.")] = 3,
    long_epochs: Annotated[int, typer.Option(min=1)] = 4,
    long_samples: Annotated[int, typer.Option(min=1)] = 12_000,
    long_seeds: Annotated[int, typer.Option(min=1, help="Long trainings of each; figures are means over them.")] = 2,
    reference_epochs: Annotated[int, typer.Option(min=1)] = 2,
    reference_samples: Annotated[int, typer.Option(min=1)] = 6144,
    timed: Annotated[
        int,
        typer.Option(
            min=0,
            help="Networks on which speed is measured, when nothing else should run; 0 for none. Once measured, it "
            "stays: remove times.csv to measure again.",
        ),
    ] = 12,
    seed: Annotated[int, typer.Option(min=0, help="Draws the networks.")] = 0,
    out: Annotated[Path, typer.Option(help="Where the CSVs go; running again resumes.")] = Path("runs/proxies"),
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY.PATH=VALUE", help="Change any field of the problem; may be given often."),
    ] = None,
) -> None:
    """Rank quality and speed of a problem's proxy (its `fidelity`) and of two reference loops, against long training.

    The truth about a network is the long training by moonas, with its recipe, judged on the validation images, as all
    contenders are.
    """
    from moonas.benchmark.proxies_report import print_ranks, print_times

    changes = {"budget.trial_seconds": 3600, **parse_assignments(assignments or [])}
    unsettled = load_problem(problem, overrides=changes)
    data = checked_images(unsettled, {"--long-samples": long_samples, "--reference-samples": reference_samples})
    spec = settled(unsettled, data)
    reference = FidelitySpec(epochs=reference_epochs, samples=reference_samples)
    ranking = Ranking(spec, data, reference, FidelitySpec(epochs=long_epochs, samples=long_samples))
    drawn = ranking.draw(networks, seed=seed)
    _ = ranking.evaluators  # what is wrong with the settings shows itself before anything is written
    claim(out, json.dumps(ranking.settings | {"seed": seed}, indent=1, sort_keys=True))
    rows, times = Rows(out / "ranks.csv", RANK_COLUMNS), Rows(out / "times.csv", TURN_COLUMNS)
    for row in ranking.judgements(drawn, rows.frame, seeds=seeds, long_seeds=long_seeds):
        rows.add(row)
    if timed and times.frame.empty:
        times.add(*times_of(ranking, drawn[:timed]))
    print_ranks(rows.frame, [network.key for network in drawn], seeds=seeds, long_seeds=long_seeds)
    print_times(times.frame)


def claim(out: Path, settings: str) -> None:
    """Let a folder belong to these settings, and to no others.

    Raises:
        MoonasError: if it belongs to others.
    """
    path = out / "settings.json"
    try:
        out.mkdir(parents=True, exist_ok=True)
        if path.exists() and path.read_text(encoding="utf-8") != settings:
            raise MoonasError(f"--out {out} holds results of other settings, see {path.name}; give another folder")
        path.write_text(settings, encoding="utf-8")
    except OSError as error:
        raise MoonasError(f"--out {out} cannot be written: {error.strerror or error}") from error
