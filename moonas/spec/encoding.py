"""What an encoding file may say, whatever its family. A list is a gene, a scalar is fixed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from moonas import content
from moonas.errors import MoonasError, SpecError, UnknownNameError, choose_from
from moonas.registry import ENCODINGS
from moonas.spec.compound_scaling import CompoundScalingSpec
from moonas.spec.darts import DARTSSpec
from moonas.spec.document import Document, Location, read_document
from moonas.spec.family import EncodingSpec, OwnFamilySpec
from moonas.spec.nas_bench_201 import NASBench201Spec
from moonas.spec.overrides import apply_overrides
from moonas.spec.regnet import RegNetSpec
from moonas.spec.staged_cnn import StagedCNNSpec
from moonas.spec.transformer import TransformerSpec
from moonas.spec.validation import SpecModel, validate
from moonas.spec.wording import wrong_type

FAMILY_SPECS: Mapping[str, type[EncodingSpec]] = {
    "staged_cnn": StagedCNNSpec,
    "compound_scaling": CompoundScalingSpec,
    "regnet": RegNetSpec,
    "nas_bench_201": NASBench201Spec,
    "darts": DARTSSpec,
    "transformer": TransformerSpec,
}


def validate_encoding(tree: Mapping[str, Any], document: Document, at: Location = ()) -> EncodingSpec:
    """Check an encoding, which stands at location `at` of `document`, by the rules of its family.

    Raises:
        SpecError: with a line for each mistake.
    """
    family = tree.get("family")
    if "family" not in tree:
        raise SpecError(document.mistake((*at, "family"), f"is missing; {choose_from('', FAMILY_SPECS)}"))
    if not isinstance(family, str):
        raise SpecError(document.mistake((*at, "family"), wrong_type(family, f"one of {', '.join(FAMILY_SPECS)}")))
    try:
        ENCODINGS.check(family)
    except UnknownNameError as error:
        raise SpecError(document.mistake((*at, "family"), str(error))) from error
    if family == "compound_scaling" and isinstance(tree.get("base"), str):
        tree = {**tree, "base": _named_base(tree["base"], document, (*at, "base"))}
    elif family == "compound_scaling" and isinstance(tree.get("base"), dict):
        tree = {**tree, "base": {"name": "base", **tree["base"]}}
    return validate(FAMILY_SPECS.get(family, OwnFamilySpec), tree, document, at)


def _named_base(name: str, document: Document, at: Location) -> EncodingSpec:
    beside = document.folder(at)
    try:
        family = read_document(content.find("architectures", name, beside=beside)).tree.get("family")
        if family != "staged_cnn":
            raise SpecError(document.mistake(at, f"must be of the family staged_cnn; {name} is of {family}"))
        return load_encoding(name, kind="architectures", beside=beside)
    except UnknownNameError as error:
        raise SpecError(document.mistake(at, str(error))) from error


def load_encoding(
    name: str, *, kind: str = "encodings", beside: Path = Path(), overrides: Mapping[str, Any] | None = None
) -> EncodingSpec:
    """Read an encoding by path or shipped name; a known network's is one without choices.

    Args:
        name: what the user wrote.
        kind: the folder of shipped files, `encodings` or `architectures`.
        beside: the folder where a relative path begins.
        overrides: dotted path -> value, laid over what the file says, as `{"resolution": 32}`.

    Raises:
        SpecError: if the file is wrong, or an override.
        UnknownNameError: if there is no such file.
    """
    known = kind == "encodings" and name not in content.available(kind) and name in content.available("architectures")
    path = content.find("architectures" if known else kind, name, beside=beside)
    document = read_document(path)
    document.tree.setdefault("name", path.stem)
    apply_overrides(document, overrides or {}, {path: f"--set {path}" for path in overrides or {}})
    return validate_encoding(document.tree, document)


def file_of(encoding: SpecModel) -> str | None:
    """The name of the file that holds an encoding; None where a problem holds it itself, or it is a function's."""
    try:
        path = content.find("encodings", encoding.name) if isinstance(encoding, EncodingSpec) else None
        return path.stem if path is not None and load_encoding(str(path)) == encoding else None
    except MoonasError:
        return None
