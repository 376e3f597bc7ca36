"""Training shrinks images and never enlarges them, whatever key asks for it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import moonas
from moonas import audit
from moonas.errors import SpecError
from moonas.study.study import Study

PROBLEM = {
    "name": "small",
    "encoding": "tiny_cnn",
    "data": "digits",
    "objectives": [{"metric": "accuracy"}, {"metric": "params"}],
    "fidelity": {"epochs": 1, "samples": 64},
    "search": {"population": 2},
    "budget": {"trials": 2},
    "workers": 0,
}
RUNGS = [{"epochs": 1, "samples": 32, "resolution": 9}]
WHAT = (
    "resolution: is {}, and the images have 8x8 pixels; training may shrink images, never enlarge them: give at most 8"
)


@pytest.fixture
def small(tmp_path: Path) -> Callable[..., Study]:
    def make(changes: dict[str, Any], **how: Any) -> Study:
        return moonas.load(PROBLEM, out=tmp_path / "run", overrides=changes, **how)

    return make


@pytest.mark.parametrize(
    ("changes", "phase", "complaint"),
    [
        ({"fidelity.resolution": 1000}, "proxy", "fidelity." + WHAT.format(1000)),
        ({"fidelity.resolution": 9}, "proxy", "fidelity." + WHAT.format(9)),
        ({"phases.full.resolution": 64}, "full", "phases.full." + WHAT.format(64)),
        ({"phases.full.resolution": 64}, "proxy", "phases.full." + WHAT.format(64)),
        ({"phases.validate.resolution": 64}, "validate", "phases.validate." + WHAT.format(64)),
        ({"search.halving": {"rungs": RUNGS}}, "proxy", "search.halving.rungs.0." + WHAT.format(9)),
    ],
)
def test_more_pixels_than_there_are_are_refused_before_anything_is_written(
    small: Callable[..., Study], changes: dict[str, Any], phase: str, complaint: str
) -> None:
    study = small(changes, phase=phase)
    with pytest.raises(SpecError) as refused:
        study.run()
    assert str(refused.value).splitlines()[0] == complaint
    assert not study.out.exists()


def test_all_such_keys_are_named_at_once(small: Callable[..., Study]) -> None:
    with pytest.raises(SpecError) as refused:
        small({"fidelity.resolution": 10, "phases.full.resolution": 11}).run()
    assert str(refused.value).splitlines() == ["phases.full." + WHAT.format(11), "fidelity." + WHAT.format(10)]


def test_as_many_pixels_as_there_are_are_fine(small: Callable[..., Study]) -> None:
    study = small({"fidelity.resolution": 8})
    study.run()
    assert set(study.trials["state"]) == {"complete"}


def test_an_audit_refuses_them_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"phases\.full\.resolution: is 64, and the images have 8x8 pixels"):
        audit.run(PROBLEM, out=tmp_path / "audit", overrides={"phases.full.resolution": 64})
    assert not (tmp_path / "audit").exists()
