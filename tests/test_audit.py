"""Audits from Python and from the command line: what is trained, what is known, what is refused."""

from __future__ import annotations

import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import moonas
from moonas import audit
from moonas.cli import app
from moonas.errors import MoonasError
from moonas.study.workshop import Workshop

CHANGES: dict[str, Any] = {
    "workers": 0,
    "fidelity": {"epochs": 1, "samples": 200},
    "phases.full": {"epochs": 3, "samples": 400},
}
OPTIONS = [part for key, value in CHANGES.items() for part in ("--set", f"{key}={value}")]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> audit.Audit:
    """Five networks of digits_tiny, trained in seconds."""
    return audit.run("digits_tiny", networks=5, out=tmp_path_factory.mktemp("audit") / "a", overrides=CHANGES)


def rows(out: Path) -> set[Any]:
    with closing(sqlite3.connect(out / "trials.sqlite")) as connection:
        return set(connection.execute("SELECT key, metrics, seconds FROM trials"))


def test_an_audit_leaves_networks_figures_and_a_picture(audited: audit.Audit) -> None:
    networks = pd.read_csv(audited.out / "audit.csv")
    pd.testing.assert_frame_equal(networks, audited.networks)
    assert list(networks.columns[:5]) == ["key", "params", "flops", "proxy_accuracy", "proxy_training_loss"]
    assert list(networks.columns[-4:]) == ["full_accuracy_0", "full_accuracy_1", "proxy_seconds", "full_seconds"]
    assert {"synflow", "naswot", "snip"} < set(networks)
    assert networks["full_accuracy_0"].mean() > networks["proxy_accuracy"].mean()
    assert (networks["full_accuracy_0"] != networks["full_accuracy_1"]).any()
    assert (networks["full_seconds"] > 0).all()
    assert list(pd.read_csv(audited.out / "agreement.csv")["signal"]) == list(audited.agreement["signal"])
    assert (audited.out / "audit.png").read_bytes().startswith(b"\x89PNG")
    assert audited.verdict[-1].startswith("A network takes")


def test_networks_are_spread_over_size(audited: audit.Audit) -> None:
    flops = audited.networks["flops"]
    assert list(flops) == sorted(flops)
    assert flops.max() > 5 * flops.min()
    assert audited.networks["key"].is_unique


def test_run_again_it_trains_nothing_and_says_the_same(audited: audit.Audit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Workshop, "executor", property(lambda _: pytest.fail("something is trained again")))
    again = audit.run("digits_tiny", networks=5, out=audited.out, overrides=CHANGES)
    pd.testing.assert_frame_equal(again.networks, audited.networks)
    assert again.verdict == audited.verdict


def test_interrupted_it_trains_only_what_is_missing(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = []

    def stop_at_the_seventh(self: Any, tally: Any) -> None:
        told.append(tally)
        if len(told) == 7:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr("moonas.study.retraining.ProgressLine.__call__", stop_at_the_seventh)
        audit.run("digits_tiny", networks=4, out="a", overrides=CHANGES, progress=True)
    before = {out: rows(Path("a") / out) for out in ("proxy", "full-0")}
    assert [len(each) for each in before.values()] == [4, 3]
    assert not Path("a/audit.csv").exists()
    found = audit.run("digits_tiny", networks=4, out="a", overrides=CHANGES)
    for out, kept in before.items():
        assert kept <= rows(Path("a") / out)  # with the seconds that they took, so not trained again
    assert len(rows(Path("a/full-0"))) == len(rows(Path("a/full-1"))) == len(found.networks) == 4


def test_the_proxy_trains_as_the_search_does(audited: audit.Audit) -> None:
    study = moonas.load("digits_tiny", out="run", overrides={**CHANGES, "record": ["training_loss"]})
    genotypes = [trial.genotype for trial in read(audited.out / "proxy")]
    with study:
        found = {trial.key: trial.metrics for trial in study.evaluate(genotypes[:2])}
    networks = audited.networks.set_index("key")
    for key, metrics in found.items():
        assert metrics["accuracy"] == networks.loc[key, "proxy_accuracy"]
        assert metrics["training_loss"] == networks.loc[key, "proxy_training_loss"]


def read(out: Path) -> list[moonas.Trial]:
    from moonas.study.archive import Archive

    with closing(Archive(out / "trials.sqlite", moonas.load("digits_tiny").encoding, writable=False)) as archive:
        return list(archive)


def test_of_a_run_the_proxy_is_what_the_archive_says_and_the_fronts_ends_are_there(here: Path) -> None:
    study = moonas.load(
        "digits_tiny",
        out="runs/r",
        overrides={**CHANGES, "objectives": [{"metric": "accuracy"}, {"metric": "params"}], "budget.trials": 12},
    )
    front = study.run()
    found = audit.run("runs/r", networks=5)
    assert found.out == Path("runs/r-audit")
    assert not (found.out / "proxy").exists()
    trials = study.trials.set_index("key")
    for row in found.networks.itertuples():
        assert row.proxy_accuracy == trials.loc[row.key, "accuracy"]
        assert row.proxy_seconds == trials.loc[row.key, "seconds"]
    assert {front["key"].iloc[0], front.sort_values("params")["key"].iloc[0]} <= set(found.networks["key"])
    with pytest.raises(MoonasError, match=r"an audit of it cannot change that; .* fidelity.epochs: was 1, is 2"):
        audit.run("runs/r", overrides={"fidelity.epochs": 2})


def test_the_command_shows_figures_and_a_verdict(audited: audit.Audit) -> None:
    result = CliRunner().invoke(app, ["audit", "digits_tiny", "--networks", "5", "--out", str(audited.out), *OPTIONS])
    assert result.exit_code == 0, result.output
    assert "Agreement of 5 networks with full training, 90 % intervals" in result.stdout
    assert "another full training" in result.stdout
    for sentence in audited.verdict:
        assert sentence in result.stdout
    assert "10 full trainings (3 epochs, 400 images) of 6 times the work" in result.stderr


def test_limits_on_what_is_counted_are_kept(here: Path) -> None:
    limits = {"constraints": [{"metric": "params", "at_most": 1000}], "objectives.2.at_least": 300}
    found = audit.run("digits_tiny", networks=4, seeds=1, overrides={**CHANGES, **limits})
    assert found.networks["params"].between(300, 1000).all()


def test_networks_that_fail_are_left_out_and_counted(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from moonas.training.trainer import Trainer

    fit, seen = Trainer.fit, set()

    def fail_for_the_first(self: Trainer, architecture: Any, **options: Any) -> Any:
        seen.add(architecture.key)
        if architecture.key == failing[0]:
            raise ValueError("no luck")
        return fit(self, architecture, **options)

    failing = [""]
    monkeypatch.setattr(Trainer, "fit", fail_for_the_first)
    audit.run("digits_tiny", networks=5, seeds=1, out="whole", overrides=CHANGES)
    failing[0] = min(seen)
    found = audit.run("digits_tiny", networks=5, seeds=1, out="one", overrides=CHANGES)
    assert set(found.networks["key"]) == seen - {failing[0]}
    last = "1 of 5 networks failed in a training (ValueError: no luck"
    assert found.verdict[-1].startswith(last)
    assert found.verdict[-1].endswith("), and are left out.")
    assert not {failing[0]} & {row[0] for row in rows(Path("one/full-0"))}  # who failed by the proxy is spared
    with pytest.raises(
        MoonasError, match=r"1 of 4 networks failed in a training, and fewer than 4 are left: .*no luck"
    ):
        failing[0] = audit.run("digits_tiny", networks=4, seeds=1, out="w", overrides=CHANGES).networks["key"][0]
        audit.run("digits_tiny", networks=4, seeds=1, out="few", overrides=CHANGES)
    assert not Path("few/full-0").exists()


def test_who_learns_nothing_is_a_result_of_an_audit_and_no_failure(here: Path) -> None:
    changes = {**CHANGES, "training.learning_rate": 1e-9, "training.batch": 2, "phases.full.epochs": 4}
    found = audit.run("digits_tiny", networks=4, seeds=1, overrides=changes)
    assert len(found.networks) == 4
    assert "failed" not in found.verdict[-1]


def test_full_training_is_computed_as_the_proxy_was(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from moonas.study.retraining import as_computed_in

    answers = iter(["bfloat16", "float32", "float32"])
    monkeypatch.setattr("moonas.training.precision.fastest_precision", lambda *_, **__: next(answers))
    found = audit.run("digits_tiny", networks=4, seeds=1, overrides=CHANGES)
    spec = moonas.load("digits_tiny").spec
    for part in ("proxy", "full-0"):
        assert as_computed_in(found.out / part, spec).training.precision == "bfloat16"


def test_the_folders_of_searches_and_audits_are_told_apart(audited: audit.Audit) -> None:
    message = refused(str(audited.out))
    assert f"{audited.out} holds an audit; to go on with it, give the problem" in message
    with pytest.raises(MoonasError, match="is not a run folder"):
        moonas.load("digits_tiny", out=audited.out, overrides=CHANGES).run()


def refused(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["audit", *arguments])
    assert result.exit_code == 2, result.output
    assert len(result.stderr.splitlines()) == 1
    return result.stderr


def test_what_cannot_be_audited_is_refused_in_one_sentence(audited: audit.Audit, here: Path) -> None:
    assert "networks must be at least 4, is 3" in refused("digits_tiny", "--networks", "3")
    assert "seeds must be at least 1, is 0" in refused("digits_tiny", "--seeds", "0")
    full = "phases.full={epochs: 2}"
    assert "is no more work than fidelity (2 epochs), so there is no proxy" in refused("digits_tiny", "--set", full)
    small = refused("digits_tiny", "--networks", "4", "--set", "constraints=[{metric: params, at_most: 3}]")
    assert "the search space has 0 networks that keep the limits, not 4; an audit takes at least 4" in small
    untrained = ["--set", "objectives=[{metric: params}]"]
    assert "digits_tiny trains no networks, so there is no proxy to audit" in refused("digits_tiny", *untrained)
    (here / "mine.yaml").write_text(
        "encoding: tiny_cnn\ntask: {input_shape: [1, 8, 8], classes: 2}\nobjectives: [{metric: params}]\n"
    )
    assert "mine trains no networks" in refused("mine.yaml")
    (here / "other").mkdir()
    (here / "other" / "thesis.tex").write_text("mine")
    assert "it holds other files, as thesis.tex" in refused("digits_tiny", "--out", "other")
    assert "unknown problem 'nowhere'" in refused("nowhere")


def test_another_problem_has_another_folder(audited: audit.Audit) -> None:
    for path, before, now in (("fidelity.epochs", 1, 2), ("phases.full.epochs", 3, 4)):
        with pytest.raises(MoonasError, match=rf"holds a run of another problem; .*\n  {path}: was {before}, is {now}"):
            audit.run("digits_tiny", networks=5, out=audited.out, overrides={**CHANGES, path: now})


def test_failures_are_tried_again_by_the_same_command(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from moonas.training.trainer import Trainer

    def fail(*_: Any, **__: Any) -> Any:
        raise ValueError("the machine hiccuped")

    with monkeypatch.context() as patched, pytest.raises(MoonasError, match="hiccuped"):
        patched.setattr(Trainer, "fit", fail)
        audit.run("digits_tiny", networks=4, seeds=1, overrides=CHANGES)
    assert len(audit.run("digits_tiny", networks=4, seeds=1, overrides=CHANGES).networks) == 4


def test_an_interruption_while_networks_are_counted_is_one(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And no failure of the network that is being counted."""
    from moonas.evaluation.static import StaticEvaluator

    evaluate, counted = StaticEvaluator.evaluate, []

    def interrupted(self: StaticEvaluator, candidates: Any) -> Any:
        counted.append(1)
        if len(counted) == 5:
            signal.raise_signal(signal.SIGINT)
        return evaluate(self, candidates)

    monkeypatch.setattr(StaticEvaluator, "evaluate", interrupted)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    try:
        with pytest.raises(KeyboardInterrupt):
            audit.run("digits_tiny", networks=4, seeds=1, overrides=CHANGES)
    finally:
        signal.signal(signal.SIGINT, before)
    assert not Path("runs").exists()


def test_the_folder_of_a_run_may_be_the_current_one(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moonas.load("digits_tiny", out="runs/r", overrides={**CHANGES, "budget.trials": 8}).run()
    monkeypatch.chdir("runs/r")
    found = audit.run(".", networks=4, seeds=1)
    assert found.out.resolve() == here / "runs" / "r-audit"


@pytest.mark.parametrize(
    ("fidelity", "advice"),
    [
        ({"epochs": 2, "samples": 200}, "raise fidelity.samples to 400"),
        ({"epochs": 2, "samples": 900}, "raise fidelity.samples to 1000"),
        ({"epochs": 2}, "raise fidelity.epochs to 4"),
        ({"epochs": 8}, "raise fidelity.epochs to 10"),
        ({"epochs": 10, "resolution": 4}, "raise fidelity.resolution to that of the images"),
        ({"epochs": 10}, ""),
    ],
)
def test_advice_doubles_the_work_within_the_data_and_full_training(fidelity: dict[str, int], advice: str) -> None:
    from moonas.spec.training import FidelitySpec
    from moonas.study.retraining import nearer_to_full

    assert nearer_to_full(FidelitySpec(**fidelity), {"full": FidelitySpec(epochs=10)}, 1000) == advice


def test_the_work_of_a_training_counts_pixels_and_seeds() -> None:
    from moonas.spec.training import FidelitySpec

    assert FidelitySpec(epochs=2, samples=500).work(1000, 28) == 1000
    assert FidelitySpec(epochs=2, resolution=14, seeds=3).work(1000, 28) == pytest.approx(1500)


def test_the_steps_of_a_spread_are_even() -> None:
    from moonas.study.spread import Sized, spread

    networks = [Sized((i,), f"k{i}", i, i) for i in np.random.default_rng(0).permutation(41)]
    assert [each.flops for each in spread(networks, 5)] == [0, 10, 20, 30, 40]
    always = [each.flops for each in spread(networks, 5, ["k3", "k4"])]
    assert {0, 3, 4, 40} < set(always)
    assert len(always) == 5


def test_the_module_is_public() -> None:
    assert moonas.audit is audit
    assert "audit" in dir(moonas)
