"""A candidate that goes wrong in any way becomes a failed row with its reason, and the search goes on."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import moonas
from moonas.errors import SearchFailedError, WorkerStartError

VICTIM_WIDTH = 24
"""Candidates whose last stage has this width go wrong; about a third of the tiny space."""


def is_victim(context: Any) -> bool:
    stages = context.architecture.stages
    return len(stages) == 2 and stages[1].width == VICTIM_WIDTH


def raises(module: nn.Module, context: Any) -> float:
    if is_victim(context):
        raise ValueError("this network\nis cursed")
    return 1.0


def gives_nan(module: nn.Module, context: Any) -> float:
    return float("nan") if is_victim(context) else 1.0


def gives_text(module: nn.Module, context: Any) -> Any:
    return "fast" if is_victim(context) else 1.0


def allocates(module: nn.Module, context: Any) -> float:
    if is_victim(context):
        hoard = [torch.empty(2**26) for _ in range(64)]  # 16 GiB in pieces of 256 MiB
        return float(len(hoard))
    return 1.0


def hangs(module: nn.Module, context: Any) -> float:
    if is_victim(context):
        time.sleep(600)
    return 1.0


def kills_its_worker(module: nn.Module, context: Any) -> float:
    if is_victim(context):
        os.kill(os.getpid(), signal.SIGKILL)
    return 1.0


@pytest.mark.parametrize(
    ("function", "cost", "workers", "reason"),
    [
        (raises, "cheap", 0, "ValueError: this network is cursed"),
        (raises, "dear", 1, "ValueError: this network is cursed"),
        (gives_nan, "cheap", 0, "gives_nan is NaN"),
        (gives_text, "cheap", 0, "gives_text must be a number, is a str"),
        (allocates, "cheap", 1, "out of memory: "),
        (hangs, "dear", 1, "took longer than its time limit of 6 s"),
        (
            kills_its_worker,
            "dear",
            1,
            "its worker process died (SIGKILL(-9)), as processes do when the system runs out of memory; "
            "budget.trial_memory_gb limits theirs",
        ),
    ],
)
def test_a_candidate_that_goes_wrong_fails_alone(
    tiny: Callable[..., moonas.Study], function: Any, cost: str, workers: int, reason: str
) -> None:
    study = tiny(
        objectives=[{"metric": "params"}, moonas.objective(function, goal="maximize", cost=cost)],
        budget={"trials": 8, "trial_seconds": 6 if function is hangs else 120, "trial_memory_gb": 0.6},
        search={"population": 4, "strategy": "random"},
        seed=3,
        workers=workers,
    )
    study.run()
    trials = study.trials
    victims = (trials["stages.1.depth"] == 1) & (trials["stages.1.width"] == VICTIM_WIDTH)
    assert len(trials) == 8
    assert 0 < victims.sum() < 8
    assert (trials.loc[victims, "state"] == "failed").all()
    assert trials.loc[victims, "error"].str.startswith(reason).all()
    assert (trials.loc[~victims, "state"] == "complete").all()


def test_a_worker_that_dies_once_is_replaced_and_its_trial_retried(
    tiny: Callable[..., moonas.Study], tmp_path: Path
) -> None:
    marker = tmp_path / "died"

    def dies_once(module: nn.Module, context: Any) -> float:
        if not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return 1.0

    objectives = [{"metric": "params"}, moonas.objective(dies_once, goal="maximize")]
    study = tiny(objectives=objectives, budget={"trials": 6}, workers=1)
    study.run()
    assert marker.exists()
    assert (study.trials["state"] == "complete").all()


def test_failed_trials_are_tried_again_when_asked_for_and_keep_their_numbers(
    tiny: Callable[..., moonas.Study],
) -> None:
    healed = False
    calls: list[str] = []

    def ill(module: nn.Module, context: Any) -> float:
        calls.append(context.architecture.key)
        if is_victim(context) and not healed:
            raise ValueError("ill")
        return 1.0

    def make() -> moonas.Study:
        objectives = [{"metric": "params"}, moonas.objective(ill, goal="maximize")]
        return tiny(objectives=objectives, search={"population": 6, "strategy": "random"})

    make().run()
    before = make().trials
    failed = set(before.loc[before["state"] == "failed", "key"])
    assert failed
    healed = True
    calls.clear()
    make().run()
    assert calls == []
    make().run(retry_failed=True)
    assert set(calls) == failed
    after = make().trials
    assert (after["state"] == "complete").all()
    assert list(after["key"]) == list(before["key"])


def test_a_first_generation_that_fails_whole_stops_the_search(tiny: Callable[..., moonas.Study]) -> None:
    def hopeless(module: nn.Module, context: Any) -> float:
        raise RuntimeError("no such thing")

    study = tiny(objectives=[{"metric": "params"}, moonas.objective(hopeless, goal="maximize")])
    with pytest.raises(SearchFailedError, match=r"all 6 candidates of the first generation failed.*no such thing"):
        study.run()
    assert (study.trials["state"] == "failed").all()


def test_after_such_a_start_what_was_complete_before_stays(tiny: Callable[..., moonas.Study]) -> None:
    broken = False

    def sometimes(module: nn.Module, context: Any) -> float:
        if broken:
            raise RuntimeError("the server is down")
        return 1.0

    def make() -> moonas.Study:
        return tiny(objectives=[{"metric": "params"}, moonas.objective(sometimes, goal="maximize")])

    outside = make()._strategy().ask(8)[6:]  # what the search does not ask for in its first generation of 6
    with make() as study:
        kept = {trial.key for trial in study.evaluate(outside)}
    broken = True
    with pytest.raises(SearchFailedError):
        make().run()
    broken = False
    make().run()
    trials = make().trials
    assert kept <= set(trials["key"])
    assert (trials["state"] == "complete").all()


def test_functions_do_not_see_what_others_did_to_the_module(tiny: Callable[..., moonas.Study]) -> None:
    def prune(module: nn.Module, context: Any) -> float:
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.zero_()
        return 0.0

    def norm(module: nn.Module, context: Any) -> float:
        return float(sum(parameter.detach().abs().sum() for parameter in module.parameters()))

    entries = [moonas.objective(function, goal="maximize") for function in (prune, norm)]
    first = tiny("first", objectives=[{"metric": "params"}, *entries])
    second = tiny("second", objectives=[{"metric": "params"}, *entries[::-1]])
    first.run()
    second.run()
    assert (first.trials["norm"] > 0).all()
    assert set(first.trials["norm"]) & set(second.trials["norm"])


def test_memory_that_one_candidate_left_behind_does_not_fail_the_next(tiny: Callable[..., moonas.Study]) -> None:
    def leaks(module: nn.Module, context: Any) -> float:
        import builtins

        hoard = builtins.__dict__.setdefault("_hoard", [])
        hoard.append(bytearray(120_000_000))
        return float(len(hoard))

    study = tiny(
        objectives=[{"metric": "params"}, moonas.objective(leaks, goal="maximize")],
        budget={"trials": 6, "trial_memory_gb": 0.4},
        workers=1,
    )
    study.run()
    assert (study.trials["state"] == "complete").all()
    assert study.trials["leaks"].max() >= 2


def test_a_worker_that_cannot_start_ends_the_search_and_fails_nobody(
    tiny: Callable[..., moonas.Study], tmp_path: Path
) -> None:
    full = tmp_path / "full"

    class Ballast:
        """Cannot be unpacked when there is no room."""

        def __reduce__(self) -> Any:
            return (unpack, (str(full),))

    ballast = Ballast()

    def weighed(module: nn.Module, context: Any) -> float:
        return 1.0 if ballast else 0.0

    def make(trials: int, workers: int = 1) -> moonas.Study:
        objectives = [{"metric": "params"}, moonas.objective(weighed, goal="maximize")]
        return tiny(objectives=objectives, budget={"trials": trials}, workers=workers)

    make(6, workers=0).run()
    full.touch()
    with pytest.raises(WorkerStartError, match="a worker process could not start: OSError: no room"):
        make(12).run()
    assert make(12).trials["state"].tolist() == ["complete"] * 6
    full.unlink()
    make(12).run()
    assert make(12).trials["state"].tolist() == ["complete"] * 12


def unpack(full: str) -> str:
    if os.path.exists(full):  # noqa: PTH110
        raise OSError("no room")
    return "ballast"


def test_after_such_a_start_a_mended_function_gets_a_new_one(tiny: Callable[..., moonas.Study]) -> None:
    broken = True

    def mended(module: nn.Module, context: Any) -> float:
        if broken:
            raise RuntimeError("a typing error")
        return 1.0

    objectives = [{"metric": "params"}, moonas.objective(mended, goal="maximize")]
    with pytest.raises(SearchFailedError):
        tiny(objectives=objectives).run()
    broken = False
    study = tiny(objectives=objectives)
    study.run()
    assert (study.trials["state"] == "complete").all()


def test_failures_told_before_an_interruption_are_kept(tiny: Callable[..., moonas.Study]) -> None:
    calls: list[str] = []

    def fails_at_first(module: nn.Module, context: Any) -> float:
        calls.append(context.architecture.key)
        if len(calls) <= 2:
            raise RuntimeError("not yet")
        return 1.0

    def interrupt(snapshot: Any) -> None:
        if snapshot.trials == 2:
            raise KeyboardInterrupt

    objectives = [{"metric": "params"}, moonas.objective(fails_at_first, goal="maximize", cost="dear")]
    study = tiny(objectives=objectives)
    with pytest.raises(KeyboardInterrupt):
        study.run(listener=interrupt)
    study.run()
    assert (study.trials["state"] == "failed").sum() == 2
