"""The laws of encodings that no search can do without."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from moonas.encoding.encoding import Encoding, Gene, Genotype
from moonas.errors import one_line
from moonas.network.architecture import Architecture
from moonas.spec.gene import repeated


def check_coding(encoding: Encoding, *, samples: int = 5, seed: int = 0) -> list[Genotype]:
    """Check what no search can do without: that genes are genes, and that decode and encode fit together.

    Returns:
        The random genotypes on which this was tried.

    Raises:
        AssertionError: naming the law and the genotype that breaks it.
    """
    require(all(isinstance(gene, Gene) for gene in encoding.genes), "genes must be Gene objects")
    names = [gene.name for gene in encoding.genes]
    require(len(set(names)) == len(names), f"gene names repeat: {names}")
    require(all(gene.choices for gene in encoding.genes), "a gene without choices")
    repeating = [gene.name for gene in encoding.genes if repeated(gene.choices)]
    require(not repeating, f"choices repeat: {', '.join(repeating)}")
    random = np.random.default_rng(seed)
    genotypes = [encoding.sample(random) for _ in range(samples)]
    by_key: dict[str, Architecture] = {}
    for genotype in genotypes:
        with naming(genotype):
            _check_coding(encoding, genotype)
            architecture = encoding.decode(genotype)
            known = by_key.setdefault(architecture.key, architecture)
            require(known == architecture, f"different architectures have one key: {known} and {architecture}")
    return genotypes


def _check_coding(encoding: Encoding, genotype: Genotype) -> None:
    architecture = call("decode", encoding.decode, genotype)
    require(isinstance(architecture, Architecture), f"decode must give an Architecture, gives {architecture!r}")
    again = encoding.decode(genotype)
    require((architecture, architecture.key) == (again, again.key), "decode differs from call to call")
    canonical = call("encode", encoding.encode, architecture)
    plain = isinstance(canonical, tuple) and all(type(index) is int for index in canonical)
    require(plain, f"encode must give a tuple of plain whole numbers, gives {canonical!r}")
    call("encode gives no genotype: check", encoding.check, canonical)
    decoded = encoding.decode(canonical)
    require(decoded == architecture, "decode(encode(a)) != a")
    require(decoded.key == architecture.key, "equal architectures have different keys")
    require(encoding.encode(decoded) == canonical, "the canonical genotype differs from call to call")
    active = call("active", encoding.active, genotype)
    require(len(active) == len(genotype), f"active has {len(active)} values for {len(genotype)} genes")


def call(what: str, function: Callable[..., Any], argument: Any) -> Any:
    """Call a part of an encoding; whatever it raises breaks a law."""
    try:
        return function(argument)
    except Exception as error:
        raise AssertionError(f"{what} raises {one_line(error)}") from error


def require(condition: bool, law: str) -> None:
    """Like `assert`, but also under `python -O`."""
    if not condition:
        raise AssertionError(law)


@contextmanager
def naming(genotype: Genotype) -> Iterator[None]:
    """Turn whatever goes wrong into an AssertionError that names the genotype."""
    try:
        yield
    except AssertionError as error:
        raise AssertionError(f"{error}, for genotype {genotype}") from error
    except Exception as error:
        raise AssertionError(f"{one_line(error)}, for genotype {genotype}") from error
