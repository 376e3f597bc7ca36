"""What is said of a search whose trials look wrong."""

import pandas as pd
import pytest

from moonas.problem.trial import LEARNT_NOTHING
from moonas.report.remarks import remarks

BEATEN = "stopped at rung 1 of 2: not among the 2 of 6 that went on"
HOPELESS = f"stopped at rung 1 of 2: {LEARNT_NOTHING}"


def trials(complete: list[float], stopped: list[str] | None = None) -> pd.DataFrame:
    stopped = stopped or []
    return pd.DataFrame(
        {
            "state": ["complete"] * len(complete) + ["stopped"] * len(stopped),
            "accuracy": [*complete, *(0.1 for _ in stopped)],
            "error": [""] * len(complete) + stopped,
        }
    )


def test_a_rung_at_which_half_or_more_have_learnt_nothing_is_too_short() -> None:
    assert remarks(trials([0.5, 0.6], [HOPELESS] * 2 + [BEATEN] * 2), "accuracy") == [
        "2 of 4 stopped networks were no better than chance: the first rung is too short to tell networks apart; "
        "give search.halving.rungs.0 more epochs or samples."
    ]
    assert remarks(trials([0.5, 0.6], [HOPELESS] * 2 + [BEATEN] * 3), "accuracy") == []


@pytest.mark.parametrize("accuracies", [[0.25] * 4, [0.25, 0.25, 0.5, 0.25]])
def test_networks_of_one_accuracy_may_have_learnt_nothing(accuracies: list[float]) -> None:
    count = accuracies.count(0.25)
    assert remarks(trials(accuracies), "accuracy") == [
        f"{count} of 4 complete networks have the same accuracy, 0.2500: they may have learnt nothing; "
        "look at the labels, or train longer."
    ]


@pytest.mark.parametrize(
    "accuracies",
    [
        [],
        [0.25] * 3,  # too few to tell
        [0.25, 0.25, 0.5, 0.75],
        [1.0] * 6,  # all has been learnt
    ],
)
def test_others_are_left_in_peace(accuracies: list[float]) -> None:
    assert remarks(trials(accuracies), "accuracy") == []


def test_stopped_networks_do_not_count_as_alike() -> None:
    assert remarks(trials([0.4, 0.5, 0.6, 0.7], [BEATEN] * 9), "accuracy") == []


def test_a_search_that_trains_nothing_is_not_judged_by_training() -> None:
    assert remarks(trials([0.25] * 4).drop(columns="accuracy"), "accuracy") == []


def test_latencies_of_a_busy_machine_are_told() -> None:
    frame = trials([0.5, 0.6, 0.7, 0.8]).assign(latency_uncertainty=[0.2, 0.3, 0.01, 0.02])
    assert remarks(frame, "accuracy") == [
        "Warning: 2 of 4 latencies of the search were timed on a busy machine (latency_uncertainty above 0.15): "
        "their order is doubtful where they differ by less; search again when it is idle."
    ]
    assert remarks(frame.assign(latency_uncertainty=[0.2, 0.15, 0.01, 0.02]), "accuracy") == []
    assert remarks(frame.head(3), "accuracy") == []
