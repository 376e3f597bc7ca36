"""`moonas show` and `moonas list`, as a user meets them."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

import moonas
from moonas.cli import app
from moonas.study.study import Study

PROBLEM = {
    "name": "counting",
    "encoding": "tiny_cnn",
    "task": {"input_shape": [1, 12, 12], "classes": 3},
    "objectives": [{"metric": "params"}],
    "search": {"population": 4},
    "budget": {"trials": 4},
    "workers": 0,
}


def invoke(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    """A search that ran in ./runs/counting."""
    monkeypatch.chdir(tmp_path)
    study = moonas.load(PROBLEM)
    study.run()
    return study


def rows(output: str) -> dict[str, list[str]]:
    """The words of each line by its first."""
    return {words[0]: words for line in output.splitlines() if (words := line.split())}


def test_the_list_of_encodings_shows_family_genes_and_size() -> None:
    listed = rows(invoke("list", "encodings"))
    assert listed["nas_bench_201"][1:6] == ["nas_bench_201,", "6", "genes,", "15,625", "genotypes"]
    assert listed["darts"][1:6] == ["darts,", "22", "genes,", "10^19.0", "genotypes"]


def test_a_broken_encoding_does_not_end_the_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "encodings").mkdir()
    (tmp_path / "encodings" / "broken.yaml").write_text("family: staged_cnn\n")
    listed = rows(invoke("list", "encodings"))
    assert "why" in listed["broken"]
    assert "tiny" in listed


def test_an_encoding_is_shown_with_its_choices_and_random_networks() -> None:
    output = invoke("show", "encoding", "tiny_cnn", "--input", "1x28x28", "--classes", "10")
    shown = rows(output)
    space = moonas.search_space("tiny_cnn")
    for gene in space.genes:
        assert " ".join(shown[gene.name][1:]).startswith(", ".join(map(str, gene.choices)))
    networks = [words for first, words in shown.items() if first.startswith("staged_cnn-")]
    assert len(networks) == 5, output
    built = {network.key: network for network in (space.decode(genotype) for genotype in _all_genotypes(space))}
    for key, params, _ in networks:
        module = built[key].build(moonas.Task((1, 28, 28), 10))
        assert int(params.replace(",", "")) == sum(parameter.numel() for parameter in module.parameters())


def _all_genotypes(space: moonas.Encoding) -> list[moonas.Genotype]:
    import itertools

    return list(itertools.product(*(range(len(gene.choices)) for gene in space.genes)))


def test_random_networks_that_cannot_be_built_say_why() -> None:
    assert "too small" in invoke("show", "encoding", "nas_bench_201", "--input", "3x3x3")


def test_a_known_network_is_shown_by_layers() -> None:
    shown = rows(invoke("show", "architecture", "resnet18"))
    assert shown["stem"][-2:] == ["9,536", "119,619,584"]
    assert shown["total"][1:] == ["11,689,512", "1,819,065,856"]


def test_depth_takes_layers_apart() -> None:
    shallow, deep = (rows(invoke("show", "architecture", "resnet18", "--depth", depth)) for depth in ("1", "3"))
    assert "stage0" in shallow
    assert "stage0.0.body" in deep
    assert shallow["total"] == deep["total"]


def test_a_network_of_a_run_is_shown_by_its_key(study: Study) -> None:
    trial = study.trials.iloc[0]
    for where in ([], ["--run", "runs/counting"]):
        output = invoke("show", "architecture", trial["key"], *where)
        assert "1 x 12 x 12 in 3 classes" in output
        assert int(rows(output)["total"][1].replace(",", "")) == trial["params"]


def test_a_network_of_a_run_is_shown_for_other_inputs(study: Study) -> None:
    output = invoke("show", "architecture", study.trials["key"][0], "--input", "3x20x24")
    assert "3 x 20 x 24 in 3 classes" in output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["encoding", "mobil"], "did you mean 'mobile'"),
        (["encoding", "mobile", "--input", "3x32y32"], "--input 3x32y32: must be channels x height x width"),
        (["encoding", "mobile", "--input", "0x32x32"], "--input 0x32x32: must be channels x height x width"),
        (["architecture", "resnet19"], "did you mean 'resnet18'"),
        (["architecture", "resnet18", "--input", "128x6"], "networks of this family take images"),
        (["architecture", "staged_cnn-0123456789ab"], "unknown key 'staged_cnn-0123456789ab'"),
        (["architecture", "x", "--run", "nowhere"], "unknown problem 'nowhere'"),
        (["architecture", "x", "--run", "runs/counting"], "unknown key 'x'; choose from staged_cnn-"),
    ],
)
def test_mistakes_get_one_sentence(study: Study, arguments: list[str], message: str) -> None:
    output = invoke("show", *arguments, code=2)
    assert message in output
    assert len(output.splitlines()) == 1
