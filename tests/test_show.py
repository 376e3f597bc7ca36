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
    assert listed["darts"][1:6] == ["darts,", "22", "genes,", "10^18.0", "genotypes"]


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
        (["encoding", "mobile", "--input", "9" * 5000], "must be channels x height x width"),
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


BAD_FAMILIES = """
from dataclasses import dataclass
import moonas
@dataclass(frozen=True)
class Net(moonas.Architecture):
    width: int
    family = "bad_families:Net"
    def build(self, task):
        raise ValueError("no build")
class Builds(moonas.TreeEncoding):
    def describe(self, chosen):
        return Net(**chosen)
    def choose(self, architecture):
        return None
class Decodes(Builds):
    def describe(self, chosen):
        return {"a": 1}[chosen["width"]]
class Made(Builds):
    def __init__(self, tree):
        raise SystemExit(3)
"""


@pytest.fixture
def bad_families(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "bad_families.py").write_text(BAD_FAMILIES)
    (tmp_path / "encodings").mkdir()
    for name in ("Builds", "Decodes", "Made"):
        (tmp_path / "encodings" / f"{name.lower()}.yaml").write_text(f"family: bad_families:{name}\nwidth: [4, 8]\n")
    (tmp_path / "fixed.yaml").write_text("family: bad_families:Builds\nwidth: 4\n")


@pytest.mark.usefixtures("bad_families")
def test_mistakes_in_a_family_of_ones_own_get_one_sentence() -> None:
    assert "ValueError: no build (bad_families.py:9, in build)" in invoke("show", "encoding", "builds")
    for name, message in (("decodes", "decoding: KeyError"), ("made", "bad_families:Made: SystemExit: 3")):
        output = invoke("show", "encoding", name, code=2)
        assert message in output.splitlines()[-1]
    output = invoke("show", "architecture", "fixed.yaml", code=2)
    assert "ValueError: no build (bad_families.py:9, in build)" in output
    listed = rows(invoke("list", "encodings"))
    assert "why" in listed["made"]
    assert listed["builds"][2:4] == ["1", "genes,"]


def test_a_network_too_large_for_the_memory_is_no_crash(tmp_path: Path) -> None:
    path = tmp_path / "huge.yaml"
    path.write_text(
        "family: darts\nchannels: 65536\ncells: 100\nnormal: &cell [{inputs: 0+1, first: sep_conv_5x5, "
        "second: sep_conv_5x5}]\nreduction: *cell\n"
    )
    output = invoke("show", "architecture", str(path), "--input", "3x999999x999999", code=2)
    assert len(output.splitlines()) == 1
    assert "memory" in output


def test_runs_that_cannot_be_read_are_named(study: Study) -> None:
    broken = Path("runs/broken")
    broken.mkdir()
    (broken / "problem.yaml").write_text("encoding: nowhere\n")
    key = study.trials["key"][0]
    assert f"{key} of runs/counting" in invoke("show", "architecture", key)
    assert "(runs/broken could not be read)" in invoke("show", "architecture", "staged_cnn-0123456789ab", code=2)


def test_a_network_is_shown_for_what_it_was_published_for() -> None:
    output = invoke("show", "architecture", "darts_v2", "--depth", "1")
    assert "3 x 32 x 32 in 10 classes" in output
    assert rows(output)["total"][1] == "3,349,342"
    assert "sep_conv_3x3" in output  # the description
    assert "128 x 6 in 6 classes" in invoke("show", "encoding", "sequence")


def test_output_that_nobody_reads_to_its_end_is_no_failure(study: Study) -> None:
    import subprocess
    import sys

    command = f"{sys.executable} -m moonas show encoding mobile | head -1; exit ${{PIPESTATUS[0]}}"
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
