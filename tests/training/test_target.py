"""Several labels an input, and values in place of classes: loaded, split, trained, judged, searched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, r2_score

import moonas
from moonas.errors import DataError, MoonasError
from moonas.evaluation.evaluator import Candidate, Failure
from moonas.evaluation.zero_cost import PROXIES, ZeroCostEvaluator
from moonas.network.staged_cnn import Stage, StagedCNN, Stem
from moonas.spec.data import SCORES, DataSpec, TargetKind
from moonas.spec.training import FidelitySpec, TrainingSpec
from moonas.training.data_sets import assemble
from moonas.training.split import SearchData, load_search_data
from moonas.training.target import TARGETS
from moonas.training.trainer import Trainer

NET = StagedCNN(Stem(8), (Stage("plain", 1, 16, 3, 2),))
COUNT = 400
KINDS: tuple[TargetKind, ...] = ("labels", "values")

pytestmark = pytest.mark.usefixtures("one_thread")


def arrays(target: TargetKind) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Noise with a bright half or none; told are which halves are bright, or how bright, in a far unit."""
    random = np.random.default_rng(0)
    bright = random.random((COUNT, 2)) < 0.5 if target == "labels" else random.random((COUNT, 2))
    images = random.normal(0, 0.3, (COUNT, 8, 8))
    images[:, :, :4] += bright[:, 0, None, None]
    images[:, :, 4:] += bright[:, 1, None, None]
    return images, bright.astype(int) if target == "labels" else 1e4 + 500 * bright


def search_data(tmp_path: Path, target: TargetKind) -> SearchData:
    images, truth = arrays(target)
    np.savez(tmp_path / "halves.npz", x_train=images, y_train=truth)
    return load_search_data(DataSpec(name="npz", path=str(tmp_path / "halves.npz"), target=target))


def test_a_target_is_judged_by_a_metric_of_its_own() -> None:
    assert {kind: target.metric for kind, target in TARGETS.items()} == SCORES


@pytest.mark.parametrize("target", KINDS)
def test_what_can_be_learnt_is_learnt(tmp_path: Path, target: TargetKind) -> None:
    data = search_data(tmp_path, target)
    assert data.task.classes == 2
    trainer = Trainer(data, FidelitySpec(epochs=12), TrainingSpec(batch=16, shift=0))
    losses: list[float] = []
    module = trainer.fit(NET, seed=0, losses=losses)
    assert losses[-1] < losses[0]
    assert trainer.score(module) > 0.9

    images, truth = trainer.validation
    with torch.no_grad():
        outputs = module.eval()(images).numpy()
    theirs = average_precision_score if target == "labels" else r2_score
    assert trainer.score(module) == pytest.approx(theirs(truth.numpy(), outputs), abs=1e-5)


def test_values_are_standardised_by_the_training_part(tmp_path: Path) -> None:
    data = search_data(tmp_path, "values")
    trainer = Trainer(data, FidelitySpec(), TrainingSpec())
    truth = trainer.data.training[1].double()
    torch.testing.assert_close(truth.mean(dim=0), torch.zeros(2, dtype=torch.float64), atol=1e-5, rtol=0)
    torch.testing.assert_close(truth.std(dim=0, correction=0), torch.ones(2, dtype=torch.float64), atol=1e-5, rtol=0)
    known = data.train.labels.astype(float)
    expected = (data.val.labels - known.mean(axis=0)) / known.std(axis=0)
    np.testing.assert_allclose(trainer.validation[1].numpy(), expected, atol=1e-4)


@pytest.mark.parametrize("target", list(SCORES))
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_no_constant_answer_beats_guessing(target: TargetKind, smoothing: float) -> None:
    judge, random = TARGETS[target], torch.Generator().manual_seed(0)
    truth = {
        "class": torch.randint(3, (60,), generator=random),
        "labels": (torch.rand(60, 3, generator=random) < 0.2).float(),
        "values": torch.randn(60, 3, generator=random),
    }[target]
    answer = torch.zeros(3, requires_grad=True)
    descent = torch.optim.LBFGS([answer], max_iter=200, tolerance_grad=1e-9, tolerance_change=1e-12)

    def loss() -> torch.Tensor:
        descent.zero_grad()
        found = judge.loss(answer.expand(60, 3), truth, smoothing)
        found.backward()  # type: ignore[no-untyped-call]
        return found

    descent.step(loss)  # type: ignore[no-untyped-call]
    best = judge.loss(answer.detach().expand(60, 3), truth, smoothing).item()
    assert judge.guess(truth, outputs=3, smoothing=smoothing) == pytest.approx(best, rel=1e-4)


@pytest.mark.parametrize("target", list(SCORES))
def test_answering_all_alike_scores_chance_and_the_truth_scores_one(target: TargetKind) -> None:
    judge = TARGETS[target]
    truth = {
        "class": torch.tensor([0, 1, 1, 2]),
        "labels": torch.tensor([[1.0, 0], [0, 0], [1, 1], [0, 1]]),
        "values": torch.tensor([[1.0], [2], [6], [3]]),
    }[target]
    alike = {"class": torch.tensor([[0.0, 1, 0]]), "labels": torch.zeros(1, 2), "values": torch.tensor([[3.0]])}[target]
    assert judge.score(alike.expand(4, -1), truth) == pytest.approx(judge.chance(truth))
    best = torch.nn.functional.one_hot(truth).float() if target == "class" else truth
    assert judge.score(best, truth) == 1


@pytest.mark.parametrize("target", KINDS)
def test_proxies_look_at_the_loss_of_the_target(tmp_path: Path, target: TargetKind) -> None:
    trainer = Trainer(search_data(tmp_path, target), FidelitySpec(), TrainingSpec())
    evaluator = ZeroCostEvaluator(tuple(PROXIES), trainer.task, *trainer.data.first(32), trainer.loss)
    (outcome,) = evaluator.evaluate([Candidate(NET, seed=0)])
    assert not isinstance(outcome, Failure), outcome.reason
    assert outcome["snip"] > 0
    assert outcome["gradient_norm"] > 0


def test_labels_and_values_of_an_input_may_stand_alone() -> None:
    images, truth = arrays("values")
    data = assemble((images, truth[:, 0], images[:5], truth[:5, 1]), "data D", target="values")
    assert data.classes == ("0",)
    assert data.main.labels.shape == (COUNT, 1)
    assert data.test is not None
    assert data.test.labels.shape == (5, 1)


@pytest.mark.parametrize(
    ("target", "truth", "said"),
    [
        ("labels", np.full((20, 2), 2), "labels must be 0 or 1"),
        ("labels", np.full((20, 2), "cat"), "must be numbers"),
        ("values", np.full((20, 2), np.nan), "20 of 20"),
        ("values", np.zeros((20, 2, 2)), r"\(20, 2, 2\)"),
        ("values", np.zeros((20, 0)), r"\(20, 0\)"),
        ("values", [[1.0], [1.0, 2.0]] * 10, "as many for each input"),
        ("values", np.zeros((19, 1)), "20 images but 19"),
    ],
)
def test_what_is_no_target_is_refused(target: TargetKind, truth: Any, said: str) -> None:
    with pytest.raises(DataError, match=said):
        assemble((np.zeros((20, 4, 4)), truth), "data D", target=target)


def test_a_test_part_with_other_values_is_refused() -> None:
    images = np.zeros((20, 4, 4))
    with pytest.raises(DataError, match="test part: has 2 values an input, training has 1"):
        assemble((images, np.arange(20), images, np.zeros((20, 2))), "data D", target="values")


@pytest.mark.parametrize("target", KINDS)
def test_what_never_differs_in_a_part_cannot_be_learnt(tmp_path: Path, target: TargetKind) -> None:
    truth = np.stack([np.arange(20) % 2, np.ones(20)], axis=1)
    np.savez(tmp_path / "same.npz", x_train=np.zeros((20, 4, 4)), y_train=truth)
    with pytest.raises(DataError, match=f"{target[:-1]} 1 is the same for all inputs of its train part"):
        load_search_data(DataSpec(name="npz", path=str(tmp_path / "same.npz"), target=target))


def problem(tmp_path: Path, target: TargetKind, **changes: Any) -> dict[str, Any]:
    images, truth = arrays(target)
    np.savez(tmp_path / "halves.npz", x_train=images, y_train=truth)
    return {
        "name": "halves",
        "encoding": "tiny_cnn",
        "data": {"name": "npz", "path": str(tmp_path / "halves.npz"), "target": target},
        "objectives": [{"metric": SCORES[target]}, {"metric": "params"}],
        "fidelity": {"epochs": 4},
        "training": {"batch": 16, "shift": 0},
        "search": {"population": 4, "halving": {"rungs": [{"epochs": 1}], "keep": 0.5}},
        "budget": {"trials": 4},
        "workers": 0,
        **changes,
    }


@pytest.mark.parametrize("target", KINDS)
def test_a_search_goes_by_the_score_of_its_target(tmp_path: Path, target: TargetKind) -> None:
    study = moonas.load(problem(tmp_path, target), out=tmp_path / "run")
    front = study.run()
    trials, rungs = study.trials, study.rungs
    assert (trials["state"] == "complete").sum() == 2
    assert (trials["state"] == "stopped").sum() == 2
    assert len(rungs) == 6
    assert rungs[SCORES[target]].notna().all()
    assert front[SCORES[target]].max() > 0.2


def test_an_audit_compares_the_score_of_its_target(tmp_path: Path) -> None:
    audited = problem(tmp_path, "values", fidelity={"epochs": 1}, phases={"full": {"epochs": 2}}, search={})
    found = moonas.audit.run(audited, networks=4, seeds=2, out=tmp_path / "audit")
    assert {"proxy_r2", "full_r2_0", "full_r2_1"} < {*found.networks}
    assert found.agreement["signal"].tolist()[0] == "r2"
    assert "r2 of the proxy" in found.verdict[0] or "spread by" in found.verdict[0]


@pytest.mark.parametrize(
    ("target", "metric"), [("values", "accuracy"), ("labels", "r2"), ("class", "average_precision")]
)
def test_the_score_of_another_target_is_refused(tmp_path: Path, target: TargetKind, metric: str) -> None:
    known = problem(tmp_path, "values")
    asked = {**known, "data": {**known["data"], "target": target}, "objectives": [{"metric": metric}]}
    with pytest.raises(MoonasError, match=f"{metric} is for data.target .*; for {target} write {SCORES[target]}"):
        moonas.load(asked)


def test_digits_are_classes() -> None:
    with pytest.raises(MoonasError, match="digits holds classes; values come as npz"):
        moonas.load("digits", overrides={"data.target": "values"})
