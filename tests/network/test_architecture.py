"""The identity of architectures: keys, equality, and the way through JSON."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from typing import ClassVar

import pytest
from torch import nn

from moonas.errors import MoonasError, UnknownNameError
from moonas.network.architecture import Architecture, Task, architecture_from_dict
from moonas.network.staged_cnn import Head, Stage, StagedCNN, Stem

NETWORK = StagedCNN(
    stem=Stem(width=16),
    stages=(
        Stage(block="residual", depth=2, width=24, kernel=5, stride=2),
        Stage(block="inverted_residual", depth=1, width=32, kernel=3, stride=2, expansion=4),
    ),
    head=Head(64),
)

# The canonical text of NETWORK, written by hand: sorted keys, no blanks, no fields that have their defaults.
TEXT = (
    '["staged_cnn",{"head":["Head",{"width":64}],"stages":['
    '["Stage",{"block":"residual","depth":2,"kernel":5,"stride":2,"width":24}],'
    '["Stage",{"block":"inverted_residual","depth":1,"expansion":4,"kernel":3,"stride":2,"width":32}]],'
    '"stem":["Stem",{"width":16}]}]'
)
# `printf %s "$TEXT" | sha256sum`, first 12 digits. Archives hold such keys: a change of it orphans every run folder.
KEY = "staged_cnn-7830f6e19ae7"


def test_the_key_is_the_family_and_a_sha256_digest_of_the_content() -> None:
    assert hashlib.sha256(TEXT.encode()).hexdigest()[:12] == KEY.removeprefix("staged_cnn-")
    assert NETWORK.key == KEY


def test_the_key_is_the_same_in_another_process_with_another_hash_seed() -> None:
    code = (
        "from moonas.network.staged_cnn import Head, Norm, Squeeze, Stage, StagedCNN, Stem\n"
        f"print({NETWORK!r}.key)\n"
        "import sys; assert 'torch' not in sys.modules, 'a key costs no torch'"
    )
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True
        )
        assert done.stdout.strip() == KEY, done.stderr


def test_a_family_may_get_a_field_and_its_keys_stay() -> None:
    @dataclass(frozen=True)
    class Part:
        size: int
        kind: str = "square"

    @dataclass(frozen=True)
    class Before(Architecture):
        parts: tuple[Part, ...]
        family: ClassVar[str] = "lab.nets:Patchwork"

        def build(self, task: Task) -> nn.Module:
            raise NotImplementedError

    @dataclass(frozen=True)
    class GrownPart(Part):
        activation: str = "relu"

    @dataclass(frozen=True)
    class After(Before):
        dropout: float = 0.0
        extras: tuple[int, ...] = field(default_factory=tuple)

    GrownPart.__name__ = "Part"
    key = Before((Part(3), Part(4, "round"))).key
    assert After((GrownPart(3), GrownPart(4, "round"))).key == key
    assert After((GrownPart(3, activation="silu"), GrownPart(4, "round"))).key != key
    assert After((GrownPart(3), GrownPart(4, "round")), dropout=0.5).key != key


def test_parts_of_different_classes_are_different_though_their_fields_agree() -> None:
    @dataclass(frozen=True)
    class Convolution:
        kernel: int

    @dataclass(frozen=True)
    class Pooling:
        kernel: int

    @dataclass(frozen=True)
    class Cell(Architecture):
        operations: tuple[Convolution | Pooling, ...]
        family: ClassVar[str] = "lab.nets:Cell"

        def build(self, task: Task) -> nn.Module:
            raise NotImplementedError

    assert Cell((Convolution(3),)).key != Cell((Pooling(3),)).key


def test_a_key_can_name_a_file_and_starts_with_letters() -> None:
    @dataclass(frozen=True)
    class Mine(Architecture):
        width: int
        family: ClassVar[str] = "lab.nets:Mine"

        def build(self, task: Task) -> nn.Module:
            raise NotImplementedError

    assert re.fullmatch(r"lab_nets_Mine-[0-9a-f]{12}", Mine(3).key)


def test_an_architecture_survives_json() -> None:
    read = architecture_from_dict(json.loads(json.dumps(NETWORK.to_dict())))
    assert read == NETWORK
    assert read.key == NETWORK.key
    assert hash(read) == hash(NETWORK)


def test_the_order_of_the_json_keys_does_not_matter() -> None:
    shuffled = dict(reversed(NETWORK.to_dict().items()))
    assert architecture_from_dict(shuffled).key == NETWORK.key


def test_reading_leaves_the_description_as_it_was() -> None:
    description = NETWORK.to_dict()
    before = json.dumps(description)
    architecture_from_dict(description)
    assert json.dumps(description) == before


def test_architectures_of_the_same_values_are_one() -> None:
    twin = dataclasses.replace(NETWORK)
    assert twin is not NETWORK
    assert twin == NETWORK
    assert {twin, NETWORK} == {NETWORK}


@pytest.mark.parametrize(
    "other",
    [
        dataclasses.replace(NETWORK, head=Head()),
        dataclasses.replace(NETWORK, stem=Stem(width=16, kernel=5)),
        dataclasses.replace(NETWORK, stem=Stem(width=16, stride=2)),
        dataclasses.replace(NETWORK, stages=NETWORK.stages[:1]),
        dataclasses.replace(NETWORK, stages=NETWORK.stages[::-1]),
        dataclasses.replace(NETWORK, stages=(dataclasses.replace(NETWORK.stages[0], depth=1), NETWORK.stages[1])),
        dataclasses.replace(NETWORK, stages=(NETWORK.stages[0], dataclasses.replace(NETWORK.stages[1], expansion=2))),
    ],
)
def test_any_change_of_the_content_is_another_architecture_with_another_key(other: StagedCNN) -> None:
    assert other != NETWORK
    assert other.key != NETWORK.key


def test_an_architecture_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        NETWORK.head = Head()  # type: ignore[misc]


def test_a_description_without_a_family_is_refused() -> None:
    with pytest.raises(MoonasError, match="family"):
        architecture_from_dict({"stem": {"width": 8}})


def test_a_family_that_is_unknown_is_answered_by_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="staged_cnn"):
        architecture_from_dict({"family": "staged_cn", "stem": {"width": 8}, "stages": []})


def test_an_architecture_that_does_not_say_how_to_build_is_abstract() -> None:
    with pytest.raises(TypeError):
        Architecture()  # type: ignore[abstract]
