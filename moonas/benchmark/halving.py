"""What a halving saves, and what it loses: all networks trained at all rungs, and the halving's choices replayed."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from moonas.benchmark.contenders import candidate, completed, training_evaluator
from moonas.benchmark.networks import random_networks
from moonas.benchmark.proxies import claim
from moonas.benchmark.rows import Rows, first_error
from moonas.benchmark.training import checked_images
from moonas.benchmark.turns import row
from moonas.errors import MoonasError
from moonas.run import parse_assignments
from moonas.spec.load import load_problem
from moonas.spec.problem import ProblemSpec
from moonas.study.assemble import assemble_constraints, assemble_encoding
from moonas.study.assemble_evaluation import settled
from moonas.study.assemble_halving import chance_of
from moonas.study.workers import Workers
from moonas.terminal import say
from moonas.training.split import SearchData

COLUMNS = ("rung", "seed", "key", "params", "flops", "accuracy", "training_loss", "seconds", "error")


def halving(
    problem: Annotated[str, typer.Argument(help="A problem with search.halving, by path or name.")],
    networks: Annotated[int, typer.Option(min=2, help="Random networks, twice `search.population` or more.")] = 144,
    seeds: Annotated[int, typer.Option(min=2, help="Trainings of each network at each rung.")] = 3,
    seed: Annotated[int, typer.Option(min=0, help="Draws the networks.")] = 0,
    out: Annotated[Path, typer.Option(help="Where the CSV goes; running again resumes.")] = Path("runs/halving"),
    assignments: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY.PATH=VALUE", help="Change any field of the problem.")
    ] = None,
) -> None:
    """Training seconds and recall of the top third: a problem's halving against training all at the top rung.

    Every network is trained at every rung, and who would have gone on is replayed, of many generations drawn from them;
    a halving orders networks by the rung that they reach, and there by what was measured. The truth about a network is
    the mean of its trainings at the top rung with the other seeds; so training all at the top rung has a recall below
    1, too.
    """
    from moonas.benchmark.halving_report import Trainings, print_halving

    spec = load_problem(problem, overrides=parse_assignments(assignments or []))
    rule = spec.search.halving
    if rule is None:
        raise MoonasError(f"{spec.name} has no search.halving; give it rungs, as --set search.halving.rungs=...")
    if networks < 2 * spec.search.population:
        raise MoonasError(
            f"--networks {networks}: too few; give twice search.population ({spec.search.population}) or more"
        )
    data = checked_images(spec, {"a rung's samples": max((each.samples or 0) for each in spec.rungs)})
    spec = settled(spec, data)
    table = _train(spec, data, out, networks=networks, seeds=seeds, seed=seed)
    failed = first_error(table)
    if table["accuracy"].isna().all():
        raise MoonasError(failed)
    if failed:
        say(f"{failed}; at the top rung these count as the worst")
    trainings = Trainings.of(table, rungs=len(spec.rungs), seeds=seeds)
    print_halving(trainings, population=spec.search.population, keep=rule.keep, chance=chance_of(data))


def _train(spec: ProblemSpec, data: SearchData, out: Path, *, networks: int, seeds: int, seed: int) -> pd.DataFrame:
    """Train what is missing, and give all rows, with the networks' numbers."""
    parts = spec.model_dump(mode="json", include={"encoding", "constraints", "training"})
    parts["rungs"] = [rung.model_dump(mode="json") for rung in spec.rungs]  # other choices need no other trainings
    claim(out, json.dumps({**parts, "data": data.fingerprint, "seed": seed}, indent=1, sort_keys=True))
    drawn = random_networks(
        assemble_encoding(spec), [data.task], networks, seed=seed, constraints=assemble_constraints(spec)
    )
    rows = Rows(out / "rungs.csv", COLUMNS)
    done = set(zip(rows.frame["rung"], rows.frame["seed"], rows.frame["key"], strict=True))
    wanted = [
        (rung, one, network)
        for one, network, rung in itertools.product(range(seeds), drawn, range(1, len(spec.rungs) + 1))
        if (rung, one, network.key) not in done
    ]
    if wanted:
        with Workers(spec, [training_evaluator(spec, data, rung) for rung in spec.rungs]) as workers:
            calls = {workers.submit(each[0] - 1, [candidate("halving", each[1], each[2])]): each for each in wanted}
            for (rung, one, network), judgement in completed(calls):
                rows.add({"rung": rung, "seed": one, **row(network, judgement)})
    order = {network.key: number for number, network in enumerate(drawn)}
    frame = rows.frame
    return frame[frame["key"].isin(order)].assign(number=lambda known: known["key"].map(order))
