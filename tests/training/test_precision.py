"""Training in 16 bits: chosen by trying, hardly less exact, undone afterwards."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from moonas.errors import CandidateError
from moonas.network.staged_cnn import Stage, StagedCNN, Stem
from moonas.spec.data import DataSpec
from moonas.spec.training import FidelitySpec, TrainingSpec
from moonas.training import precision
from moonas.training.data_sets import Part
from moonas.training.precision import Precision, autocast, computing_fast, fastest_precision
from moonas.training.split import SearchData, load_search_data
from moonas.training.trainer import Trainer

pytestmark = pytest.mark.usefixtures("one_thread")
MOBILE = StagedCNN(
    Stem(16), (Stage("inverted_residual", 2, 24, 5, 2), Stage("separable", 1, 32, 3, 2), Stage("plain", 1, 32, 3, 1))
)
SMALLEST = StagedCNN(Stem(2), (Stage("plain", 1, 2, 3, 2),))
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def digits() -> SearchData:
    return load_search_data(DataSpec(name="digits"))


def trainer(data: SearchData, chosen: Precision, *, epochs: int = 4, rate: float = 0.1) -> Trainer:
    recipe = TrainingSpec(batch=32, learning_rate=rate)
    return Trainer(data, FidelitySpec(epochs=epochs), recipe, precision=chosen)


@pytest.mark.parametrize(
    ("whole", "half", "chosen"), [(1.0, 0.5, "bfloat16"), (1.0, 0.95, "float32"), (1, 9, "float32")]
)
def test_the_faster_precision_is_chosen(
    monkeypatch: pytest.MonkeyPatch, whole: float, half: float, chosen: str
) -> None:
    monkeypatch.setattr(precision, "_seconds", lambda images, which: whole if which == "float32" else half)
    assert fastest_precision("cpu", pixels=20_000) == chosen


def test_small_batches_are_not_tried_and_so_never_differ_between_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "_seconds", lambda images, which: 1.0 if which == "float32" else 0.1)
    assert fastest_precision("cpu", pixels=64 * 8 * 8) == "float32"
    assert fastest_precision("cpu", pixels=64 * 14 * 14) == "bfloat16"


def test_a_processor_without_bfloat16_trains_in_32_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(images: torch.Tensor, which: Precision) -> float:
        if which == "bfloat16":
            raise RuntimeError("not implemented for BFloat16")
        return 1.0

    monkeypatch.setattr(precision, "_seconds", refuse)
    assert fastest_precision("cpu", pixels=20_000) == "float32"


def test_trying_leaves_threads_and_generators_alone() -> None:
    torch.set_num_threads(2)
    before = torch.get_rng_state()
    assert fastest_precision("cpu", pixels=20_000) in ("float32", "bfloat16")
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == 2


def test_both_precisions_learn_the_digits_and_agree_on_most(digits: SearchData) -> None:
    answers = {}
    for chosen in ("float32", "bfloat16"):
        made = trainer(digits, chosen, epochs=8)
        module = made.fit(MOBILE, seed=0)
        assert {parameter.dtype for parameter in module.parameters()} == {torch.float32}
        assert made.score(module) > 0.9
        answers[chosen] = module(made.validation[0]).argmax(dim=1).numpy()
    assert np.mean(answers["float32"] == answers["bfloat16"]) > 0.93


def test_bfloat16_is_deterministic_too(digits: SearchData) -> None:
    one, two = (trainer(digits, "bfloat16", epochs=1).fit(MOBILE, seed=3).state_dict() for _ in range(2))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_grouped_convolutions_stay_in_32_bits_and_dense_ones_do_not() -> None:
    module = nn.Sequential(nn.Conv2d(4, 8, 3), nn.Conv2d(8, 8, 3, groups=2), nn.Conv2d(8, 8, 3, groups=8))
    seen: list[torch.dtype] = []
    for layer in module:
        layer.register_forward_hook(lambda _layer, _inputs, output: seen.append(output.dtype))
    with computing_fast(module, CPU, "bfloat16"), autocast(CPU, "bfloat16"):
        module(torch.randn(2, 4, 9, 9))
    assert seen == [torch.bfloat16, torch.float32, torch.bfloat16]
    assert not any("forward" in vars(layer) for layer in module)


# --- trainings that are ended early


def test_a_training_that_learns_nothing_ends_after_half_of_it() -> None:
    random = np.random.default_rng(0)
    part = Part(random.normal(size=(2000, 1, 8, 8)).astype(np.float32), random.integers(10, size=2000))
    noise = SearchData(part, part.take(np.arange(100)), tuple("0123456789"))
    losses: list[float] = []
    with pytest.raises(
        CandidateError, match=r"hopeless: after (150|200) of 310 steps the loss is 2\.3\d+, and guessing"
    ):
        trainer(noise, "float32", epochs=5, rate=1e-6).fit(MOBILE, seed=0, losses=losses)
    assert len(losses) <= 200


def test_a_training_of_less_than_200_steps_goes_on_to_its_end() -> None:
    random = np.random.default_rng(0)
    part = Part(random.normal(size=(64, 1, 8, 8)).astype(np.float32), random.integers(10, size=64))
    noise = SearchData(part, part, tuple("0123456789"))
    losses: list[float] = []
    trainer(noise, "float32", epochs=99, rate=1e-6).fit(SMALLEST, seed=0, losses=losses)
    assert len(losses) == 198


def test_guessing_is_by_the_shares_of_the_classes() -> None:
    """On classes of 90 % and 10 % a loss below log(2) is no achievement yet."""
    labels = (np.arange(2000) % 10 == 0).astype(np.int64)
    random = np.random.default_rng(0)
    part = Part(random.normal(size=(2000, 1, 8, 8)).astype(np.float32), labels)
    with pytest.raises(CandidateError, match=r"guessing gives 0\.40"):  # smoothed by 0.1: shares 0.86 and 0.14
        trainer(SearchData(part, part, ("a", "b")), "float32", epochs=5, rate=0.02).fit(MOBILE, seed=0)
