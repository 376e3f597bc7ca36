"""What training tells of candidates, and the metric functions that want a trained module."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from statistics import fmean
from typing import Any, Protocol

from moonas.evaluation.evaluator import Candidate, Evaluator, Outcome, attempt, checked, seeded
from moonas.evaluation.function import FunctionCaller
from moonas.network.architecture import Task


class Trainer(Protocol):
    """Trains modules on data of its own; see `moonas.training.trainer.Trainer`."""

    seeds: int

    @property
    def metric(self) -> str:
        """What `score` gives."""

    @property
    def task(self) -> Task:
        """What the modules take and give."""

    def fit(self, architecture: Any, *, seed: int, losses: list[float]) -> Any:
        """Build and train a module, and add the loss of each step to `losses`."""

    def score(self, module: Any) -> float:
        """How good a module is on validation data."""

    @property
    def validation(self) -> tuple[Any, Any]:
        """Validation inputs and the truth about them."""


class TrainingEvaluator(Evaluator):
    """Trains each candidate, once for each seed, and averages.

    The mean training loss, a signal beside the score: Ru et al., 2020, arXiv:2006.04492.
    """

    gated = True

    def __init__(self, trainer: Trainer, call: FunctionCaller):
        """Measure the score, the training loss and the functions of `call`, on modules trained by `trainer`."""
        self.metrics = (trainer.metric, "training_loss", *call.functions)
        self._trainer, self._call = trainer, call

    def evaluate(self, candidates: Sequence[Candidate]) -> list[Outcome]:
        """Train and validate each candidate."""
        return [attempt(partial(self._measure, candidate)) for candidate in candidates]

    def _measure(self, candidate: Candidate) -> Mapping[str, float]:
        results = [self._train_once(candidate, candidate.seed + i) for i in range(self._trainer.seeds)]
        return {name: fmean(checked(name, result[name]) for result in results) for name in self.metrics}

    def _train_once(self, candidate: Candidate, seed: int) -> dict[str, float]:
        losses: list[float] = []
        module = seeded(seed, lambda: self._trainer.fit(candidate.architecture, seed=seed, losses=losses))
        score = self._trainer.score(module)  # before functions that may prune or quantise the module
        measured = {self._trainer.metric: score, "training_loss": fmean(losses)}
        if not self._call.functions:
            return measured
        images, labels = self._trainer.validation
        copies, module = (images.clone(), labels.clone()), module.cpu()
        return {**measured, **seeded(seed, lambda: self._call(module, replace(candidate, seed=seed), copies))}
