"""Checks for extensions of moonas: run them in your own tests over your own encodings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from moonas.encoding.encoding import Encoding, Genotype
from moonas.encoding.laws import call, check_coding, naming, require
from moonas.network.architecture import Architecture, Task, architecture_from_dict
from moonas.spec.metric import COLUMNS, METRICS

if TYPE_CHECKING:
    from torch import nn


def check_encoding(
    encoding: Encoding, *, samples: int = 200, builds: int = 10, task: Task | None = None, seed: int = 0
) -> None:
    """Check the laws of an encoding on random genotypes.

    Args:
        encoding: the encoding to check.
        samples: genotypes on which the laws are tried.
        builds: how many of them are also built, run forward and backward.
        task: what the built networks are for; images of (1, 28, 28) in 10 classes if not given.
        seed: of everything random; the caller's random state stays as it is.

    Raises:
        AssertionError: naming the law and the genotype that breaks it.
    """
    require(isinstance(encoding, Encoding), f"must be a moonas.Encoding, is {encoding!r}")
    taken = {gene.name for gene in encoding.genes} & {*COLUMNS, *METRICS}
    require(not taken, f"genes called as other columns of the CSVs: {', '.join(sorted(taken))}")
    random = np.random.default_rng([seed, 1])  # another stream than the genotypes'
    genotypes = check_coding(encoding, samples=samples, seed=seed)
    for genotype in genotypes:
        with naming(genotype):
            _check_description(encoding.decode(genotype))
            _check_inactive(encoding, genotype, random)
    for genotype in genotypes[:builds]:
        with naming(genotype):
            _check_build(encoding.decode(genotype), task or Task((1, 28, 28), 10), seed)


def _check_description(architecture: Architecture) -> None:
    hash(architecture)
    text = json.dumps(architecture.to_dict())
    read = architecture_from_dict(json.loads(text))
    require(read == architecture, f"to_dict through JSON does not give the architecture back: {text}")
    require(read.key == architecture.key, f"to_dict through JSON gives another key: {text}")


def _check_inactive(encoding: Encoding, genotype: Genotype, random: np.random.Generator) -> None:
    architecture = encoding.decode(genotype)
    canonical = encoding.encode(architecture)
    for varied_genes, other in _variations(encoding, genotype, random):
        varied = call("decode", encoding.decode, other)
        require(varied == architecture, f"{varied_genes} is not inactive: {other} is another network")
        require(encoding.encode(varied) == canonical, f"the canonical genotype of {other} is another")


def _variations(encoding: Encoding, genotype: Genotype, random: np.random.Generator) -> Iterator[tuple[str, Genotype]]:
    """Each choice of each inactive gene, then all inactive genes drawn anew at once; and what was varied."""
    active = encoding.active(genotype)
    for i in (i for i, matters in enumerate(active) if not matters):
        for choice in range(len(encoding.genes[i].choices)):
            yield f"gene {encoding.genes[i].name}", (*genotype[:i], choice, *genotype[i + 1 :])
    drawn = encoding.sample(random)
    mixed = zip(genotype, drawn, active, strict=True)
    yield "some gene", tuple(own if matters else other for own, other, matters in mixed)


def _check_build(architecture: Architecture, task: Task, seed: int) -> None:
    import torch

    from moonas.network.auxiliary import weighted_logits

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        twin = architecture.build(task)
        torch.manual_seed(seed)
        module = architecture.build(task)
        require(_same_weights(module, twin), "build differs from call to call, with one seed for the weights")
        inputs = torch.randn(4, *task.input_shape)
        outputs = [logits for _, logits in weighted_logits(module, inputs)]
    expected = (4, task.classes)
    for logits in outputs:
        require(tuple(logits.shape) == expected, f"the network gives {tuple(logits.shape)}, not {expected}")
        require(logits.requires_grad, "the network's output has no gradient")
    torch.stack(outputs).square().mean().backward()  # type: ignore[no-untyped-call]
    gradients = {name: parameter.grad for name, parameter in module.named_parameters()}
    missing = [name for name, gradient in gradients.items() if gradient is None]
    require(not missing, f"parameters without a gradient: {', '.join(missing)}")
    with torch.no_grad():
        once, again = (module.eval()(inputs) for _ in range(2))
    require(torch.equal(once, again), "in evaluation mode, the network answers differently from call to call")
    broken = [name for name, gradient in gradients.items() if gradient is not None and not gradient.isfinite().all()]
    require(not broken, f"gradients are not finite: {', '.join(broken)}")


def _same_weights(one: nn.Module, other: nn.Module) -> bool:
    mine, theirs = one.state_dict(), other.state_dict()
    return mine.keys() == theirs.keys() and all(
        mine[name].shape == theirs[name].shape and bool((mine[name] == theirs[name]).all()) for name in mine
    )
