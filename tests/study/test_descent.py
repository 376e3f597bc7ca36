"""Networks that keep limits, looked for gene by gene."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import moonas
from moonas.study.descent import Descent

LIMIT = moonas.Constraint("weight", at_most=1)


@dataclass(frozen=True)
class Digits(moonas.Architecture):
    """A network that is nothing but its genotype."""

    family = f"{__name__}:Digits"
    at: moonas.Genotype

    def build(self, task: moonas.Task) -> Any:
        raise NotImplementedError


class DigitSpace(moonas.Encoding):
    """Genes of ten choices each; the last matters only where the first is not 0."""

    genes = tuple(moonas.Gene(f"x{i}", tuple(range(10)), ordered=True) for i in range(6))  # type: ignore[assignment]

    def decode(self, genotype: moonas.Genotype) -> Digits:
        return Digits(genotype if genotype[0] else (*genotype[:-1], 0))

    def encode(self, architecture: moonas.Architecture) -> moonas.Genotype:
        assert isinstance(architecture, Digits)
        return architecture.at

    def active(self, genotype: moonas.Genotype) -> tuple[bool, ...]:
        return (True,) * 5 + (genotype[0] != 0,)


class Scales:
    """Weighs networks: a digit as far as it is from its place in `target`, those that are `broken` not at all."""

    def __init__(self, *target: int, broken: Sequence[moonas.Genotype] = ()):
        self.target, self.broken, self.asked = target, {*broken}, list[moonas.Genotype]()

    def __call__(self, genotypes: Sequence[moonas.Genotype]) -> list[moonas.Trial]:
        self.asked += genotypes
        return [self.weigh(genotype) for genotype in genotypes]

    def weigh(self, genotype: moonas.Genotype) -> moonas.Trial:
        if genotype in self.broken:
            return moonas.Trial(0, genotype, Digits(genotype), "failed", {}, error="broken")
        weight = float(sum(abs(own - to) for own, to in zip(genotype, self.target, strict=True)))
        state: Any = "complete" if weight <= 1 else "infeasible"
        return moonas.Trial(0, genotype, Digits(genotype), state, {"weight": weight})


def look(scales: Scales, *starts: moonas.Genotype, most: int = 256) -> Descent:
    descent = Descent(DigitSpace(), [LIMIT], scales, most=most)
    descent.run([scales.weigh(start) for start in starts])
    assert [trial.genotype for trial in descent.looked_at] == scales.asked
    assert len(set(scales.asked)) == len(scales.asked)
    return descent


def test_the_best_steps_of_all_genes_are_taken_together() -> None:
    found = look(scales := Scales(1, 9, 2, 8, 3, 7), (9, 0, 9, 0, 9, 0))
    assert found.looked_at[-1].genotype == (1, 9, 2, 8, 3, 7)
    assert found.looked_at[-1].state == "complete"
    assert len(scales.asked) == 6 * 9 + 3  # every other choice alone; two, four and all six together


def test_it_begins_with_the_nearest_and_ends_with_what_keeps_the_limits() -> None:
    scales = Scales(5, 5, 5, 5, 5, 5)
    found = look(scales, (1, 1, 1, 1, 1, 1), (5, 5, 5, 5, 5, 7))
    assert any(trial.state == "complete" for trial in found.looked_at)
    assert all(sum(own != 5 for own in genotype) <= 2 for genotype in scales.asked)


def test_genes_that_do_not_matter_are_left_alone() -> None:
    scales = Scales(0, 20, 20, 20, 20, 0)
    look(scales, (0, 9, 9, 9, 9, 0))
    assert all(genotype[-1] == 0 for genotype in scales.asked if genotype[0] == 0)


@pytest.mark.parametrize("most", [1, 30, 100])
def test_it_asks_for_no_more_than_it_may(most: int) -> None:
    found = look(Scales(*[99] * 6), (0, 0, 0, 0, 0, 0), most=most)
    assert len(found.looked_at) == most


def test_where_nothing_is_nearer_it_goes_on_from_the_next_network_and_then_ends() -> None:
    scales = Scales(*[11] * 6)
    found = look(scales, (9, 9, 9, 9, 9, 9), (1, 9, 9, 9, 9, 9), most=10_000)
    assert all(trial.state == "infeasible" for trial in found.looked_at)
    assert 2 * 9 * 5 < len(scales.asked) < 200


def test_networks_that_fail_are_no_way_to_go() -> None:
    near = [(5, 5, 5, 5, 5, 5), (5, 5, 5, 5, 5, 4), (5, 5, 5, 5, 5, 6)]
    found = look(Scales(5, 5, 5, 5, 5, 5, broken=near), (5, 5, 5, 5, 5, 9), (0, 0, 0, 0, 0, 0))
    assert {trial.state for trial in found.looked_at} == {"failed", "infeasible", "complete"}
    assert found.violation(found.looked_at[0]) > 0
    assert np.isinf(max(map(found.violation, found.looked_at)))
