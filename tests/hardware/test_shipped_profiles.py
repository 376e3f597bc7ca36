"""What every shipped profile of a device must tell, and how the devices compare."""

from __future__ import annotations

from typing import Any

import pytest

import moonas
from moonas import content
from moonas.benchmark.devices import DEVICES
from moonas.hardware.kernels import kernels_of
from moonas.hardware.roofline import Roofline, work_of
from moonas.hardware.trace import Operation, trace
from moonas.spec.device import load_device_tree

PROFILES = {path.stem: load_device_tree(path.stem) for path in content.shipped_folder("hw_profiles").glob("*.yaml")}
FITTED = sorted(name for name, tree in PROFILES.items() if tree["kind"] == "fitted")
SPEC_SHEET = sorted(name for name, tree in PROFILES.items() if tree["kind"] == "spec-sheet")


@pytest.fixture(scope="module")
def mobilenet() -> tuple[Operation, ...]:
    return trace(moonas.architecture("mobilenet_v2").build(moonas.Task((3, 224, 224), 1000)), (3, 224, 224))


def predicted_ms(name: str, operations: tuple[Operation, ...]) -> float:
    tree: dict[str, Any] = PROFILES[name]
    return Roofline(**tree["roofline"]).work_ms(work_of(kernels_of(operations, tree["fusion"])))


def test_a_dozen_devices_that_people_have_are_fitted() -> None:
    assert sorted(DEVICES) == FITTED
    assert len(FITTED) >= 12
    assert SPEC_SHEET == ["a100", "h100", "t4", "v100"]


@pytest.mark.parametrize("name", FITTED)
def test_a_fitted_profile_tells_its_source_its_licence_and_its_error(name: str) -> None:
    tree = PROFILES[name]
    assert tree["source"]["url"].startswith("https://")
    assert tree["source"]["licence"] == "BSD-3-Clause"
    assert tree["validation"]["networks"] >= 14
    assert 0 < tree["validation"]["mape"] <= 0.3
    assert tree["roofline"]["depthwise_ps"] > 0
    error = f"+-{100 * tree['validation']['mape']:.0f} %"
    summary = content.summary(content.shipped_folder("hw_profiles") / f"{name}.yaml")
    assert f"fitted to {tree['validation']['networks']} networks, {error}." in summary


@pytest.mark.parametrize("name", SPEC_SHEET)
def test_a_spec_sheet_profile_claims_no_milliseconds_and_dates_its_price(name: str) -> None:
    tree = PROFILES[name]
    assert tree["validation"] is None
    assert "only for ranking" in content.summary(content.shipped_folder("hw_profiles") / f"{name}.yaml")
    assert tree["source"]["url"].startswith("https://")
    assert tree["price"]["source"]["date"].startswith("2026-")


@pytest.mark.parametrize(
    "slower_first",
    [
        ["raspberry_pi_zero_2", "raspberry_pi_3", "raspberry_pi_4", "raspberry_pi_5"],
        ["kirin_970", "snapdragon_855_plus", "dimensity_9300"],
        ["jetson_nano_cpu", "jetson_agx_xavier_cpu", "jetson_agx_orin_cpu"],
        ["raspberry_pi_5", "epyc_7742", "macbook_m1", "macbook_m3"],
        ["t4", "v100", "a100", "h100"],
    ],
)
def test_a_newer_device_is_faster(slower_first: list[str], mobilenet: tuple[Operation, ...]) -> None:
    latencies = [predicted_ms(name, mobilenet) for name in slower_first]
    assert latencies == sorted(latencies, reverse=True)
    assert len(set(latencies)) == len(latencies)


def test_a_prediction_is_near_what_was_published(mobilenet: tuple[Operation, ...]) -> None:
    assert predicted_ms("raspberry_pi_4", mobilenet) == pytest.approx(92.98, rel=0.2)  # ncnn's page, one thread
