"""Search spaces as a whole, by what networks drawn from them are worth: the statistics of design spaces.

The method is that of Radosavovic et al., 2019, arXiv:1905.13214, and 2020, arXiv:2003.13678: spaces are compared by the
distribution of the errors of random networks, and narrowed to where good ones are. They look at plots for that; the
rank tests here do it without.

Frames have one row a network drawn at random: `state`, the objectives, and a column a gene, empty where the gene does
not matter. Infeasible networks are outside of what was asked for and are left out: what is said holds among those that
keep the limits, where a gene may matter only for the room that it leaves to another. Failed ones count as the worst.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import moocore
import numpy as np
import pandas as pd
from scipy import stats

from moonas.encoding.encoding import Gene
from moonas.errors import MoonasError
from moonas.problem.objective import Objective

Vector = np.ndarray[tuple[int], np.dtype[np.float64]]

_GOOD = 0.25
"""The best quarter of the networks counts as good."""


def losses(trials: pd.DataFrame, objective: Objective) -> Vector:
    """What each network that was drawn lacks to the ideal (for accuracies, the error); infinite for failed ones."""
    drawn = _drawn(trials)
    away = objective.sign * (drawn[objective.metric].to_numpy(dtype=float) - (objective.ideal or 0.0))
    return np.where(drawn["state"].eq("complete") & np.isfinite(away), away, np.inf)


def ranks(trials: pd.DataFrame, objectives: Sequence[Objective]) -> Vector:
    """How good each network that was drawn is, 0 for the best; infinite for failed ones.

    For one objective, its loss; for several, how many fronts are before the one on which it is (Goldberg, 1989).
    """
    if len(objectives) == 1:
        return losses(trials, objectives[0])
    lost = np.stack([losses(trials, objective) for objective in objectives], axis=1)
    done = np.isfinite(lost).all(axis=1)
    fronts = np.full(len(lost), np.inf)
    if done.any():
        fronts[done] = moocore.pareto_rank(lost[done])
    return fronts


def _drawn(trials: pd.DataFrame) -> pd.DataFrame:
    return trials[trials["state"] != "infeasible"]


def error_distribution(trials: pd.DataFrame, objective: Objective) -> pd.DataFrame:
    """The empirical distribution function of the losses of a space.

    Returns:
        `loss, share`: the share of the networks drawn that lose at most so much, at each loss that occurs.
    """
    lost = losses(trials, objective)
    values, counts = np.unique(lost[np.isfinite(lost)], return_counts=True)
    return pd.DataFrame({"loss": values, "share": np.cumsum(counts) / max(1, len(lost))})


def compare_spaces(spaces: Mapping[str, pd.DataFrame], objective: Objective) -> pd.DataFrame:
    """Compare spaces by the networks drawn from them.

    Returns:
        A row a space: `space, networks, failed`; `best, quarter, median, mean` of the objective, `quarter` being what
        the best quarter reaches; `better`, the chance that a network of it beats one of the first space, ties halved,
        and `p_value` of a chance of one half (Mann & Whitney, 1947), both empty for the first.
    """
    first = losses(next(iter(spaces.values())), objective)
    rows = []
    for i, (name, trials) in enumerate(spaces.items()):
        lost = losses(trials, objective)
        done = lost[np.isfinite(lost)]
        summary = [np.min(lost, initial=np.inf), *(_quantile(lost, share) for share in (_GOOD, 0.5))]
        summary.append(done.mean() if len(done) == len(lost) > 0 else np.inf)
        values = [objective.sign * value + (objective.ideal or 0.0) for value in summary]
        better, p_value = (np.nan, np.nan) if i == 0 else _beats(lost, first)
        rows.append((name, len(lost), len(lost) - len(done), *values, better, p_value))
    columns = ["space", "networks", "failed", "best", "quarter", "median", "mean", "better", "p_value"]
    return pd.DataFrame(rows, columns=columns).replace([np.inf, -np.inf], np.nan)


def _quantile(lost: Vector, share: float) -> float:
    return float(np.quantile(lost, share, method="inverted_cdf")) if len(lost) else np.inf


def _beats(lost: Vector, others: Vector) -> tuple[float, float]:
    """The chance that a network loses less than another one, and how likely that is by accident."""
    if not len(lost) or not len(others):
        return np.nan, np.nan
    ranked = stats.rankdata(np.concatenate([lost, others]))  # infinite losses are equal, and last
    test = stats.mannwhitneyu(ranked[: len(lost)], ranked[len(lost) :], alternative="two-sided")
    return 1 - float(test.statistic) / (len(lost) * len(others)), float(test.pvalue)


def gene_effects(
    trials: pd.DataFrame, genes: Sequence[Gene], objectives: Sequence[Objective], *, level: float = 0.05
) -> pd.DataFrame:
    """Find the genes that separate good networks from bad, and the choices that good ones make less often.

    Args:
        trials: networks drawn at random.
        genes: the columns to look at.
        objectives: by which networks are good; see `ranks`.
        level: of significance, between 0 and 1; of all genes that are found to matter, such a share may not.

    Returns:
        A row a gene, the surest first: `gene`; `networks` for which it matters; `share` of the variance of their
        ranks that its choices explain (0 to 1); `p_value` of no effect, corrected for the number of genes (Benjamini &
        Hochberg, 1995); `keep`, the choices that good networks make, see `kept_choices`. Genes whose p-value is not
        below `level` keep all. The test is that of Kruskal & Wallis, 1952, and for ordered choices
        also Spearman's, which sees a trend sooner.
    """
    if not 0 < level < 1:
        raise MoonasError(f"level must be above 0 and below 1, is {level}")
    drawn, lost = _drawn(trials), ranks(trials, objectives)
    good = (lost <= _quantile(lost, _GOOD)) & np.isfinite(lost)
    rows: list[dict[str, Any]] = []
    for gene in genes:
        matters = drawn[gene.name].notna().to_numpy()
        chosen = np.array([gene.choices.index(value) for value in drawn[gene.name][matters]], dtype=np.int64)
        share, p_value = _effect(chosen, lost[matters], ordered=gene.ordered)
        kept = kept_choices(gene, chosen, lost[matters], good[matters], level=level)
        rows.append({"gene": gene.name, "networks": len(chosen), "share": share, "p_value": p_value, "keep": kept})
    effects = pd.DataFrame(rows, columns=["gene", "networks", "share", "p_value", "keep"])
    if len(effects):
        effects["p_value"] = stats.false_discovery_control(effects["p_value"])
    all_choices = {gene.name: gene.choices for gene in genes}
    effects["keep"] = [
        keep if p_value < level else all_choices[name]
        for name, p_value, keep in zip(effects["gene"], effects["p_value"], effects["keep"], strict=True)
    ]
    return effects.sort_values(["p_value", "share", "gene"], ascending=[True, False, True], ignore_index=True)


def _effect(chosen: np.ndarray[Any, Any], lost: Vector, *, ordered: bool) -> tuple[float, float]:
    """The share of the variance of ranks that the choices explain, and the chance of as much by accident."""
    seldom = np.bincount(chosen)[chosen] < 2 if len(chosen) else np.zeros(0, dtype=bool)
    chosen, ranked = chosen[~seldom], stats.rankdata(lost[~seldom])  # one network says nothing about a choice
    groups = [ranked[chosen == index] for index in np.unique(chosen)]
    if len(groups) < 2 or len(np.unique(ranked)) < 2:
        return 0.0, 1.0
    any_effect = stats.kruskal(*groups)
    share = (float(any_effect.statistic) - len(groups) + 1) / (len(ranked) - len(groups))  # epsilon squared
    if not ordered or len(groups) == 2:
        return max(0.0, share), float(any_effect.pvalue)
    trend = stats.spearmanr(chosen, ranked)
    unexplained = (1 - float(trend.statistic) ** 2) * (len(ranked) - 1) / max(1, len(ranked) - 2)  # adjusted, as above
    p_value = 2 * min(float(any_effect.pvalue), float(trend.pvalue))  # the better of two tests, hence twice its chance
    return max(0.0, share, 1 - unexplained), min(1.0, p_value)


def kept_choices(
    gene: Gene, chosen: np.ndarray[Any, Any], lost: Vector, good: np.ndarray[Any, Any], *, level: float = 0.05
) -> tuple[Any, ...]:
    """The choices of a gene less those that are significantly worse than the others.

    Worse is a choice that good networks make less often than all do, if that is no accident (Fisher's exact test,
    one-sided), or if its networks rank below all others' (Mann & Whitney, 1947). Of ordered choices, what lies between
    two that stay, stays.

    Args:
        gene: the gene.
        chosen: the index of the choice of each network.
        lost: what each network lacks.
        good: whether it is good.
        level: of significance for the whole gene: each test of each choice gets its share (Bonferroni).
    """
    of_all = np.bincount(chosen, minlength=len(gene.choices))
    of_good = np.bincount(chosen[good], minlength=len(gene.choices))
    seldom = stats.hypergeom.cdf(of_good, len(chosen), of_good.sum(), of_all)
    below = [_below_others(lost[chosen == i], lost[chosen != i]) for i in range(len(gene.choices))]
    rarer = of_good * len(chosen) < of_good.sum() * of_all
    worse = rarer & (np.minimum(seldom, below) < level / (2 * len(gene.choices)))
    kept = np.flatnonzero(~worse)
    if gene.ordered and len(kept):
        kept = np.arange(kept[0], kept[-1] + 1)
    return tuple(gene.choices[i] for i in kept)


def _below_others(lost: Vector, others: Vector) -> float:
    """How likely it is by accident that networks lose so much more than others."""
    if not len(lost) or not len(others):
        return 1.0
    ranked = stats.rankdata(np.concatenate([lost, others]))
    return float(stats.mannwhitneyu(ranked[: len(lost)], ranked[len(lost) :], alternative="greater").pvalue)


def plot_distributions(spaces: Mapping[str, pd.DataFrame], objective: Objective, path: Path) -> None:
    """Draw the error distribution of each space into a `.png` or `.svg` file."""
    from moonas.report.plot import save, single_panel

    figure, axis = single_panel()
    distributions = {name: error_distribution(trials, objective) for name, trials in spaces.items()}
    worst = max((each["loss"].max() for each in distributions.values() if len(each)), default=1.0)
    for name, each in distributions.items():
        values = [*each["loss"][:1], *each["loss"], worst]  # up from zero at the best, and on to the right edge
        shares = [0.0, *each["share"], *each["share"][-1:]] if len(each) else [0.0]
        axis.step(values, shares, where="post", label=f"{name}, {len(_drawn(spaces[name]))} networks")
    away = f"{objective.ideal:g} - " if objective.goal == "maximize" and objective.ideal is not None else ""
    axis.set_xlabel(f"{away}{objective.metric}  (← better)")
    axis.set_ylabel("share of networks  (↑ better)")
    axis.set_ylim(0, 1.02)
    axis.legend(frameon=False, fontsize=8, loc="lower right")
    save(figure, path)
