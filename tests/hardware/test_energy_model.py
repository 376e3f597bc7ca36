"""Modelled energy against sums by hand."""

from __future__ import annotations

import pytest
from torch import nn

from moonas.hardware.energy_model import EnergyModel
from moonas.hardware.trace import trace

FLOAT = 4
CONVOLUTION = nn.Conv2d(3, 5, 3, padding=1, bias=False)
MULTIPLY_ADDS = 5 * 8 * 8 * 27
BYTES = FLOAT * (3 * 64 + 5 * 3 * 9 + 5 * 64)


def test_modelled_energy_by_hand() -> None:
    energy = EnergyModel(4.6, 160, static_w=2).estimate(trace(CONVOLUTION, (3, 8, 8)), latency_ms=0.5)
    moved_mj = (4.6 * MULTIPLY_ADDS + 160 * BYTES) * 1e-9
    assert energy.energy_mj == pytest.approx(moved_mj + 2 * 0.5)
    assert energy.above_idle_mj == pytest.approx(moved_mj)
    assert energy.power_w == pytest.approx(energy.energy_mj / 0.5)
    assert energy.uncertainty is None


def test_what_is_computed_with_the_operation_before_moves_nothing_between() -> None:
    operations = trace(nn.Sequential(CONVOLUTION, nn.ReLU()), (3, 8, 8))
    apart = EnergyModel(0, 1e9, 0).estimate(operations, 1.0).energy_mj
    together = EnergyModel(0, 1e9, 0, fusion=("relu",)).estimate(operations, 1.0).energy_mj
    between = FLOAT * 5 * 64
    assert apart == pytest.approx(BYTES + 2 * between)
    assert together == pytest.approx(BYTES)


def test_a_batch_takes_its_multiply_adds_as_often_and_its_weights_once() -> None:
    operations = trace(CONVOLUTION, (3, 8, 8), batch=4)
    assert EnergyModel(1e9, 0, 0).estimate(operations, 1.0).energy_mj == 4 * MULTIPLY_ADDS
    images = FLOAT * (3 * 64 + 5 * 64)
    moved = EnergyModel(0, 1e9, 0).estimate(operations, 1.0).energy_mj
    assert moved == pytest.approx(BYTES + 3 * images)
