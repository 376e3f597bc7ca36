"""Search spaces as a whole: sample them, compare them, find the genes that matter, and narrow them (RegNet's method).

    from moonas import design_space
    study = design_space.sample("digits", "tiny", networks=100, out="runs/tiny")
    design_space.gene_effects(study)                        # a DataFrame, the surest gene first
    design_space.shrink(study, "encodings/tiny_digits.yaml")

`moonas space` does the same from the command line; `moonas.report.design_space` says how each figure comes about.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moonas.errors import MoonasError, UnknownNameError, one_line
from moonas.spec.metric import metric_of

if TYPE_CHECKING:
    import pandas as pd

    from moonas.encoding.encoding import Encoding
    from moonas.problem.objective import Objective
    from moonas.study.study import Study


def sample(
    problem: str | Path | Mapping[str, Any],
    encoding: str | Mapping[str, Any] | None = None,
    *,
    networks: int = 100,
    out: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    progress: bool = False,
) -> Study:
    """Draw networks from a search space at random, and evaluate them.

    Run again in the same folder with more networks, it goes on.

    Args:
        problem: says how networks are evaluated; see `moonas.load`.
        encoding: the space; the problem's if not given.
        networks: how many different ones.
        out: the run folder.
        overrides: dotted path -> value, laid over the problem.
        progress: whether a line on standard error shows how far it is.
    """
    from moonas.study.start import load

    chosen = {} if encoding is None else {"encoding": encoding}
    alike = {"search.halving": None, "search.screen": None}  # all are evaluated, and trained as much
    drawing = {"search.strategy": "random", **alike, "budget.trials": networks}
    study = load(problem, out=out, overrides={**(overrides or {}), **chosen, **drawing})
    study.run(progress=progress)
    return study


def compare(*studies: Study) -> pd.DataFrame:
    """Compare the spaces of studies that drew at random by their first objective.

    Networks of one space may be better because they are larger. For spaces of like cost, as the method has it, give the
    problem limits, such as `at_least` and `at_most` for flops.

    Returns:
        See `moonas.report.design_space.compare_spaces`.

    Raises:
        MoonasError: if they did not evaluate alike, or did not draw at random.
    """
    from moonas.report.design_space import compare_spaces

    return compare_spaces(_spaces(*studies), studies[0].objectives[0])


def plot(*studies: Study, path: str | Path) -> None:
    """Draw the error distributions of the spaces of studies into a `.png` or `.svg` file.

    Raises:
        MoonasError: as `compare`, or if the file cannot be written.
    """
    from moonas.report.design_space import plot_distributions

    spaces, path = _spaces(*studies), Path(path)
    if path.suffix.lower() not in (".png", ".svg"):
        raise MoonasError(f"{path}: a picture is a .png or .svg file")
    try:
        plot_distributions(spaces, studies[0].objectives[0], path)
    except OSError as error:
        raise MoonasError(f"{path} cannot be written: {error.strerror}") from error


def gene_effects(study: Study, *, by: str | None = None, level: float = 0.05) -> pd.DataFrame:
    """Find the genes that separate good networks from bad, and the choices that good ones make.

    Args:
        study: that drew at random.
        by: the objective by which networks are good; all of them, by their fronts, if not given.
        level: of significance.

    Returns:
        See `moonas.report.design_space.gene_effects`.

    Raises:
        MoonasError: if the study did not draw at random, or `by` is none of its objectives.
    """
    from moonas.report.design_space import gene_effects as effects

    (trials,) = _spaces(study).values()
    objectives = _judges(study, by)
    return effects(_blank_inactive(trials, study.encoding), study.encoding.genes, objectives, level=level)


def _judges(study: Study, by: str | None) -> tuple[Objective, ...]:
    named = {objective.metric: objective for objective in study.objectives}
    if by is not None and by not in named:
        raise UnknownNameError("objective", by, named)
    return study.objectives if by is None else (named[by],)


def shrink(study: Study, path: str | Path, *, by: str | None = None, level: float = 0.05) -> pd.DataFrame:
    """Write an encoding file that keeps the choices that good networks make, of those genes that matter.

    Args:
        study: that drew at random.
        path: of the file, which must not be there yet.
        by: the objective by which networks are good; all of them, by their fronts, if not given.
        level: see `moonas.report.design_space.gene_effects`.

    Returns:
        The narrowed rows of `gene_effects`.

    Raises:
        MoonasError: if there is nothing to narrow, or the file is there or cannot be written.
    """
    from moonas.encoding.catalogue import encoding_of
    from moonas.spec.family import EncodingSpec

    spec, path = study.spec.encoding, Path(path)
    if not isinstance(spec, EncodingSpec):
        raise MoonasError(f"{spec.name} is Python, and no file whose lists could be narrowed")
    effects = gene_effects(study, by=by, level=level)
    choices = {gene.name: len(gene.choices) for gene in study.encoding.genes}
    narrowed = effects[effects["keep"].map(len) < effects["gene"].map(choices)]
    if narrowed.empty:
        raise MoonasError(
            f"no choice of a gene of {spec.name} is clearly worse than others among the {effects['networks'].max()} "
            "networks that were judged; draw more"
        )
    smaller = spec.narrowed(dict(zip(narrowed["gene"], narrowed["keep"], strict=True)))
    origin = f"{len(study.trials)} random networks in {study.out}, judged by {_named(_judges(study, by))}"
    comment = f"# {spec.name}, narrowed to what good networks choose: {encoding_of(smaller).extent}.\n# By {origin}.\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_new(path, comment + smaller.to_yaml())
    except FileExistsError as error:
        raise MoonasError(f"{path} is there already, and stays as it is; give another file") from error
    except OSError as error:
        raise MoonasError(f"{path} cannot be written: {one_line(error)}") from error
    return narrowed


def _write_new(path: Path, text: str) -> None:
    """Write a file that is not there yet, whole or not at all."""
    file = path.open("x", encoding="utf-8")
    try:
        with file:
            file.write(text)
    except OSError:  # as on a full disk
        path.unlink()
        raise


def _named(objectives: Sequence[Objective]) -> str:
    return ", ".join(objective.metric for objective in objectives)


def _spaces(*studies: Study) -> dict[str, pd.DataFrame]:
    """The trials of each study by a name, if they can be compared."""
    first = studies[0]
    judged = first.objectives[0].metric
    metric = metric_of(judged)
    device = ("device", "devices") if metric is not None and metric.source in ("latency", "energy") else ()
    spaces: dict[str, pd.DataFrame] = {}
    named = [study.spec.encoding.name for study in studies]
    for study in studies:
        what = f"{study.out} cannot be compared with {first.out}" if study is not first else ""
        for part in ("data", "task", "table", "fidelity", "training", "constraints", *device):
            if getattr(study.spec, part) != getattr(first.spec, part):
                raise MoonasError(f"{what}: its {part} differs")
        if study.objectives[0] != first.objectives[0]:
            raise MoonasError(f"{what}: its first objective is {study.objectives[0].metric}")
        if study.metric_notes.get(judged) != first.metric_notes.get(judged):  # energies measured, and modelled
            how = f"its {judged} is {study.metric_notes[judged]}, and not {first.metric_notes[judged]}"
            raise MoonasError(f"{what}: {how}")
        trials, name = study.trials, study.spec.encoding.name
        if not trials["state"].isin(["complete", "failed"]).any():
            raise MoonasError(f"{study.out} holds no network that keeps the limits, so there is nothing to judge")
        _refuse_preference(study)
        name = name if named.count(name) == 1 else str(study.out)
        if name in spaces:
            raise MoonasError(f"{name} is given twice")
        spaces[name] = trials
    return spaces


def _refuse_preference(study: Study) -> None:
    """Refuse a study that spent more on networks that looked better."""
    search = study.spec.search
    for key, by in (("strategy", search.strategy), ("halving", "halving"), ("screen", "screening")):
        neutral = "random" if key == "strategy" else None
        if getattr(search, key) != neutral:
            raise MoonasError(
                f"{study.out} was searched by {by}, which prefers good networks; a space is judged by random ones: "
                f"--set search.{key}={neutral or 'null'}"
            )


def _blank_inactive(trials: pd.DataFrame, encoding: Encoding) -> pd.DataFrame:
    """Trials whose genes are empty where they do not matter."""
    genes = encoding.genes
    trials = trials.astype({gene.name: object for gene in genes})
    for row in trials.index:
        genotype = tuple(gene.choices.index(trials.at[row, gene.name]) for gene in genes)
        for gene, active in zip(genes, encoding.active(genotype), strict=True):
            if not active:
                trials.at[row, gene.name] = None
    return trials
