"""Checks for extensions of moonas: run them in your own tests over your own encodings."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from moonas.encoding.encoding import Encoding, Gene, Genotype
from moonas.errors import one_line
from moonas.network.architecture import Architecture, Task, architecture_from_dict


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
    random = np.random.default_rng([seed, 1])  # another stream than the genotypes'
    genotypes = check_coding(encoding, samples=samples, seed=seed)
    for genotype in genotypes:
        with _naming(genotype):
            _check_description(encoding.decode(genotype))
            _check_inactive(encoding, genotype, random)
    for genotype in genotypes[:builds]:
        with _naming(genotype):
            _check_build(encoding.decode(genotype), task or Task((1, 28, 28), 10), seed)


def check_coding(encoding: Encoding, *, samples: int = 5, seed: int = 0) -> list[Genotype]:
    """Check what no search can do without: that genes are genes, and that decode and encode fit together.

    Returns:
        The random genotypes on which this was tried.

    Raises:
        AssertionError: naming the law and the genotype that breaks it.
    """
    _require(all(isinstance(gene, Gene) for gene in encoding.genes), "genes must be Gene objects")
    names = [gene.name for gene in encoding.genes]
    _require(len(set(names)) == len(names), f"gene names repeat: {names}")
    _require(all(gene.choices for gene in encoding.genes), "a gene without choices")
    random = np.random.default_rng(seed)
    genotypes = [encoding.sample(random) for _ in range(samples)]
    for genotype in genotypes:
        with _naming(genotype):
            _check_coding(encoding, genotype)
    return genotypes


def _check_coding(encoding: Encoding, genotype: Genotype) -> None:
    architecture = _call("decode", encoding.decode, genotype)
    _require(isinstance(architecture, Architecture), f"decode must give an Architecture, gives {architecture!r}")
    again = encoding.decode(genotype)
    _require((architecture, architecture.key) == (again, again.key), "decode differs from call to call")
    canonical = _call("encode", encoding.encode, architecture)
    plain = isinstance(canonical, tuple) and all(type(index) is int for index in canonical)
    _require(plain, f"encode must give a tuple of plain whole numbers, gives {canonical!r}")
    _call("encode gives no genotype: check", encoding.check, canonical)
    decoded = encoding.decode(canonical)
    _require(decoded == architecture, "decode(encode(a)) != a")
    _require(decoded.key == architecture.key, "equal architectures have different keys")
    _require(encoding.encode(decoded) == canonical, "the canonical genotype differs from call to call")
    active = _call("active", encoding.active, genotype)
    _require(len(active) == len(genotype), f"active has {len(active)} values for {len(genotype)} genes")


def _check_inactive(encoding: Encoding, genotype: Genotype, random: np.random.Generator) -> None:
    architecture = encoding.decode(genotype)
    canonical = encoding.encode(architecture)
    for varied_genes, other in _variations(encoding, genotype, random):
        varied = _call("decode", encoding.decode, other)
        _require(varied == architecture, f"{varied_genes} is not inactive: {other} is another network")
        _require(encoding.encode(varied) == canonical, f"the canonical genotype of {other} is another")


def _check_description(architecture: Architecture) -> None:
    hash(architecture)
    text = json.dumps(architecture.to_dict())
    read = architecture_from_dict(json.loads(text))
    _require(read == architecture, f"to_dict through JSON does not give the architecture back: {text}")
    _require(read.key == architecture.key, f"to_dict through JSON gives another key: {text}")


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

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = architecture.build(task)
        logits = module(torch.randn(4, *task.input_shape))
    expected = (4, task.classes)
    _require(tuple(logits.shape) == expected, f"the network gives {tuple(logits.shape)}, not {expected}")
    _require(logits.requires_grad, "the network's output has no gradient")
    logits.square().mean().backward()
    gradients = {name: parameter.grad for name, parameter in module.named_parameters()}
    missing = [name for name, gradient in gradients.items() if gradient is None]
    _require(not missing, f"parameters without a gradient: {', '.join(missing)}")
    broken = [name for name, gradient in gradients.items() if gradient is not None and not gradient.isfinite().all()]
    _require(not broken, f"gradients are not finite: {', '.join(broken)}")


def _call(what: str, function: Callable[..., Any], argument: Any) -> Any:
    try:
        return function(argument)
    except Exception as error:
        raise AssertionError(f"{what} raises {one_line(error)}") from error


def _require(condition: bool, law: str) -> None:
    """Like `assert`, but also under `python -O`."""
    if not condition:
        raise AssertionError(law)


@contextmanager
def _naming(genotype: Genotype) -> Iterator[None]:
    """Turn whatever goes wrong into an AssertionError that names the genotype."""
    try:
        yield
    except AssertionError as error:
        raise AssertionError(f"{error}, for genotype {genotype}") from error
    except Exception as error:
        raise AssertionError(f"{one_line(error)}, for genotype {genotype}") from error
