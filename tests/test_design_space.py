"""Search spaces sampled, compared and narrowed, from Python and from the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

import moonas
from moonas import content, design_space
from moonas.cli import app
from moonas.errors import MoonasError, UnknownNameError
from moonas.spec.encoding import load_encoding
from moonas.study.study import Study

PROBLEM: dict[str, Any] = {
    "name": "counting",
    "encoding": "small_cnn",
    "task": {"input_shape": [1, 12, 12], "classes": 3},
    "objectives": [{"metric": "flops"}, {"metric": "params"}],
    "workers": 0,
}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def sampled(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Random networks of small_cnn, judged by their multiply-adds: no training, and clear effects."""
    return design_space.sample(PROBLEM, networks=160, out=tmp_path_factory.mktemp("runs") / "small")


def test_sampling_draws_at_random_and_goes_on(here: Path) -> None:
    study = design_space.sample(PROBLEM, "tiny_cnn", networks=5, out="runs/tiny")
    first = list(study.trials["key"])
    assert len(first) == 5
    assert study.spec.search.strategy == "random"
    more = design_space.sample(PROBLEM, "tiny_cnn", networks=8, out="runs/tiny")
    assert list(more.trials["key"][:5]) == first
    assert len(more.trials) == 8


def test_the_genes_that_matter_are_found(sampled: Study) -> None:
    effects = design_space.gene_effects(sampled, by="flops")
    assert effects.loc[0, "p_value"] < 0.01
    assert set(effects["gene"]) == {gene.name for gene in sampled.encoding.genes}
    inactive = effects.set_index("gene").loc["stages.2.width", "networks"]
    depth = sampled.trials["stages.2.depth"]
    assert inactive == (depth > 0).sum() < 160


def test_a_narrowed_space_is_written_and_is_better(sampled: Study, here: Path) -> None:
    narrowed = design_space.shrink(sampled, "encodings/narrow.yaml", by="flops")
    text = Path("encodings/narrow.yaml").read_text()
    assert text.startswith("# small_cnn, narrowed to what good networks choose: ")
    assert "160 random networks" in text
    space = moonas.search_space("narrow")
    whole = {gene.name: gene.choices for gene in sampled.encoding.genes}
    kept = {gene.name: gene.choices for gene in space.genes}
    for row in narrowed.itertuples():
        assert set(row.keep) < set(whole[row.gene])
        assert kept.get(row.gene, row.keep) == row.keep
        whole[row.gene] = row.keep
    assert {name: choices for name, choices in whole.items() if len(choices) > 1} == kept
    again = design_space.sample(PROBLEM, "narrow", networks=40, out="runs/narrow", overrides={"seed": 1})
    comparison = design_space.compare(sampled, again).set_index("space")
    assert comparison.loc["narrow", "better"] > 0.6
    assert comparison.loc["narrow", "p_value"] < 0.01
    assert comparison.loc["narrow", "median"] < comparison.loc["small_cnn", "median"]


def test_a_file_that_is_there_stays(sampled: Study, here: Path) -> None:
    Path("mine.yaml").write_text("mine")
    with pytest.raises(MoonasError, match="is there already, and stays as it is"):
        design_space.shrink(sampled, "mine.yaml")
    assert Path("mine.yaml").read_text() == "mine"


def test_the_command_shows_writes_and_draws(sampled: Study, here: Path) -> None:
    design_space.sample(PROBLEM, "tiny_cnn", networks=6, out="runs/tiny")
    arguments = [
        "space",
        str(sampled.out),
        "runs/tiny",
        "--shrink",
        "narrow.yaml",
        "--by",
        "flops",
        "--plot",
        "spaces.png",
    ]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "small_cnn" in result.output
    assert "tiny_cnn" in result.output
    assert "Wrote narrow.yaml, in which" in result.output
    assert Path("spaces.png").read_bytes().startswith(b"\x89PNG")
    assert moonas.search_space("narrow.yaml").genes


def refused(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["space", *arguments])
    assert result.exit_code == 2, result.output
    assert len(result.stderr.splitlines()) == 1
    return result.stderr


def test_what_cannot_be_judged_is_refused_in_one_sentence(sampled: Study, here: Path) -> None:
    tiny = {"encoding": "tiny_cnn", "budget": {"trials": 4}, "search": {"population": 4}}
    moonas.load({**PROBLEM, **tiny}, out="runs/searched").run()
    assert "was searched by nsga2, which prefers good networks" in refused("runs/searched")
    screen = {"strategy": "random", "population": 4, "screen": {"metric": "synflow", "keep": 0.5}}
    data = {"data": "digits", "encoding": "tiny_cnn", "objectives": [{"metric": "params"}], "search": screen}
    problem = {**{key: value for key, value in PROBLEM.items() if key != "task"}, **data, "budget": {"trials": 4}}
    moonas.load(problem, out="runs/screened").run()
    assert "was searched by screening, which prefers good networks" in refused("runs/screened")
    design_space.sample({**PROBLEM, "task": {"input_shape": [1, 9, 9], "classes": 3}}, networks=2, out="runs/other")
    assert "its task differs" in refused(str(sampled.out), "runs/other")
    other = {**PROBLEM, "objectives": [{"metric": "params"}]}
    design_space.sample(other, networks=2, out="runs/params")
    assert "its first objective is params" in refused(str(sampled.out), "runs/params")
    assert "a picture is a .png or .svg file" in refused(str(sampled.out), "--plot", "x.doc")
    assert "unknown problem 'nowhere'" in refused("nowhere")
    assert "runs/digits holds no network that keeps the limits" in refused("digits")
    assert "is given twice" in refused(str(sampled.out), str(sampled.out))
    assert "unknown objective 'accuracy'" in refused(str(sampled.out), "--by", "accuracy")


def test_latencies_of_different_devices_are_not_compared(here: Path) -> None:
    timed = {**PROBLEM, "encoding": "tiny_cnn", "objectives": [{"metric": "latency_ms"}], "workers": 1}
    studies = [
        design_space.sample({**timed, "device": {"rounds": 2, "batch": batch}}, networks=2, out=f"runs/{batch}")
        for batch in (1, 2)
    ]
    with pytest.raises(MoonasError, match="its device differs"):
        design_space.compare(*studies)


def test_nothing_is_narrowed_without_evidence(here: Path) -> None:
    study = design_space.sample(PROBLEM, networks=3)
    with pytest.raises(MoonasError, match="no choice of a gene of small_cnn is clearly worse than others among the 3"):
        design_space.shrink(study, "x.yaml")
    assert not Path("x.yaml").exists()


def test_an_encoding_in_python_cannot_be_narrowed(here: Path) -> None:
    Path("my_space.py").write_text("import moonas\ndef make():\n    return moonas.search_space('tiny_cnn')\n")
    study = design_space.sample({**PROBLEM, "encoding": "my_space:make"}, networks=4)
    with pytest.raises(MoonasError, match="my_space:make is Python, and no file whose lists could be narrowed"):
        design_space.shrink(study, "x.yaml")


def test_the_modules_are_public() -> None:
    assert moonas.design_space is design_space
    assert "design_space" in dir(moonas)
    with pytest.raises(UnknownNameError):
        design_space.sample("digitz")


# Narrowed files.


@pytest.mark.parametrize("name", sorted(path.stem for path in content.shipped_folder("encodings").glob("*.yaml")))
def test_every_shipped_space_can_be_narrowed_and_written(name: str, here: Path) -> None:
    spec = load_encoding(name)
    whole = moonas.search_space(name)
    choices = {gene.name: gene.choices[: 1 + i % 2] for i, gene in enumerate(whole.genes)}
    Path("narrow.yaml").write_text(spec.narrowed(choices).to_yaml())
    narrow = moonas.search_space("narrow.yaml")
    assert {len(gene.choices) for gene in narrow.genes} <= {2}
    random = np.random.default_rng(0)
    active = np.zeros(len(narrow.genes), dtype=bool)
    for _ in range(100):
        genotype = narrow.sample(random)
        whole.encode(narrow.decode(genotype))  # it is within
        active |= narrow.active(genotype)
    assert active.all()  # what cannot matter any longer is gone


def test_a_narrowed_space_holds_what_was_kept_and_no_more(here: Path) -> None:
    kept = {"stages.0.width": (8,), "stages.0.kernel": (5,), "stages.1.depth": (1,), "stages.1.width": (16, 32)}
    Path("narrow.yaml").write_text(load_encoding("tiny_cnn").narrowed(kept).to_yaml())
    genes = {gene.name: gene.choices for gene in moonas.search_space("tiny_cnn").genes} | kept
    narrow = {gene.name: gene.choices for gene in moonas.search_space("narrow.yaml").genes}
    assert narrow == {name: choices for name, choices in genes.items() if len(choices) > 1}


def test_nothing_narrowed_is_the_same_space(here: Path) -> None:
    for name in ("mobile", "vit_tiny", "efficientnet"):
        Path("same.yaml").write_text(load_encoding(name).narrowed({}).to_yaml())
        assert moonas.search_space("same.yaml").tree == moonas.search_space(name).tree  # type: ignore[attr-defined]
        assert "&" not in Path("same.yaml").read_text() or yaml.safe_load(Path("same.yaml").read_text())
