"""Zero-cost proxies: by hand, by their definitions, and against the scores that others publish."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import spearmanr
from torch import nn
from torch.nn import functional

import moonas
from moonas.errors import CandidateError
from moonas.evaluation.evaluator import Candidate, Failure
from moonas.evaluation.zero_cost import (
    PROXIES,
    ZeroCostEvaluator,
    gradient_norm,
    jacobian_covariance,
    naswot,
    snip,
    synflow,
)
from moonas.network.architecture import Architecture, Task
from moonas.network.nas_bench_201 import NASBench201
from moonas.spec.nas_bench_201 import OPERATIONS

DATA = Path(__file__).parents[3] / "shared" / "data"
IMAGES = torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([0, 1, 2, 0, 1, 2])
TASK = Task((3, 8, 8), 3)
LOSS = functional.cross_entropy


def small() -> nn.Module:
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Conv2d(4, 5, 3), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(80, 3))


def test_synflow_of_linear_layers_by_hand() -> None:
    """Each layer's weights times their gradients add up to the whole flow."""
    first, second = nn.Linear(4, 3, bias=False), nn.Linear(3, 2, bias=False)
    module = nn.Sequential(nn.Flatten(), first, nn.BatchNorm1d(3), nn.ReLU(), second)
    flow = float((second.weight.detach().abs() @ first.weight.detach().abs()).sum()) / math.sqrt(1 + 1e-5)
    assert synflow(module, torch.zeros(1, 1, 2, 2), LABELS, LOSS) == pytest.approx(math.log(2 * flow))


def test_synflow_counts_no_normalisation_not_even_one_that_begins_with_zero() -> None:
    torch.manual_seed(0)
    plain = small()
    muted = small()
    nn.init.zeros_(muted[1].weight)
    assert synflow(muted, IMAGES, LABELS, LOSS) == pytest.approx(synflow(plain, IMAGES, LABELS, LOSS))


def test_naswot_by_its_definition() -> None:
    module = small().train()
    hidden = module[1](module[0](IMAGES)).detach()
    codes = [hidden.flatten(1) > 0, module[3](hidden.relu()).detach().flatten(1) > 0]
    agreements = sum((code[:, None] == code[None, :]).sum(dim=2).double() for code in codes)
    assert naswot(small(), IMAGES, LABELS, LOSS) == pytest.approx(float(torch.logdet(agreements)))


def test_naswot_says_that_a_network_has_no_activations() -> None:
    with pytest.raises(CandidateError, match="this network has none that it knows"):
        naswot(nn.Sequential(nn.Flatten(), nn.Linear(192, 3)), IMAGES, LABELS, LOSS)


def test_naswot_is_lower_for_images_that_are_alike() -> None:
    alike = IMAGES[:1] + 0.01 * IMAGES
    assert naswot(small(), alike, LABELS, LOSS) < naswot(small(), IMAGES, LABELS, LOSS)


def test_the_jacobian_covariance_of_gradients_that_do_not_correlate_is_greatest() -> None:
    """Eigenvalues of one, all of them, give minus the number of images; others give less."""

    class Apart(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return (images.flatten(1) * patterns).sum(dim=1, keepdim=True)

    patterns = torch.tensor([[1.0, 1, -1, -1], [1, -1, 1, -1], [1, -1, -1, 1]])
    images = torch.randn(3, 1, 2, 2)
    assert jacobian_covariance(Apart(), images, LABELS[:3], LOSS) == pytest.approx(-3, rel=1e-4)
    patterns = torch.tensor([[1.0, 1, -1, -1], [1, 1, -1, -0.9], [1, -1, -1, 1]])
    assert jacobian_covariance(Apart(), images, LABELS[:3], LOSS) < -50


def test_snip_is_the_gradient_of_masks() -> None:
    module = small().train()
    masks = {name: torch.ones_like(p, requires_grad=True) for name, p in module.named_parameters() if p.ndim > 1}
    masked = {name: p * masks[name] if name in masks else p for name, p in module.named_parameters()}
    logits = torch.func.functional_call(module, masked, (IMAGES,))
    gradients = torch.autograd.grad(functional.cross_entropy(logits, LABELS), list(masks.values()))
    expected = sum(float(gradient.abs().sum()) for gradient in gradients)
    assert snip(small(), IMAGES, LABELS, LOSS) == pytest.approx(expected, rel=1e-5)


def test_the_gradient_norm_adds_up_over_layers() -> None:
    module = small().train()
    functional.cross_entropy(module(IMAGES), LABELS).backward()
    expected = sum(float(module[i].weight.grad.norm()) for i in (0, 3, 6))
    assert gradient_norm(small(), IMAGES, LABELS, LOSS) == pytest.approx(expected, rel=1e-5)


# Candidates.


@dataclass(frozen=True)
class Custom(Architecture):
    """Builds what it is told."""

    dead: bool = False
    family = f"{__name__}:Custom"

    def build(self, task: Task) -> nn.Module:
        module = small()
        if self.dead:
            for parameter in module.parameters():
                nn.init.zeros_(parameter)
        return module


def scores(metrics: Any, architecture: Architecture, seed: int = 3) -> Any:
    (outcome,) = ZeroCostEvaluator(metrics, TASK, IMAGES, LABELS, LOSS).evaluate([Candidate(architecture, seed)])
    return outcome


def test_each_proxy_scores_the_network_as_if_it_were_alone() -> None:
    network = moonas.search_space("tiny_cnn").decode((0,) * 7)
    together = scores(tuple(PROXIES), network)
    assert together == {name: scores((name,), network)[name] for name in PROXIES}
    assert together == scores(tuple(PROXIES), network)
    assert together != scores(tuple(PROXIES), network, seed=4)


def test_scoring_changes_no_global_state() -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    scores(tuple(PROXIES), Custom())
    assert torch.equal(torch.rand(1), expected)


@pytest.mark.parametrize("name", ["synflow", "jacobian_covariance"])
def test_a_network_that_passes_nothing_on_fails_in_words(name: str) -> None:
    outcome = scores((name,), Custom(dead=True))
    assert isinstance(outcome, Failure)
    assert outcome.reason == f"{name} is -inf: the network tells no images apart, or passes nothing on"


@pytest.mark.parametrize("encoding", ["tiny_cnn", "nas_bench_201", "darts", "vit_tiny", "regnet"])
def test_every_family_has_scores(encoding: str) -> None:
    space, task = moonas.search_space(encoding), Task((3, 32, 32), 3)
    images = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    evaluator = ZeroCostEvaluator(tuple(PROXIES), task, images, LABELS[:4], LOSS)
    network = space.decode(tuple(int(size) - 1 for size in space.sizes))
    (outcome,) = evaluator.evaluate([Candidate(network, 0)])
    assert not isinstance(outcome, Failure), outcome
    assert set(outcome) == set(PROXIES)


# A search.

PROBLEM = {
    "encoding": "tiny_cnn",
    "data": "digits",
    "objectives": [{"metric": "naswot"}, {"metric": "params"}],
    "record": ["synflow", "snip"],
    "search": {"population": 4},
    "budget": {"trials": 4},
    "workers": 1,
}


def test_proxies_are_objectives_recorded_metrics_and_limits(tmp_path: Path) -> None:
    constraints = [{"metric": "gradient_norm", "at_least": 0.0}]
    study = moonas.load({**PROBLEM, "constraints": constraints}, out=tmp_path / "run")
    front = study.run()
    assert len(front)
    columns = ["naswot", "synflow", "snip", "gradient_norm"]
    assert study.trials[columns].notna().all().all()
    assert front["naswot"].iloc[0] == study.trials["naswot"].max()


def test_a_limit_on_a_proxy_spares_the_training(tmp_path: Path) -> None:
    changes = {
        "objectives": [{"metric": "accuracy"}],
        "constraints": [{"metric": "naswot", "at_least": 1e6}],
        "record": [],
        "workers": 0,
    }
    study = moonas.load({**PROBLEM, **changes}, out=tmp_path / "run")
    study.run()
    assert (study.trials["state"] == "infeasible").all()
    assert study.trials["accuracy"].isna().all()


def test_a_proxy_without_data_is_refused() -> None:
    task = {"input_shape": [1, 8, 8], "classes": 3}
    problem = {key: value for key, value in PROBLEM.items() if key != "data"} | {"task": task}
    with pytest.raises(moonas.MoonasError, match=r"objectives\.0\.metric: naswot needs data to look at"):
        moonas.load(problem)


# Others' scores, of 725 cells of NAS-Bench-201 (NASLib's).

THEIRS = {
    "synflow": "zc_synflow",
    "naswot": "zc_nwot",
    "jacobian_covariance": "zc_jacov",
    "snip": "zc_snip",
    "gradient_norm": "zc_grad_norm",
}


def agreement(metrics: tuple[str, ...], count: int) -> dict[str, float]:
    """Spearman's correlation with the published scores, over `count` cells for CIFAR-10."""
    table, archive = DATA / "nb201_zerocost_725.csv.gz", DATA / "cifar10_small.npz"
    if not (table.exists() and archive.exists()):
        pytest.skip("the published scores and images are development data, and not here")
    published = pd.read_csv(table, dtype={"genes": str})
    published = published[published["dataset"] == "cifar10"].sample(count, random_state=0)
    data = np.load(archive)
    chosen = np.random.default_rng(0).permutation(len(data["x_train"]))[:64]
    images = torch.from_numpy(data["x_train"][chosen]).float().permute(0, 3, 1, 2)
    images = (images - images.mean((0, 2, 3), keepdim=True)) / images.std((0, 2, 3), keepdim=True)
    labels = torch.from_numpy(data["y_train"].reshape(-1)[chosen].astype(np.int64))
    evaluator = ZeroCostEvaluator(metrics, Task((3, 32, 32), 10), images, labels, LOSS)
    rows = []
    for genes in published["genes"]:
        network = NASBench201(tuple(OPERATIONS[int(gene)] for gene in genes))
        (outcome,) = evaluator.evaluate([Candidate(network, 1)])
        rows.append({} if isinstance(outcome, Failure) else dict(outcome))
    ours = pd.DataFrame(rows, index=published.index)
    assert ours.notna().all(axis=1).mean() > 0.95  # cells that pass nothing on have no score
    return {name: spearmanr(ours[name], published[THEIRS[name]], nan_policy="omit").statistic for name in metrics}


@pytest.mark.usefixtures("one_thread")
def test_scores_agree_with_those_of_others_on_some_cells() -> None:
    found = agreement(("synflow", "naswot"), 24)
    assert found["synflow"] >= 0.95
    assert found["naswot"] >= 0.85


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
def test_scores_agree_with_those_of_others_on_200_cells() -> None:
    found = agreement(tuple(PROXIES), 200)
    assert found["synflow"] >= 0.95, found
    assert min(found.values()) >= 0.85, found
