"""Pictures of the front: that there is one, whatever the frame, and that it says what it shows."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from moonas.problem.objective import Objective
from moonas.report.plot import plot_front

OBJECTIVES = (
    Objective("accuracy", "maximize", reference=0.5, ideal=1.0),
    Objective("latency_ms", "minimize", reference=2.0, ideal=0.0),
    Objective("size_mb", "minimize", reference=1.0, ideal=0.0),
    Objective("robustness", "maximize", reference=0.0, ideal=1.0),
)


def make_trials(count: int = 30, *, state: str | None = None) -> pd.DataFrame:
    """Trials of a made-up search; one in five is infeasible and was not trained, one in ten has failed."""
    random = np.random.default_rng(0)
    size = random.uniform(0.05, 1.0, count)
    trials = pd.DataFrame(
        {
            "number": range(count),
            "state": state or "complete",
            "accuracy": 0.6 + 0.35 * size**0.5 * random.uniform(0.8, 1.0, count),
            "latency_ms": size * random.uniform(0.8, 2.0, count),
            "size_mb": size,
            "robustness": random.random(count),
        }
    )
    if state is None:
        trials.loc[trials["number"] % 5 == 4, ["state", "accuracy", "robustness"]] = ["infeasible", math.nan, math.nan]
        failed = trials["number"] % 10 == 7
        trials.loc[failed, "state"] = "failed"
        trials.loc[failed, [o.metric for o in OBJECTIVES]] = math.nan
    return trials


FRAMES = {
    "a run": make_trials(),
    "all complete": make_trials(state="complete"),
    "one complete": make_trials(1, state="complete"),
    "all infeasible": make_trials(state="infeasible"),
    "all failed": make_trials(10, state="failed"),
    "no trials": make_trials(0),
    "all alike": pd.concat([make_trials(1)] * 5).assign(number=range(5)),
    "nothing measured": make_trials(10, state="failed").assign(**{o.metric: math.nan for o in OBJECTIVES}),
}


# Each of four numbers of objectives in both formats, and each other frame once.
PICTURES = [("a run", count, suffix) for count in (1, 2, 3, 4) for suffix in (".png", ".svg")]
PICTURES += [(name, 3, ".png") for name in list(FRAMES)[1:]]


@pytest.mark.parametrize(("name", "count", "suffix"), PICTURES)
def test_every_frame_has_a_picture(name: str, count: int, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"front{suffix}"
    plot_front(FRAMES[name], OBJECTIVES[:count], path, title="digits", notes={"latency_ms": "measured here"})
    if suffix == ".png":
        with Image.open(path) as image:
            image.load()
            assert image.format == "PNG"
            assert image.width > 400 * count
            assert len(image.convert("L").getcolors() or []) > 2
    else:
        assert ElementTree.parse(path).getroot().tag == "{http://www.w3.org/2000/svg}svg"


def words(path: Path) -> list[str]:
    """The texts of an SVG; matplotlib draws letters as shapes, and notes in a comment what they say."""
    return re.findall(r"<!-- (.*?) -->", path.read_text(encoding="utf-8"), flags=re.DOTALL)


def drawn(tmp_path: Path, trials: pd.DataFrame, *objectives: Objective, **options: object) -> str:
    path = tmp_path / "front.svg"
    plot_front(trials, objectives, path, **options)  # type: ignore[arg-type]
    return "\n".join(words(path))


def test_each_axis_says_its_metric_and_which_way_is_better(tmp_path: Path) -> None:
    text = drawn(tmp_path, make_trials(), *OBJECTIVES)
    assert "accuracy  (↑ better)" in text
    assert "latency_ms  (← better)" in text
    assert "size_mb  (← better)" in text
    assert "robustness  (→ better)" in text
    assert "hypervolume  (↑ better)" in text


@pytest.mark.parametrize(
    ("x", "y", "corner"),
    [
        ("minimize", "maximize", "↖"),
        ("maximize", "maximize", "↗"),
        ("minimize", "minimize", "↙"),
        ("maximize", "minimize", "↘"),
    ],
)
def test_each_panel_says_which_corner_is_better(tmp_path: Path, x: str, y: str, corner: str) -> None:
    ends = {"minimize": (2.0, 0.0), "maximize": (0.0, 1.0)}
    objectives = (Objective("accuracy", y, *ends[y]), Objective("size_mb", x, *ends[x]))  # type: ignore[arg-type]
    assert f"{corner} better" in drawn(tmp_path, make_trials(), *objectives)


def test_the_title_and_the_notes_are_there(tmp_path: Path) -> None:
    note = {"latency_ms": "measured on an Example CPU", "params": "not drawn"}
    text = drawn(tmp_path, make_trials(), *OBJECTIVES[:2], title="my search", notes=note)
    assert "my search" in text
    assert "measured on an Example CPU" in text
    assert "not drawn" not in text


def test_the_legend_tells_the_front_from_the_others(tmp_path: Path) -> None:
    measured = make_trials().assign(accuracy=0.7)  # so that the infeasible ones have a place in the panel
    text = drawn(tmp_path, measured, *OBJECTIVES[:2])
    assert all(word in text for word in ("Pareto front", "complete", "infeasible"))
    assert "infeasible" not in drawn(tmp_path, make_trials(state="complete"), *OBJECTIVES[:2])


def test_an_svg_carries_no_date(tmp_path: Path) -> None:
    path = tmp_path / "front.svg"
    plot_front(make_trials(), OBJECTIVES[:2], path)
    assert not re.search(r"<dc:date>|20\d\d-\d\d-\d\d", path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_the_same_trials_give_the_same_bytes(tmp_path: Path, suffix: str) -> None:
    """So that pictures under version control change with what they show only."""
    paths = [tmp_path / f"{name}{suffix}" for name in ("one", "two")]
    for path in paths:
        plot_front(make_trials(), OBJECTIVES[:3], path, title="digits")
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_the_trials_are_left_as_they_were(tmp_path: Path) -> None:
    trials = make_trials()
    before = trials.copy()
    plot_front(trials, OBJECTIVES, tmp_path / "front.png")
    pd.testing.assert_frame_equal(trials, before)


def test_drawing_does_not_touch_the_figures_and_settings_of_its_caller(tmp_path: Path) -> None:
    """As in a notebook, where a figure is open and a style is set."""
    import matplotlib
    import matplotlib.pyplot as plt

    before, figures = dict(matplotlib.rcParams), plt.get_fignums()
    plot_front(make_trials(), OBJECTIVES, tmp_path / "front.svg")
    assert dict(matplotlib.rcParams) == before
    assert plt.get_fignums() == figures
