"""What the name of a column tells of its metric and its device."""

from __future__ import annotations

import pytest

from moonas.spec.metric import METRICS, device_in, metric_of


@pytest.mark.parametrize(
    ("column", "metric", "device"),
    [
        ("latency_ms", "latency_ms", ""),
        ("latency_ms@raspberry_pi_4", "latency_ms", "raspberry_pi_4"),
        ("latency_ms@hw_profiles/mine.yaml", "latency_ms", "hw_profiles/mine.yaml"),
        ("coverage@mine", "coverage", "mine"),
        ("accuracy", "accuracy", ""),
    ],
)
def test_a_column_is_of_a_metric_and_of_a_device(column: str, metric: str, device: str) -> None:
    assert metric_of(column) is METRICS[metric]
    assert device_in(column) == device


@pytest.mark.parametrize("column", ["accuracy@t4", "latency_p90_ms@t4", "latency_ms@", "@t4", "stages.0.width", ""])
def test_only_what_a_profile_predicts_is_of_other_devices(column: str) -> None:
    assert metric_of(column) is None
