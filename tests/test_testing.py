"""check_encoding catches every kind of encoding that breaks a law."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from moonas.encoding.encoding import Encoding, Gene, Genotype
from moonas.errors import EncodingError
from moonas.network.architecture import Architecture, Task
from moonas.testing import check_encoding

# A right encoding, small enough to be seen through: one or two linear layers. The broken ones differ in one thing each.


@dataclass(frozen=True)
class Layers(Architecture):
    """A linear layer, behind another of `width` if there is one."""

    width: int = 0

    family = f"{__name__}:Layers"

    def build(self, task: Task) -> nn.Module:
        inputs = int(np.prod(task.input_shape))
        hidden = [nn.Linear(inputs, self.width), nn.ReLU()] if self.width else []
        return nn.Sequential(nn.Flatten(), *hidden, nn.Linear(self.width or inputs, task.classes))


class LayersEncoding(Encoding):
    """Two genes: whether there is a hidden layer, and how wide it is."""

    genes = (Gene("hidden", (False, True)), Gene("width", (4, 8, 16), ordered=True))

    def decode(self, genotype: Genotype) -> Architecture:
        self.check(genotype)
        hidden, width = self.values(genotype).values()
        return Layers(width if hidden else 0)

    def encode(self, architecture: Architecture) -> Genotype:
        if not isinstance(architecture, Layers) or architecture.width not in (0, 4, 8, 16):
            raise EncodingError("outside")
        return (1, (4, 8, 16).index(architecture.width)) if architecture.width else (0, 0)

    def active(self, genotype: Genotype) -> tuple[bool, ...]:
        return (True, genotype[0] == 1)


def test_an_encoding_of_ones_own_that_keeps_the_laws_passes() -> None:
    check_encoding(LayersEncoding())
    check_encoding(LayersEncoding(), task=Task((3, 5, 7), 2), samples=3, builds=3, seed=5)


def refuse(encoding: Encoding, match: str, **options: Any) -> None:
    with pytest.raises(AssertionError, match=match):
        check_encoding(encoding, **options)


def test_an_encode_that_gives_another_network_is_caught() -> None:
    class Broken(LayersEncoding):
        def encode(self, architecture: Architecture) -> Genotype:
            return (0, 0)

    refuse(Broken(), r"decode\(encode\(a\)\) != a.*\(1, \d\)")


@pytest.mark.parametrize("canonical", [(0,), (0, 0, 0), (2, 0), (0, -1)])
def test_an_encode_that_gives_no_valid_genotype_is_caught(canonical: Genotype) -> None:
    class Broken(LayersEncoding):
        def encode(self, architecture: Architecture) -> Genotype:
            return canonical

    refuse(Broken(), "encode")


def test_an_encode_that_knows_no_network_is_caught() -> None:
    class Broken(LayersEncoding):
        def encode(self, architecture: Architecture) -> Genotype:
            raise EncodingError("outside")

    refuse(Broken(), "encode")


def test_an_encode_that_fills_inactive_genes_at_random_is_caught() -> None:
    """There must be one canonical genotype: strategies know by it what they have proposed."""

    class Broken(LayersEncoding):
        def __init__(self) -> None:
            self.random = np.random.default_rng(0)

        def encode(self, architecture: Architecture) -> Genotype:
            hidden, width = super().encode(architecture)
            return (1, width) if hidden else (0, int(self.random.integers(3)))

    refuse(Broken(), "canonical|encode")


def test_an_encode_that_remembers_the_last_decoded_genotype_is_caught() -> None:
    class Broken(LayersEncoding):
        last: Genotype = (0, 0)

        def decode(self, genotype: Genotype) -> Architecture:
            self.last = genotype
            return super().decode(genotype)

        def encode(self, architecture: Architecture) -> Genotype:
            return self.last

    refuse(Broken(), "canonical|encode")


def test_an_inactive_gene_that_matters_is_caught_by_its_name() -> None:
    class Broken(LayersEncoding):
        def active(self, genotype: Genotype) -> tuple[bool, ...]:
            return (True, False)

    refuse(Broken(), "width is not inactive")


@pytest.mark.parametrize("count", [1, 3])
def test_an_activity_of_the_wrong_length_is_caught(count: int) -> None:
    class Broken(LayersEncoding):
        def active(self, genotype: Genotype) -> tuple[bool, ...]:
            return (True,) * count

    refuse(Broken(), "active")


def test_inactive_genes_that_only_matter_together_are_caught() -> None:
    """The law is on genotypes that differ in any number of inactive genes."""

    class Broken(Encoding):
        genes = (Gene("a", (0, 1)), Gene("b", (0, 1)))

        def decode(self, genotype: Genotype) -> Architecture:
            return Layers(4 if genotype == (1, 1) else 0)

        def encode(self, architecture: Architecture) -> Genotype:
            assert isinstance(architecture, Layers)
            return (1, 1) if architecture.width else (0, 0)

        def active(self, genotype: Genotype) -> tuple[bool, ...]:
            # Right for changes of one gene at a time from (0, 0), not for both.
            return (False, False) if genotype == (0, 0) else (True, True)

    refuse(Broken(), "inactive")


def test_a_random_decode_is_caught() -> None:
    class Broken(LayersEncoding):
        def __init__(self) -> None:
            self.random = np.random.default_rng(0)

        def decode(self, genotype: Genotype) -> Architecture:
            return super().decode(self.sample(self.random))

    refuse(Broken(), "differs from call to call")


def test_a_decode_that_refuses_a_genotype_is_caught() -> None:
    class Broken(LayersEncoding):
        def decode(self, genotype: Genotype) -> Architecture:
            if genotype == (1, 2):
                raise EncodingError("too wide")
            return super().decode(genotype)

    refuse(Broken(), r"decode.*\(1, 2\)")


def test_a_decode_that_crashes_is_caught() -> None:
    class Broken(LayersEncoding):
        def decode(self, genotype: Genotype) -> Architecture:
            return Layers(8 // genotype[0])

    refuse(Broken(), r"decode.*\(0, \d\)")


def test_repeated_gene_names_are_caught() -> None:
    class Broken(LayersEncoding):
        genes = (Gene("width", (False, True)), Gene("width", (4, 8, 16)))

    refuse(Broken(), "names repeat.*width")


def test_a_gene_without_choices_is_caught() -> None:
    class Broken(LayersEncoding):
        genes = (*LayersEncoding.genes, Gene("empty", ()))

    refuse(Broken(), "without choices")


# Broken architectures.


def encoding_of(make: type[Layers]) -> LayersEncoding:
    class OfMake(LayersEncoding):
        def decode(self, genotype: Genotype) -> Architecture:
            layers = super().decode(genotype)
            assert isinstance(layers, Layers)
            return make(layers.width)

    return OfMake()


@dataclass(frozen=True)
class Lossy(Layers):
    family = f"{__name__}:Lossy"

    def to_dict(self) -> dict[str, Any]:
        return {"family": self.family}


def test_a_description_that_loses_something_is_caught() -> None:
    refuse(encoding_of(Lossy), "to_dict")


@dataclass(frozen=True)
class Tuples(Layers):
    """Its tuple, which no annotation tells, comes back as a list: another architecture, and without a hash."""

    shape: Any = (1, 2)

    family = f"{__name__}:Tuples"


def test_a_description_that_does_not_survive_json_is_caught() -> None:
    refuse(encoding_of(Tuples), "to_dict|JSON")


@dataclass(frozen=True)
class NumPyWidth(Layers):
    family = f"{__name__}:NumPyWidth"

    def to_dict(self) -> dict[str, Any]:
        return {"family": self.family, "width": np.int64(self.width)}


def test_a_description_that_json_cannot_write_is_caught() -> None:
    refuse(encoding_of(NumPyWidth), "to_dict|JSON")


_numbers = itertools.count()


@dataclass(frozen=True)
class Restless(Layers):
    """Equal to its like, but of another key every time."""

    number: int = field(default_factory=lambda: next(_numbers), compare=False)

    family = f"{__name__}:Restless"


def test_equal_architectures_of_unequal_keys_are_caught() -> None:
    refuse(encoding_of(Restless), "key|differs from call to call")


@dataclass(frozen=True)
class WithOrigin(Layers):
    """Equal to its like, but its key says which genotype it came from."""

    origin: str = field(default="", compare=False)

    family = f"{__name__}:WithOrigin"


def test_a_key_that_depends_on_inactive_genes_is_caught() -> None:
    class Broken(LayersEncoding):
        def decode(self, genotype: Genotype) -> Architecture:
            layers = super().decode(genotype)
            assert isinstance(layers, Layers)
            return WithOrigin(layers.width, str(genotype))

    refuse(Broken(), "key")


@dataclass(frozen=True)
class OneOutput(Layers):
    family = f"{__name__}:OneOutput"

    def build(self, task: Task) -> nn.Module:
        return super().build(Task(task.input_shape, 1))


@dataclass(frozen=True)
class NoFlatten(Layers):
    family = f"{__name__}:NoFlatten"

    def build(self, task: Task) -> nn.Module:
        return nn.Linear(task.input_shape[-1], task.classes)


@pytest.mark.parametrize(("make", "shape"), [(OneOutput, r"\(4, 1\)"), (NoFlatten, r"\(4, 1, 28, 10\)")])
def test_logits_of_the_wrong_shape_are_caught(make: type[Layers], shape: str) -> None:
    refuse(encoding_of(make), rf"{shape}, not \(4, 10\)")


class Root(nn.Module):
    """The square root, whose gradient at 0 is infinite, and times 0 is not a number."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return (values * 0).sqrt() + values


@dataclass(frozen=True)
class BadGradient(Layers):
    family = f"{__name__}:BadGradient"

    def build(self, task: Task) -> nn.Module:
        return nn.Sequential(super().build(task), Root())


def test_gradients_that_are_not_finite_are_caught() -> None:
    refuse(encoding_of(BadGradient), "gradients are not finite")


class Frozen(nn.Module):
    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return values.detach()


@dataclass(frozen=True)
class NoGradient(Layers):
    family = f"{__name__}:NoGradient"

    def build(self, task: Task) -> nn.Module:
        return nn.Sequential(super().build(task), Frozen())


def test_a_network_that_cannot_learn_is_caught() -> None:
    refuse(encoding_of(NoGradient), "gradient")


class Idle(nn.Module):
    """A layer that no output depends on, and that is counted, stored and paid for all the same."""

    def __init__(self) -> None:
        super().__init__()
        self.idle = nn.Linear(3, 3)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return values


@dataclass(frozen=True)
class UnusedWeights(Layers):
    family = f"{__name__}:UnusedWeights"

    def build(self, task: Task) -> nn.Module:
        return nn.Sequential(super().build(task), Idle())


def test_weights_that_take_no_part_are_caught() -> None:
    refuse(encoding_of(UnusedWeights), "idle|gradient")


def test_a_flaw_of_one_network_in_hundreds_is_found_with_enough_samples() -> None:
    class Rare(LayersEncoding):
        genes = (Gene("hidden", (True,)), Gene("width", tuple(range(1, 301))))

        def encode(self, architecture: Architecture) -> Genotype:
            assert isinstance(architecture, Layers)
            return (0, architecture.width - 1 - (architecture.width == 77))

        def active(self, genotype: Genotype) -> tuple[bool, ...]:
            return (True, True)

    check_encoding(Rare(), samples=5, builds=0)
    refuse(Rare(), r"\(0, 76\)", samples=3000, builds=0)


def test_a_check_repeats_with_its_seed_and_leaves_the_random_numbers_of_its_caller_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Otherwise a check that fails for some initial weights fails now and then."""
    weights: list[float] = []
    build = Layers.build

    def watched(self: Layers, task: Task) -> nn.Module:
        module = build(self, task)
        weights.append(float(next(module.parameters()).detach().sum()))
        return module

    monkeypatch.setattr(Layers, "build", watched)
    for seed in (1, 2):
        torch.manual_seed(seed)
        expected = torch.rand(2)
        torch.manual_seed(seed)
        check_encoding(LayersEncoding(), samples=3, builds=2, seed=7)
        assert torch.equal(torch.rand(2), expected)
    half = len(weights) // 2
    assert weights[:half] == weights[half:]


class Noisy(Layers):
    family = f"{__name__}:Noisy"

    def build(self, task: Task) -> nn.Module:
        class Noise(nn.Module):
            def forward(self, logits: torch.Tensor) -> torch.Tensor:
                return logits + torch.randn_like(logits)

        return nn.Sequential(super().build(task), Noise())


def test_a_network_that_answers_differently_from_call_to_call_is_caught() -> None:
    refuse(encoding_of(Noisy), "answers differently from call to call")


class Unsettled(Layers):
    family = f"{__name__}:Unsettled"

    def build(self, task: Task) -> nn.Module:
        widths.append(4 + len(widths))
        inputs = int(np.prod(task.input_shape))
        return nn.Sequential(nn.Flatten(), nn.Linear(inputs, widths[-1]), nn.Linear(widths[-1], task.classes))


widths: list[int] = []


def test_a_build_that_differs_from_call_to_call_is_caught() -> None:
    refuse(encoding_of(Unsettled), "build differs from call to call")


@pytest.mark.parametrize("name", ["key", "accuracy"])
def test_genes_called_as_other_columns_are_caught(name: str) -> None:
    class Broken(LayersEncoding):
        genes = (LayersEncoding.genes[0], Gene(name, (4, 8, 16), ordered=True))

    refuse(Broken(), f"genes called as other columns of the CSVs: {name}")


def test_repeated_choices_are_caught() -> None:
    class Broken(LayersEncoding):
        genes = (LayersEncoding.genes[0], Gene("width", (4, 8, 8), ordered=True))

    refuse(Broken(), "choices repeat: width")


@pytest.mark.parametrize("what", [None, "tiny"])
def test_what_is_no_encoding_is_refused(what: Any) -> None:
    refuse(what, "must be a moonas.Encoding")
