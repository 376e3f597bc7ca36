"""What is learnt of each input: its class, the labels that it bears, or values."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
from torch.nn import functional

from moonas.spec.data import SCORES, TargetKind


class Target(ABC):
    """How outputs (n, outputs) of a network are held against the truth, (n,) for classes, else (n, outputs).

    Attributes:
        metric: what the score is called.
    """

    metric: str

    @abstractmethod
    def loss(self, outputs: torch.Tensor, truth: torch.Tensor, smoothing: float = 0.0) -> torch.Tensor:
        """What training minimises, a scalar; `smoothing` is the share of the truth that is spread over all answers."""

    @abstractmethod
    def guess(self, truth: torch.Tensor, *, outputs: int, smoothing: float = 0.0) -> float:
        """The least loss of answering every input alike: what is to be had without learning."""

    @abstractmethod
    def score(self, outputs: torch.Tensor, truth: torch.Tensor) -> float:
        """How good outputs are, 1 for the best."""

    @abstractmethod
    def chance(self, truth: torch.Tensor) -> float:
        """The score of answering every input alike."""


class _Classes(Target):
    """One of several classes: cross-entropy, and the share that is classified right."""

    metric = SCORES["class"]

    def loss(self, outputs: torch.Tensor, truth: torch.Tensor, smoothing: float = 0.0) -> torch.Tensor:
        return functional.cross_entropy(outputs, truth, label_smoothing=smoothing)

    def guess(self, truth: torch.Tensor, *, outputs: int, smoothing: float = 0.0) -> float:
        shares = (1 - smoothing) * torch.bincount(truth, minlength=outputs) / len(truth) + smoothing / outputs
        return float(torch.special.entr(shares).sum())

    def score(self, outputs: torch.Tensor, truth: torch.Tensor) -> float:
        return int((outputs.argmax(dim=1) == truth).sum()) / len(truth)

    def chance(self, truth: torch.Tensor) -> float:
        return int(torch.bincount(truth).max()) / len(truth)


class _Labels(Target):
    """Any of several labels: binary cross-entropy, and the average precision, both the mean over the labels."""

    metric = SCORES["labels"]

    def loss(self, outputs: torch.Tensor, truth: torch.Tensor, smoothing: float = 0.0) -> torch.Tensor:
        return functional.binary_cross_entropy_with_logits(outputs, _smoothed(truth, smoothing))

    def guess(self, truth: torch.Tensor, *, outputs: int, smoothing: float = 0.0) -> float:
        shares = _smoothed(truth, smoothing).mean(dim=0)
        return float((torch.special.entr(shares) + torch.special.entr(1 - shares)).mean())

    def score(self, outputs: torch.Tensor, truth: torch.Tensor) -> float:
        from sklearn.metrics import average_precision_score  # a second's import, for this target alone

        return float(average_precision_score(truth.numpy(), outputs.numpy(), average="macro"))

    def chance(self, truth: torch.Tensor) -> float:
        return float(truth.double().mean())


class _Values(Target):
    """Values, standardised: the mean squared error, and the share of their variance that is explained."""

    metric = SCORES["values"]

    def loss(self, outputs: torch.Tensor, truth: torch.Tensor, smoothing: float = 0.0) -> torch.Tensor:
        return functional.mse_loss(outputs, truth)

    def guess(self, truth: torch.Tensor, *, outputs: int, smoothing: float = 0.0) -> float:
        return float(truth.var(dim=0, correction=0).mean())

    def score(self, outputs: torch.Tensor, truth: torch.Tensor) -> float:
        from sklearn.metrics import r2_score

        return float(r2_score(truth.numpy(), outputs.numpy()))

    def chance(self, truth: torch.Tensor) -> float:
        return 0.0


TARGETS: Mapping[TargetKind, Target] = {"class": _Classes(), "labels": _Labels(), "values": _Values()}


def _smoothed(truth: torch.Tensor, smoothing: float) -> torch.Tensor:
    return truth * (1 - smoothing) + smoothing / 2
