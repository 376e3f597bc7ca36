from __future__ import annotations

from typing import Any

import pytest

from moonas.hardware.device import DeviceProfile


def described(**fields: Any) -> str:
    settings: dict[str, Any] = {
        "name": "here",
        "kind": "measured",
        "processor": "cpu",
        "runtime": "onnxruntime",
        "threads": 1,
        "batch": 1,
        "rounds": 8,
        "round_ms": 15.0,
    }
    return DeviceProfile(**{**settings, **fields}).describe()


def test_a_latency_says_how_it_came_about() -> None:
    assert described() == "measured, ONNX Runtime on CPU, 1 thread, batch 1"


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"threads": 4}, "4 threads"),
        ({"batch": 16}, "batch 16"),
        ({"runtime": "torch"}, "PyTorch on CPU"),
        ({"runtime": "torch", "processor": "cuda"}, "CUDA"),
        ({"runtime": "ncnn"}, "ncnn on CPU"),
    ],
)
def test_what_makes_latencies_incomparable_is_told(fields: dict[str, Any], word: str) -> None:
    assert word in described(**fields)
    assert described(**fields) != described()
