"""Zero-cost proxies: scores of a network before any training, from a forward or a backward pass or two.

Each is a function of (module, images, truth, loss) -> float, larger for what is hoped to be better. Modules come with
fresh weights, and are used up. `loss` is a function of outputs and truth. They correlate with accuracy mostly through
size (Abdelfattah et al., 2021, arXiv:2101.08134).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from moonas.errors import CandidateError
from moonas.evaluation.evaluator import Candidate, Evaluator, Outcome, attempt, build, seeded
from moonas.network.architecture import Task

if TYPE_CHECKING:
    import torch
    from torch import nn

Loss = Callable[["torch.Tensor", "torch.Tensor"], "torch.Tensor"]
_STABILISER = 1e-5


def synflow(module: nn.Module, images: torch.Tensor, truth: torch.Tensor, loss: Loss) -> float:
    """The logarithm of the synaptic flow (Tanaka et al., 2020, arXiv:2006.05467): how much passes through all weights.

    Weights count by their magnitude, batch normalisation not at all; the images give nothing but their shape.
    """
    import torch
    from torch import nn

    module = module.double().eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.abs_()
        for layer in module.modules():
            if isinstance(layer, nn.modules.batchnorm._BatchNorm):
                layer.reset_parameters()
    module(torch.ones(1, *images.shape[1:], dtype=torch.float64)).sum().backward()
    flow = sum(_salience(weight) for weight in _weights(module))
    return math.log(flow) if flow > 0 else -math.inf


def naswot(module: nn.Module, images: torch.Tensor, truth: torch.Tensor, loss: Loss) -> float:
    """How well a batch is told apart by which units are active (Mellor et al., 2021, arXiv:2006.04647).

    The logarithm of the determinant of the kernel of agreements between the images' binary codes.
    """
    import numpy as np
    import torch

    kernel = torch.zeros(len(images), len(images), dtype=torch.float64)

    def remember(_module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        codes = (inputs[0].flatten(1) > 0).double()
        kernel.add_(codes @ codes.T + (1 - codes) @ (1 - codes).T)

    activations = [layer for layer in module.modules() if isinstance(layer, _activations())]
    if not activations:
        raise CandidateError("naswot looks at activations, and this network has none that it knows, such as ReLU")
    for layer in activations:
        layer.register_forward_pre_hook(remember)
    with torch.no_grad():
        module.train()(images)
    sign, logarithm = np.linalg.slogdet(kernel.numpy())
    return float(logarithm) if sign > 0 else -math.inf


def jacobian_covariance(module: nn.Module, images: torch.Tensor, truth: torch.Tensor, loss: Loss) -> float:
    """How little the gradients of different images correlate (Mellor et al., 2020, arXiv:2006.04647v1)."""
    import numpy as np

    inputs = images.clone().requires_grad_()
    module.train()(inputs).sum().backward()
    assert inputs.grad is not None, "the logits depend on the images"
    gradients = inputs.grad.flatten(1).double().numpy()
    if (np.ptp(gradients, axis=1) == 0).any():  # of an image that makes no difference
        return -math.inf
    correlations = np.corrcoef(gradients)
    eigenvalues = np.linalg.eigvalsh(correlations) + _STABILISER
    return -float(np.sum(np.log(eigenvalues) + 1 / eigenvalues))


def snip(module: nn.Module, images: torch.Tensor, truth: torch.Tensor, loss: Loss) -> float:
    """How much the loss depends on the presence of each weight, in all (Lee et al., 2019, arXiv:1810.02340)."""
    return sum(_salience(weight) for weight in _after_loss(module, images, truth, loss))


def gradient_norm(module: nn.Module, images: torch.Tensor, truth: torch.Tensor, loss: Loss) -> float:
    """The norms of the gradients of all layers' weights, added up (Abdelfattah et al., 2021, arXiv:2101.08134)."""
    return sum(float(weight.grad.norm()) for weight in _after_loss(module, images, truth, loss))


PROXIES: Mapping[str, Callable[[nn.Module, torch.Tensor, torch.Tensor, Loss], float]] = {
    "synflow": synflow,
    "naswot": naswot,
    "jacobian_covariance": jacobian_covariance,
    "snip": snip,
    "gradient_norm": gradient_norm,
}


def _salience(weight: Any) -> float:
    """The magnitudes of a weight times its gradient, added up."""
    return float((weight.detach() * weight.grad).abs().sum())


def _after_loss(module: nn.Module, images: torch.Tensor, truth: torch.Tensor, loss: Loss) -> Iterator[Any]:
    """The weights, with their gradients of the loss."""
    loss(module.train()(images), truth).backward()  # type: ignore[no-untyped-call]
    yield from _weights(module)


def _weights(module: nn.Module) -> Iterator[Any]:
    """The weights of convolutions and linear layers that got a gradient."""
    from torch import nn

    for layer in module.modules():
        if isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Linear) and layer.weight.grad is not None:
            yield layer.weight


def _activations() -> tuple[type[nn.Module], ...]:
    from torch import nn

    bent = nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.CELU, nn.SELU, nn.GELU, nn.SiLU, nn.Mish, nn.Hardswish
    return *bent, nn.Softplus, nn.Sigmoid, nn.Hardsigmoid, nn.Tanh, nn.Hardtanh


class ZeroCostEvaluator(Evaluator):
    """Scores candidates with fresh weights on one batch of training images."""

    gated = True

    def __init__(self, metrics: Sequence[str], task: Task, images: torch.Tensor, truth: torch.Tensor, loss: Loss):
        """Measure those of `PROXIES` named in `metrics` on images (batch, *task.input_shape) and their truth."""
        self.metrics = tuple(metrics)
        self._task = task
        self._images, self._truth, self._loss = images, truth, loss

    def evaluate(self, candidates: Sequence[Candidate]) -> list[Outcome]:
        """Build and score each candidate."""
        return [attempt(partial(self._score, candidate)) for candidate in candidates]

    def _score(self, candidate: Candidate) -> Mapping[str, float]:
        module = build(candidate, self._task)
        return {name: seeded(candidate.seed, partial(self._one, name, module)) for name in self.metrics}

    def _one(self, name: str, module: nn.Module) -> float:
        score = PROXIES[name](copy.deepcopy(module), self._images, self._truth, self._loss)
        if not math.isfinite(score):
            raise CandidateError(f"{name} is {score}: the network tells no images apart, or passes nothing on")
        return score
