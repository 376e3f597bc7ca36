"""What is said of latencies that were predicted."""

from __future__ import annotations

from typing import Any

import pandas as pd

from moonas.network.architecture import Task
from moonas.report.prediction import prediction_remarks
from moonas.spec.device import DeviceSpec, load_device_tree

SMALL, LARGE = Task((1, 8, 8), 10), Task((3, 224, 224), 1000)
MINE = DeviceSpec(name="mine", table="mine.csv", runtime="torch")


def said(devices: dict[str, DeviceSpec], task: Task = LARGE, **trials: Any) -> list[str]:
    return prediction_remarks(pd.DataFrame(trials), devices=devices, encoding="tiny_cnn", task=task)


def shipped(name: str) -> DeviceSpec:
    return DeviceSpec.model_validate(load_device_tree(name))


def test_a_data_sheet_only_ranks() -> None:
    devices = {"latency_ms": shipped("t4"), "latency_ms@v100": shipped("v100")}
    assert said(devices) == [
        "Warning: latency_ms and latency_ms@v100 are predicted from a data sheet: good for a ranking at best, the "
        "milliseconds mean nothing."
    ]


def test_fitted_errors_hold_for_images_as_large_as_those_they_were_found_on() -> None:
    devices = {"latency_ms": shipped("raspberry_pi_4"), "latency_ms@m1": shipped("macbook_m1")}
    assert said(devices) == []
    assert said(devices, SMALL) == [
        "latency_ms and latency_ms@m1 are predicted with an error that was found for images of at least 128 pixels: "
        "for these, of 8x8, it is likely larger."
    ]
    assert said(devices, Task((128, 6), 5)) == []


def test_a_table_that_knows_few_of_the_kernels_is_told_with_the_command_that_measures_them() -> None:
    assert said({"latency_ms@mine": MINE}, SMALL, **{"coverage@mine": [0.1, 0.4, 0.9]}) == [
        "Warning: hardly any kernels of these networks are in the table of mine: in the median 0.4000 of "
        "latency_ms@mine is of measured ones (coverage@mine); measure those of this search space on the device: "
        "moonas profile NAME --encoding tiny_cnn --input 1x8x8 --classes 10 --runtime torch"
    ]


def test_an_encoding_without_a_file_of_its_own_is_to_be_written_to_one() -> None:
    trials = pd.DataFrame({"coverage@mine": [0.1]})
    (line,) = prediction_remarks(trials, {"latency_ms@mine": MINE}, encoding=None, task=SMALL)
    assert line.endswith(
        "measure those of this search space on the device, its encoding written to a FILE: moonas profile NAME "
        "--encoding FILE --input 1x8x8 --classes 10 --runtime torch"
    )


def test_a_table_that_knows_half_of_them_is_not_warned_of() -> None:
    assert said({"latency_ms": MINE}, coverage=[0.1, 0.5, None]) != []
    assert said({"latency_ms": MINE}, coverage=[0.4, 0.6, 0.5]) == []
    assert said({"latency_ms": MINE}, coverage=[None, None]) == []


def test_a_front_that_is_hardly_covered_is_warned_of_though_most_of_the_search_was() -> None:
    trials, front = (pd.DataFrame({"coverage": shares}) for shares in ([0.9, 0.8, 0.2], [0.2]))

    def remarks(*networks: pd.DataFrame) -> list[str]:
        return prediction_remarks(*networks, devices={"latency_ms": MINE}, encoding="tiny_cnn", task=SMALL)

    assert remarks(trials) == remarks(trials, front[:0]) == []
    (said,) = remarks(trials, front)
    assert "in the median 0.2000 of latency_ms" in said
