from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from moonas.errors import MeterError
from moonas.hardware.meter.recording import Recording


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "meter.csv"
    path.write_text("seconds,watts\n1000,2\n1001,4\n1003,4\n1004,0\n")
    return path


class Time:
    """A clock that stands still but for sleep, during which something may happen."""

    def __init__(self, now: float, then: Any = lambda: None):
        self.now, self.then = now, then

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.then()


def recording(path: Path, time: Time) -> Recording:
    return Recording(path, clock=time.clock, sleep=time.sleep)


def test_the_energy_of_a_window_is_the_area_between_its_ends(file: Path) -> None:
    time = Time(1000.5)
    meter = recording(file, time)
    before = meter.joules()  # from 2 W to 3 W in half a second
    assert before == pytest.approx(1.25)
    time.now = 1003.25  # to 4 W, two seconds of that, a quarter of a second from 4 W to 3 W
    assert meter.joules() - before == pytest.approx(1.75 + 8 + 0.875)
    assert (meter.scope, meter.method) == ("external", "recording meter.csv")


def test_the_window_follows_the_pace_of_the_rows(file: Path) -> None:
    assert recording(file, Time(1001)).period_s == 1
    assert recording(file, Time(1001)).shortest_window_s == 50


def test_rows_that_are_late_are_waited_for(file: Path) -> None:
    def write() -> None:
        if "1006" not in file.read_text():
            file.write_text(file.read_text() + "1006,10\n")

    time = Time(1005.0, write)
    assert recording(file, time).joules() == pytest.approx(3 + 8 + 2 + 2.5)


def test_waiting_for_rows_is_no_part_of_what_is_measured(file: Path) -> None:
    """A recorder that writes in blocks: at both marks its rows are late."""
    time = Time(1001.0)
    meter = recording(file, time)
    start = meter.mark()
    time.now = 1004.5
    end = meter.mark()
    assert time.now == 1004.5
    time.then = lambda: file.write_text("seconds,watts\n1000,2\n1001,4\n1003,4\n1004,0\n1005,2\n")
    assert meter.between(start, end) == pytest.approx(8 + 2 + 0.25)
    assert time.now > 1004.5


def test_a_recorder_is_waited_for_as_its_pace_demands(file: Path) -> None:
    file.write_text("1000,2\n1020,2\n1040,2\n")
    time = Time(1041.0)
    time.then = lambda: file.write_text("1000,2\n1020,2\n1040,2\n1060,2\n") if time.now > 1060 else None
    assert recording(file, time).joules() == pytest.approx(82)


def test_a_row_in_the_making_is_not_read(file: Path) -> None:
    file.write_text(file.read_text() + "1005,1")  # of 12
    assert recording(file, Time(1003.5)).joules() == pytest.approx(3 + 8 + 1.5)


def test_a_recording_that_has_ended_is_told(file: Path) -> None:
    with pytest.raises(MeterError, match=r"meter\.csv does not grow: its last row is 1\d\.\d s old; is it still rec"):
        recording(file, Time(1005)).joules()


def test_a_recording_of_the_future_is_told(file: Path) -> None:
    with pytest.raises(MeterError, match=r"meter\.csv begins 100\.0 s from now; is it recorded by the same clock\?"):
        recording(file, Time(900)).joules()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds 0 rows; start the recording before the search"),
        ("seconds,watts\n1,2\n", "holds 1 rows"),
        ("1,2\n2,3,4\n", r"meter\.csv, line 2: must be seconds,watts, is '2,3,4'"),
        ("1,2\n2,three\n", r"line 2: must be seconds,watts, is '2,three'"),
        ("time,power\n1,2\n", r"line 1: must be seconds,watts, is 'time,power'"),
        ("1,2\n2,nan\n", r"line 2: must be finite numbers, is '2,nan'"),
        ("1,2\n1,3\n", "its seconds must grow from row to row"),
    ],
)
def test_what_is_no_recording_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "meter.csv"
    path.write_text(text)
    with pytest.raises(MeterError, match=message):
        Recording(path)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(MeterError, match=r"other\.csv cannot be read: FileNotFoundError"):
        Recording(tmp_path / "other.csv")


def test_it_travels_to_workers(file: Path) -> None:
    assert pickle.loads(pickle.dumps(Recording(file))).method == "recording meter.csv"
