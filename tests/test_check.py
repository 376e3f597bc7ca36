"""Checks from Python and from the command line: what is looked at, what is found, what is refused."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from torch import nn
from typer.testing import CliRunner, Result

import moonas
from moonas.cli import app
from moonas.errors import MoonasError, SpecError
from moonas.evaluation.evaluator import Candidate
from moonas.evaluation.looking import LookingEvaluator
from moonas.evaluation.static import StaticEvaluator
from moonas.study.check import Check

TASK = moonas.Task((1, 8, 8), 10)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with a problem whose networks are quick to measure."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text(
        "encoding: tiny_cnn\ntask: {input_shape: [1, 8, 8], classes: 10}\nworkers: 0\n"
        "objectives: [{metric: params}, {metric: size_mb}]\n"
    )
    return tmp_path


def command(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["check", *arguments], catch_exceptions=False)


def limited(*limits: dict[str, Any], samples: int = 256, seed: int = 0) -> Check:
    """A check of the problem within limits."""
    return moonas.check("mine.yaml", samples=samples, overrides={"constraints": list(limits), "seed": seed})


@pytest.fixture(scope="module")
def counted() -> pd.Series:
    """The parameters of every network of the tiny space, counted one by one."""
    encoding = moonas.search_space("tiny_cnn")
    every = {encoding.decode(each).key: encoding.decode(each) for each in np.ndindex(*encoding.sizes)}
    evaluator = StaticEvaluator(("params",), TASK)
    return pd.Series(
        {key: evaluator.evaluate([Candidate(architecture, 0)])[0]["params"] for key, architecture in every.items()}
    )


def test_the_share_inside_a_limit_is_what_counting_by_hand_gives(counted: pd.Series) -> None:
    limit = float(counted.quantile(0.4))
    found = limited({"metric": "params", "at_most": limit})
    shares = found.limits.set_index("limit")
    assert shares["networks"].tolist() == [(counted <= limit).sum()] * 2
    assert shares.loc["all of them", "share"] == (counted <= limit).mean()
    params = found.metrics.set_index("metric").loc["params"]
    assert params.tolist() == [counted.min(), counted.median(), counted.max(), counted.min()]
    assert found.mistake == ""
    assert found.failures.empty
    assert found.nearest.empty


def test_of_a_small_space_every_network_is_looked_at(counted: pd.Series) -> None:
    found = moonas.check("mine.yaml")
    assert set(found.networks["key"]) == set(counted.index)
    assert found.summary[0].startswith(f"tiny_cnn, 192 genotypes: all {len(counted)} networks of it; ")
    assert (found.networks["state"] == "complete").all()
    assert not Path("runs").exists()


def test_of_a_large_space_as_many_as_are_asked_for() -> None:
    found = moonas.check("mine.yaml", samples=20, overrides={"encoding": "tiny"})
    assert found.networks["key"].nunique() == len(found.networks) == 20
    again = moonas.check("mine.yaml", samples=20, overrides={"encoding": "tiny"})
    pd.testing.assert_frame_equal(found.networks, again.networks)
    assert found.summary[0].startswith("tiny, 10^10.8 genotypes: 20 different networks, at random; ")


def test_genes_that_do_not_matter_are_empty() -> None:
    networks = moonas.check("mine.yaml").networks
    without = networks["stages.1.depth"] == 0
    assert networks.loc[without, "stages.1.width"].isna().all()
    assert networks.loc[~without, "stages.1.width"].notna().all()


def test_a_limit_that_no_network_keeps_is_exit_code_2_with_the_nearest(counted: pd.Series) -> None:
    key, least = counted.idxmin(), int(counted.min())
    result = command("mine.yaml", "--set", "constraints=[{metric: params, at_most: 100}]")
    assert result.exit_code == 2
    relaxed = -(-least // 10 ** (len(str(least)) - 3)) * 10 ** (len(str(least)) - 3)
    assert result.stderr.splitlines()[-1] == (
        f"moonas: no network keeps params <= 100: of {len(counted)} drawn, {key} comes nearest, with params {least:,}, "
        f"{least / 100:.3g} times the limit; relax the limit to params <= {relaxed}, or give genes other choices"
    )
    assert "What networks choose that come near to the limits" in result.stdout
    assert "stages.1.depth" in result.stdout


def test_a_rare_network_is_found_by_looking_for_it(counted: pd.Series) -> None:
    limit = int(counted.min())
    found = limited({"metric": "params", "at_most": limit}, samples=4)
    assert found.mistake == ""
    assert not found.networks.loc[found.networks["drawn"], "state"].eq("complete").any()
    assert found.networks.loc[found.networks["state"] == "complete", "key"].tolist() == [counted.idxmin()]
    assert found.remarks[0].startswith(f"params <= {limit} is rare: 0 of 4 networks keep it by chance")


def test_two_limits_that_each_can_be_kept_but_not_together_are_a_mistake() -> None:
    found = limited({"metric": "params", "at_most": 1000}, {"metric": "size_mb", "at_least": 0.02}, samples=30)
    kept = found.limits["networks"].tolist()
    assert min(kept[:2]) > 0
    assert kept[2] == 0
    assert "no network keeps params <= 1000 and size_mb >= 0.02 together: of 30 drawn and " in found.mistake


@dataclass(frozen=True)
class Fragile(moonas.Architecture):
    """Two layers, of which the wide ones cannot be built with the large kernel."""

    family = f"{__name__}:Fragile"
    width: int
    kernel: int
    layers: int

    def build(self, task: moonas.Task) -> nn.Module:
        if self.kernel == 7:
            raise ValueError(f"no kernel {self.kernel} for width {self.width}")
        body = [nn.Conv2d(task.input_shape[0], self.width, self.kernel), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        return nn.Sequential(*body, *(nn.Identity() for _ in range(self.layers)), nn.Linear(self.width, task.classes))


class FragileEncoding(moonas.Encoding):
    """All of them."""

    genes = (  # type: ignore[assignment]
        moonas.Gene("width", (2, 4, 8), ordered=True),
        moonas.Gene("kernel", (1, 3, 7), ordered=True),
        moonas.Gene("layers", (0, 1, 2, 3), ordered=True),
    )

    def decode(self, genotype: moonas.Genotype) -> Fragile:
        self.check(genotype)
        return Fragile(**self.values(genotype))

    def encode(self, architecture: moonas.Architecture) -> moonas.Genotype:
        return tuple(gene.choices.index(getattr(architecture, gene.name)) for gene in self.genes)


def test_networks_that_fail_are_told_by_the_choice_that_they_share() -> None:
    found = moonas.check("mine.yaml", overrides={"encoding": f"{__name__}:FragileEncoding"})
    (failure,) = found.failures.to_dict("records")
    assert failure["networks"] == 12
    assert failure["reason"].startswith("ValueError: no kernel 7 for width ")
    assert failure["choices"] == "kernel 7"
    assert found.networks.set_index("key").loc[failure["example"], "kernel"] == 7
    assert found.mistake == ""
    assert found.summary[1].startswith("24 of 36 can be evaluated")


def test_if_all_networks_fail_it_is_exit_code_2() -> None:
    result = command("mine.yaml", "--set", "task.input_shape=[1, 1, 1]", "--set", f"encoding={__name__}:Brittle")
    assert result.exit_code == 2
    assert "all 24 networks fail, so the problem is at fault, not they; 24 of them: " in result.stderr


class Brittle(FragileEncoding):
    """Those of which none takes images of one pixel."""

    genes = (*FragileEncoding.genes[:1], moonas.Gene("kernel", (3, 5), ordered=True), *FragileEncoding.genes[2:])  # type: ignore[assignment]


def test_networks_that_are_not_in_a_table_are_counted_as_one_failure(here: Path, counted: pd.Series) -> None:
    table = pd.DataFrame({"key": counted.index, "accuracy": np.linspace(0.1, 0.9, len(counted))})
    table.iloc[12:].to_csv(here / "table.csv", index=False)
    changes = {
        "table": {"path": str(here / "table.csv"), "match": "key", "by": "key", "metrics": {"accuracy": "accuracy"}},
        "objectives": [{"metric": "accuracy"}, {"metric": "params"}],
    }
    found = moonas.check("mine.yaml", overrides=changes)
    (failure,) = found.failures.to_dict("records")
    assert failure["networks"] == 12
    assert failure["reason"].startswith("table table.csv has no row for ")
    assert found.metrics["metric"].tolist() == ["accuracy", "params", "flops", "size_mb"]


def test_a_network_runs_once_at_the_resolution_of_its_training(here: Path) -> None:
    changes = {
        "data": {"name": "digits"},
        "task": None,
        "encoding": f"{__name__}:Brittle",
        "objectives": [{"metric": "accuracy"}, {"metric": "params"}],
        "fidelity": {"resolution": 4},
    }
    found = moonas.check("mine.yaml", overrides=changes)
    (failure,) = found.failures.to_dict("records")
    assert failure["networks"] == 12
    assert failure["choices"] == "kernel 5"
    assert "accuracy (needs training)" in found.summary[2]


def test_trainings_that_do_not_fit_the_data_are_said(here: Path) -> None:
    changes: dict[str, Any] = {"data": {"name": "digits"}, "task": None, "fidelity": {"samples": 5000}}
    changes["objectives"] = [{"metric": "accuracy"}, {"metric": "params"}]
    found = moonas.check("mine.yaml", samples=2, overrides=changes)
    assert found.remarks == ("fidelity.samples is 5,000, and the training part has 1,077 images: it uses these.",)
    found = moonas.check("mine.yaml", samples=2, overrides={**changes, "fidelity": {"samples": 7}})
    assert found.remarks == ("fidelity.samples is 7, fewer than the 10 classes: some are not learnt at all.",)
    with pytest.raises(MoonasError, match=r"fidelity.resolution: is 9, and the images have 8x8 pixels"):
        moonas.check("mine.yaml", samples=2, overrides={**changes, "fidelity": {"resolution": 9}})


def test_latencies_that_are_predicted_are_cheap_and_say_what_they_are() -> None:
    objectives = [{"metric": "params"}, {"metric": "latency_ms"}, {"metric": "latency_ms@t4", "at_most": 0.1}]
    found = moonas.check("mine.yaml", samples=8, overrides={"device": "raspberry_pi_4", "objectives": objectives})
    assert found.metrics["metric"].tolist() == ["params", "flops", "size_mb", "latency_ms", "latency_ms@t4"]
    assert found.metrics["best"].notna().all()
    assert found.limits["limit"].tolist() == ["latency_ms@t4 <= 0.1", "all of them"]
    assert 0 < found.limits["networks"].iloc[0] < 8
    assert found.summary[-2].startswith("latency_ms: predicted by hw_profiles/raspberry_pi_4 (fitted, +-10 %), ncnn")
    assert not any(line.startswith("Not looked at") and "latency" in line for line in found.summary)
    assert any("rank" in line and "latency_ms@t4" in line for line in found.remarks)


def test_latencies_that_are_timed_are_left_out_beside_those_that_are_predicted() -> None:
    objectives = [{"metric": "latency_ms"}, {"metric": "latency_ms@t4"}]
    found = moonas.check("mine.yaml", samples=2, overrides={"objectives": objectives})
    assert found.metrics["metric"].tolist() == ["params", "flops", "size_mb", "latency_ms@t4"]
    assert "Not looked at: latency_ms (is timed)." in found.summary


def relus(module: nn.Module, context: Any) -> float:
    """Count ReLUs."""
    return sum(isinstance(each, nn.ReLU) for each in module.modules())


def test_cheap_functions_take_part_and_dear_ones_are_left_out() -> None:
    objectives = [moonas.objective(relus, goal="minimize"), {"metric": "params"}]
    found = moonas.check("mine.yaml", samples=3, overrides={"objectives": objectives})
    assert found.metrics["metric"].tolist() == ["params", "flops", "size_mb", "relus"]
    dear = [moonas.objective(relus, goal="minimize", cost="dear"), {"metric": "params"}]
    found = moonas.check("mine.yaml", samples=3, overrides={"objectives": dear})
    assert found.metrics["metric"].tolist() == ["params", "flops", "size_mb"]
    assert "relus (is dear)" in found.summary[-1]


def test_the_command_shows_tables_and_writes_what_is_asked_for(here: Path) -> None:
    result = command("mine.yaml", "--samples", "10", "--csv", "networks.csv", "--seed", "3")
    assert result.exit_code == 0
    assert "tiny_cnn, 192 genotypes: 10 different networks, at random; " in result.stdout
    assert "Metrics without training" in result.stdout
    assert "networks 10/10" in result.stderr
    assert len(pd.read_csv(here / "networks.csv")) == 10
    assert {path.name for path in here.iterdir()} == {"mine.yaml", "networks.csv"}
    quiet = command("mine.yaml", "--samples", "10", "--quiet")
    assert (quiet.exit_code, quiet.output) == (0, "")


def test_the_seed_and_set_change_what_is_looked_at(here: Path) -> None:
    for name, options in {"a": ["--seed", "0"], "b": ["--seed", "1"], "c": ["--set", "seed=1"]}.items():
        assert command("mine.yaml", "--samples", "10", "--quiet", "--csv", name, *options).exit_code == 0
    a, b, c = (pd.read_csv(here / name) for name in "abc")
    assert list(a["key"]) != list(b["key"])
    pd.testing.assert_frame_equal(b, c)


def test_a_run_folder_is_checked_by_its_problem(here: Path) -> None:
    moonas.load("mine.yaml", out="r", overrides={"budget.trials": 6}).run()
    assert len(moonas.check("r", samples=5).networks) == 5


def test_an_interruption_ends_it_at_once(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome, counted = LookingEvaluator.outcome, []

    def interrupted(self: LookingEvaluator, network: Any) -> Any:
        counted.append(1)
        if len(counted) == 5:
            signal.raise_signal(signal.SIGINT)
        return outcome(self, network)

    monkeypatch.setattr(LookingEvaluator, "outcome", interrupted)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    try:
        result = command("mine.yaml")
    finally:
        signal.signal(signal.SIGINT, before)
    assert result.exit_code == 130
    assert "Stopped; nothing was written." in result.stderr
    assert len(counted) < 20
    assert {path.name for path in here.iterdir()} == {"mine.yaml"}


def test_it_works_in_worker_processes(counted: pd.Series) -> None:
    found = moonas.check("mine.yaml", samples=6, overrides={"workers": 1})
    measured = found.networks.set_index("key")["params"]
    assert measured.tolist() == counted[measured.index].tolist()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mine.yaml", "--samples", "0"], "samples must be at least 1, is 0"),
        (["nowhere"], "unknown problem 'nowhere'"),
        (["mine.yaml", "--set", "seed"], "--set seed: must be KEY.PATH=VALUE"),
        (["mine.yaml", "--seed", "-1"], "mine.yaml, --seed, seed: must be at least 0, is -1"),
        (["mine.yaml", "--samples", "1", "--csv", "no/such/folder.csv"], "no/such/folder.csv cannot be written: "),
    ],
)
def test_what_cannot_be_checked_is_refused_in_one_sentence(arguments: list[str], message: str) -> None:
    result = command(*arguments, "--quiet")
    assert result.exit_code == 2
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_gpu_that_is_not_there_is_told_before_anything_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    on_gpu = {"device.processor": "cuda", "device.runtime": "torch"}
    with pytest.raises(SpecError, match=r"device\.processor is cuda, and PyTorch finds no GPU here; set it to cpu"):
        moonas.check("digits_tiny", overrides=on_gpu)


def test_energies_that_a_search_would_model_are_no_hindrance() -> None:
    found = moonas.check("digits_power", samples=3, overrides={"workers": 0})
    assert found.mistake == ""
    assert len(found.networks) == 3
