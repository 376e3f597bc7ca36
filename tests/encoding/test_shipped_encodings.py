"""Laws and facts over every shipped encoding, whatever its family."""

from __future__ import annotations

import math
import re
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moonas import content
from moonas.encoding.catalogue import encoding_of
from moonas.encoding.encoding import Encoding, Genotype
from moonas.network.architecture import Task, architecture_from_dict
from moonas.spec.encoding import load_encoding
from moonas.testing import check_encoding

SHIPPED_FOLDER = content.shipped_folder("encodings")
SHIPPED = sorted(path.stem for path in SHIPPED_FOLDER.glob("*.yaml"))
STAGED = [name for name in SHIPPED if load_encoding(name).family == "staged_cnn"]
every_shipped = pytest.mark.parametrize("name", SHIPPED)


@cache
def shipped(name: str) -> Encoding:
    return encoding_of(load_encoding(str(SHIPPED_FOLDER / f"{name}.yaml")))


def genotypes(encoding: Encoding) -> st.SearchStrategy[Genotype]:
    return st.tuples(*(st.integers(0, len(gene.choices) - 1) for gene in encoding.genes))


def test_encodings_are_shipped() -> None:
    assert SHIPPED


@every_shipped
@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_decode_undoes_encode(name: str, data: st.DataObject) -> None:
    encoding = shipped(name)
    genotype = data.draw(genotypes(encoding))
    architecture = encoding.decode(genotype)
    assert encoding.decode(encoding.encode(architecture)) == architecture


@every_shipped
@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_the_canonical_genotype_is_its_own(name: str, data: st.DataObject) -> None:
    encoding = shipped(name)
    canonical = encoding.canonical(data.draw(genotypes(encoding)))
    encoding.check(canonical)
    assert encoding.canonical(canonical) == canonical


@every_shipped
@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_inactive_genes_change_nothing(name: str, data: st.DataObject) -> None:
    encoding = shipped(name)
    genotype, other = data.draw(genotypes(encoding)), data.draw(genotypes(encoding))
    active = encoding.active(genotype)
    varied = tuple(a if keep else b for a, b, keep in zip(genotype, other, active, strict=True))
    assert encoding.decode(varied) == encoding.decode(genotype)
    assert encoding.active(varied) == active
    assert encoding.canonical(varied) == encoding.canonical(genotype)


@pytest.mark.parametrize("name", STAGED)
@settings(deadline=None, max_examples=30)
@given(data=st.data())
def test_active_genes_change_the_architecture_by_every_choice(name: str, data: st.DataObject) -> None:
    """The shipped spaces have one optional stage at most, so no change of an active gene is undone by another slot.

    But stages may go on with others, and ratios round to the same channels: these are left out.
    """
    encoding = shipped(name)
    genotype = data.draw(genotypes(encoding))
    architecture = encoding.decode(genotype)
    for i, active in enumerate(encoding.active(genotype)):
        if encoding.genes[i].name.endswith("bottleneck_ratio"):
            continue
        for choice in range(len(encoding.genes[i].choices)):
            if active and choice != genotype[i]:
                other = (*genotype[:i], choice, *genotype[i + 1 :])
                assert encoding.decode(other) != architecture, encoding.genes[i].name


@every_shipped
@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_equal_keys_mean_equal_architectures_and_equal_canonical_genotypes(name: str, data: st.DataObject) -> None:
    encoding = shipped(name)
    one, two = data.draw(genotypes(encoding)), data.draw(genotypes(encoding))
    a, b = encoding.decode(one), encoding.decode(two)
    assert (a == b) == (a.key == b.key) == (encoding.canonical(one) == encoding.canonical(two))


@every_shipped
@settings(deadline=None, max_examples=30)
@given(data=st.data())
def test_decoded_architectures_survive_their_description(name: str, data: st.DataObject) -> None:
    encoding = shipped(name)
    architecture = encoding.decode(data.draw(genotypes(encoding)))
    assert architecture_from_dict(architecture.to_dict()) == architecture


@every_shipped
def test_gene_names_are_columns_of_their_own(name: str) -> None:
    names = [gene.name for gene in shipped(name).genes]
    assert len(set(names)) == len(names)
    assert not {"key", "number", "state", "seconds", "error"} & set(names)


@every_shipped
def test_the_comment_of_a_shipped_file_counts_its_genotypes_right(name: str) -> None:
    """As in `..., 192 genotypes.`, `..., 9.4 million genotypes.` or `..., about 10^19 genotypes.`"""
    summary = content.summary(SHIPPED_FOLDER / f"{name}.yaml")
    said = re.search(r"([\d.,^]+) (million )?genotypes", summary)
    assert said is not None
    count = math.prod(int(size) for size in shipped(name).sizes)
    about = f"10^{math.log10(count):.0f}"
    assert said[1] in ({f"{count / 1e6:.1f}"} if said[2] else {f"{count:,}", about})


@every_shipped
@pytest.mark.parametrize(("shape", "classes"), [((1, 28, 28), 10), ((3, 64, 64), 100)])
def test_the_public_check_passes_for_small_and_large_tasks(
    name: str, shape: tuple[int, int, int], classes: int
) -> None:
    """Laws, descriptions through JSON, and networks built, run and differentiated."""
    check_encoding(shipped(name), samples=40, builds=3, task=Task(shape, classes))
