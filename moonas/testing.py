"""Checks for extensions of moonas: run them in your own tests over your own encodings."""

from __future__ import annotations

import numpy as np

from moonas.architecture.architecture import Task, architecture_from_dict
from moonas.encoding.encoding import Encoding, Genotype


def check_encoding(
    encoding: Encoding, *, samples: int = 200, builds: int = 10, task: Task | None = None, seed: int = 0
) -> None:
    """Check the laws of an encoding on random genotypes.

    Args:
        encoding: the encoding to check.
        samples: genotypes on which the laws are tried.
        builds: how many of them are also built, run forward and backward.
        task: what the built networks are for; images of (1, 28, 28) in 10 classes if not given.
        seed: of the random genotypes.

    Raises:
        AssertionError: naming the law and the genotype that breaks it.
    """
    names = [gene.name for gene in encoding.genes]
    assert len(set(names)) == len(names), f"gene names repeat: {names}"
    assert all(gene.choices for gene in encoding.genes), "a gene without choices"
    random = np.random.default_rng(seed)
    genotypes = [encoding.sample(random) for _ in range(samples)]
    for genotype in genotypes:
        _check_laws(encoding, genotype)
    for genotype in genotypes[:builds]:
        _check_build(encoding, genotype, task or Task((1, 28, 28), 10))


def _check_laws(encoding: Encoding, genotype: Genotype) -> None:
    architecture = encoding.decode(genotype)
    again = encoding.decode(genotype)
    assert (architecture, architecture.key) == (again, again.key), f"decode differs from call to call: {genotype}"
    canonical = encoding.encode(architecture)
    encoding.check(canonical)
    assert encoding.decode(canonical) == architecture, f"decode(encode(a)) != a for genotype {genotype}"
    assert encoding.decode(canonical).key == architecture.key, f"equal architectures, other keys: {genotype}"
    read = architecture_from_dict(architecture.to_dict())
    assert read == architecture, f"an architecture does not survive to_dict: {genotype}"
    for i, active in enumerate(encoding.active(genotype)):
        for choice in range(0 if active else len(encoding.genes[i].choices)):
            other = (*genotype[:i], choice, *genotype[i + 1 :])
            assert encoding.decode(other) == architecture, f"gene {encoding.genes[i].name} is not inactive: {genotype}"


def _check_build(encoding: Encoding, genotype: Genotype, task: Task) -> None:
    import torch

    module = encoding.decode(genotype).build(task)
    images = torch.randn(4, *task.input_shape, generator=torch.Generator().manual_seed(0))
    logits = module(images)
    assert logits.shape == (4, task.classes), f"{genotype} gives {tuple(logits.shape)}, not (4, {task.classes})"
    logits.square().mean().backward()
    gradients = [p.grad for p in module.parameters() if p.grad is not None]
    assert all(torch.isfinite(gradient).all() for gradient in gradients), f"gradients are not finite: {genotype}"
