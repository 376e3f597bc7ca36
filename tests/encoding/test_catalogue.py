"""Names to search spaces, and families of the user's own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from torch import nn

import moonas
from moonas.errors import EncodingError, SpecError, UnknownNameError
from moonas.spec.load import load_problem, to_yaml
from moonas.testing import check_encoding


@dataclass(frozen=True)
class Stack(moonas.Architecture):
    """Linear layers."""

    widths: tuple[int, ...]
    bias: bool

    family = f"{__name__}:Stack"

    def build(self, task: moonas.Task) -> nn.Module:
        layers: list[nn.Module] = [nn.Flatten()]
        for width in self.widths:
            layers.append(nn.LazyLinear(width, bias=self.bias))
        return nn.Sequential(*layers, nn.LazyLinear(task.classes))


class Stacks(moonas.TreeEncoding):
    """Layers in a sequence."""

    def describe(self, chosen: Any) -> Stack:
        return Stack(tuple(layer["width"] for layer in chosen["layers"]), chosen["options"]["bias"])

    def choose(self, architecture: moonas.Architecture) -> dict[str, int] | None:
        assert isinstance(architecture, Stack)
        layers = [{"width": width} for width in architecture.widths]
        return self.fit("", self.tree, {"options": {"bias": architecture.bias}, "layers": layers})


class Broken(moonas.TreeEncoding):
    """Reads a key that may be missing."""

    def __init__(self, tree: Any):
        super().__init__(tree)
        self.depth = tree["depth"]

    def describe(self, chosen: Any) -> Stack:
        return Stack((), True)

    def choose(self, architecture: moonas.Architecture) -> dict[str, int] | None:
        return {}


TREE = {"layers": [{"width": [4, 8]}, {"width": 16}], "options": {"bias": [True, False]}}


def write(folder: Path, **content: Any) -> Path:
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def problem(encoding: Any) -> dict[str, Any]:
    task = {"input_shape": [1, 8, 8], "classes": 4}
    return {"encoding": encoding, "task": task, "objectives": [{"metric": "params"}]}


def test_a_family_of_ones_own_reads_its_file(tmp_path: Path) -> None:
    space = moonas.search_space(write(tmp_path, family=f"{__name__}:Stacks", **TREE))
    assert [gene.name for gene in space.genes] == ["layers.0.width", "options.bias"]
    assert space.decode((1, 0)) == Stack((8, 16), True)
    check_encoding(space, samples=20, builds=0)


def test_a_family_of_ones_own_is_searched_and_written_out_in_full(tmp_path: Path) -> None:
    study = moonas.load(problem({"family": f"{__name__}:Stacks", **TREE}), out=tmp_path / "run")
    assert [gene.name for gene in study.encoding.genes] == ["layers.0.width", "options.bias"]
    again = load_problem(yaml.safe_load(to_yaml(study.spec)))
    assert again == study.spec


def test_an_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'mobile'"):
        moonas.search_space("mobil")


@pytest.mark.parametrize(
    ("family", "message"),
    [
        ("Broken", f"encoding family {__name__}:Broken: KeyError: 'depth'"),
        ("Stack", f"encoding family {__name__}:Stack: must be a subclass of moonas.TreeEncoding, is .*Stack"),
        ("TREE", f"encoding family {__name__}:TREE: must be a subclass of moonas.TreeEncoding, is {{'layers'"),
        ("Stakcs", f"unknown object in {__name__} 'Stakcs'; .* did you mean 'Stacks'"),
    ],
)
def test_what_is_no_family_is_refused_in_one_sentence(tmp_path: Path, family: str, message: str) -> None:
    with pytest.raises(moonas.MoonasError, match=message) as caught:
        moonas.search_space(write(tmp_path, family=f"{__name__}:{family}", width=[1, 2]))
    assert "\n" not in str(caught.value)


def test_a_family_that_breaks_a_law_is_refused_before_the_search(tmp_path: Path) -> None:
    encoding = {"family": f"{__name__}:Broken", "depth": [1, 2], "name": "broken"}
    study = moonas.load(problem(encoding), out=tmp_path / "run")  # nothing is wrong with a space of one network
    assert study.encoding.decode((0,)) == study.encoding.decode((1,))
    with pytest.raises(SpecError, match="encoding lawless breaks a law: decode raises TypeError"):
        moonas.load(problem({"family": f"{__name__}:Lawless", "width": [1, 2], "name": "lawless"}), out=tmp_path / "x")


def test_a_known_network_is_an_encoding_without_genes_by_name_too(tmp_path: Path) -> None:
    space = moonas.search_space("resnet18")
    assert space.genes == ()
    assert space.decode(()) == moonas.architecture("resnet18")
    study = moonas.load(problem("mobilenet_v2"), out=tmp_path / "run")
    assert study.encoding.decode(()) == moonas.architecture("mobilenet_v2")


class NoNames(Stacks):
    """Its way back names a gene that is not there."""

    def choose(self, architecture: moonas.Architecture) -> dict[str, int] | None:
        return {"layers.0.widht": 0}


class Nothing(Stacks):
    """Describes None."""

    def describe(self, chosen: Any) -> Any:
        return None


class Orphan(Stacks):
    """Forgets its parent."""

    def __init__(self, tree: Any):
        self.choices = tree


class Quitter(Stacks):
    """Ends the program."""

    def __init__(self, tree: Any):
        raise SystemExit(3)


def test_a_way_back_that_names_no_gene_is_refused(tmp_path: Path) -> None:
    space = moonas.search_space(write(tmp_path, family=f"{__name__}:NoNames", **TREE))
    with pytest.raises(EncodingError, match=r"choose names layers\.0\.widht, which is no gene"):
        space.encode(space.decode((0, 0)))


def test_a_description_that_is_no_architecture_is_refused(tmp_path: Path) -> None:
    space = moonas.search_space(write(tmp_path, family=f"{__name__}:Nothing", **TREE))
    with pytest.raises(EncodingError, match=r"describe must give a moonas\.Architecture, gives None"):
        space.decode((0, 0))


def test_two_genes_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"two genes are called a\.b"):
        moonas.search_space(write(tmp_path, family=f"{__name__}:Stacks", **{"a.b": [1, 2], "a": {"b": [3, 4]}}))


@pytest.mark.parametrize(("name", "cause"), [("Orphan", "AttributeError"), ("Quitter", "SystemExit")])
def test_a_class_that_cannot_be_made_is_no_reason_to_end(tmp_path: Path, name: str, cause: str) -> None:
    with pytest.raises(SpecError, match=f"{name}: {cause}"):
        moonas.search_space(write(tmp_path, family=f"{__name__}:{name}", **TREE))


def test_a_base_may_be_written_in_and_be_no_scaled_network_itself(tmp_path: Path) -> None:
    base = {"family": "staged_cnn", "stem": {"width": 8}, "stages": [{"block": "plain", "depth": 1, "width": 16}]}
    assert len(moonas.search_space(write(tmp_path, family="compound_scaling", base=base, width=[1, 2])).genes) == 1
    path = write(tmp_path, family="compound_scaling", base="mine.yaml", width=[1, 2])
    with pytest.raises(SpecError, match=r"base: must be of the family staged_cnn; mine\.yaml is of"):
        moonas.search_space(path)


class Lawless(Stacks):
    """Describes nothing."""

    def describe(self, chosen: Any) -> Stack:
        raise TypeError("no")
