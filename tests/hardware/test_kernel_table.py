from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from moonas.errors import MoonasError
from moonas.hardware import table as kernel_table
from moonas.hardware.device import FUSION
from moonas.hardware.kernel_times import CALL, KernelTime
from moonas.hardware.kernels import Kernel, kernels_of
from moonas.hardware.roofline import Work, work_of
from moonas.hardware.table import COLUMNS, KernelTable, append_rows, read_table
from moonas.hardware.trace import trace

WIDTHS = (4, 8, 16, 24, 32, 48)


@cache
def kernel(width: int) -> Kernel:
    (found,) = kernels_of(trace(nn.Conv2d(8, width, 3), (8, 12, 12)), FUSION["onnxruntime"])
    return found


def timed(width: int, microseconds: float | None = None) -> KernelTime:
    """By default each takes 2 us and 1 ns for a thousand multiply-adds."""
    work = replace(work_of([kernel(width)]), calls=0)
    return KernelTime(kernel(width).key, 2 + work.dense / 1e6 if microseconds is None else microseconds, 0.25, work)


CALLED = KernelTime(CALL, 5.0, 0.5, Work())
TIMES = [CALLED, *map(timed, WIDTHS)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "table.csv"


def test_a_table_comes_back_from_its_file(path: Path) -> None:
    append_rows(path, TIMES[:3])
    append_rows(path, TIMES[3:])
    found = read_table(path).times
    assert list(found) == [time.key for time in TIMES]
    for time in TIMES:
        assert found[time.key].work == time.work
        assert found[time.key].microseconds == pytest.approx(time.microseconds, rel=1e-5)
        assert found[time.key].uncertainty_us == pytest.approx(time.uncertainty_us, rel=1e-2)


def test_a_table_that_was_cut_anywhere_is_read_and_continued(path: Path) -> None:
    append_rows(path, TIMES)
    whole = path.read_bytes()
    for cut in (*range(0, len(whole), 23), *range(len(whole) - 12, len(whole))):
        path.write_bytes(whole[:cut])
        known = read_table(path).times
        assert len(known) == max(0, whole[:cut].count(b"\n") - 1)
        append_rows(path, [time for time in TIMES if time.key not in known])
        assert path.read_bytes() == whole


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"name,age\nAda,36\n", f"is no table of kernels: its columns must be {', '.join(COLUMNS)}"),
        (b"name,age\n", "is no table of kernels: its columns must be"),
        (b"\xff\xfe\x00\n", "is no table of kernels: "),
        (
            ",".join(COLUMNS).encode() + b"\nrelu,x,0.1,0,1,0,0,0,0,8\n",
            "line 2: could not convert string to float: 'x'",
        ),
        (",".join(COLUMNS).encode() + b"\nrelu,1,0.1\n", f"line 2: must have {len(COLUMNS)} columns"),
        (",".join(COLUMNS).encode() + b"\nrelu,nan,0.1,0,1,0,0,0,0,8\n", "line 2: times must be finite"),
        (
            ",".join(COLUMNS).encode() + b"\nrelu,1,-0.1,0,1,0,0,0,0,8\n",
            "line 2: uncertainties and counts must be 0 or",
        ),
        (
            ",".join(COLUMNS).encode() + b"\nrelu,1,0.1,0,1,0,-4,0,0,8\n",
            "line 2: uncertainties and counts must be 0 or",
        ),
        (",".join(COLUMNS).encode() + b"\nrelu,1,0.1,0,1,0,1" + b"0" * 400 + b",0,0,8\n", "counts below 10^18"),
        (",".join(COLUMNS).encode() + b"\nnetwork 2,0,0,0,0,0,0,0,0,0\n", "line 2: a whole network 2 must take time"),
    ],
)
def test_what_is_no_table_is_refused_in_one_sentence(path: Path, content: bytes, sentence: str) -> None:
    path.write_bytes(content)
    with pytest.raises(MoonasError) as caught:
        read_table(path)
    assert sentence in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_kernels_that_cannot_all_be_written_are_not_there_at_all(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    append_rows(path, TIMES[:2])
    before, written = path.read_bytes(), kernel_table.asdict

    def full(work: Work) -> Any:
        if work == TIMES[4].work:
            raise OSError(28, "No space left on device")
        return written(work)

    monkeypatch.setattr(kernel_table, "asdict", full)
    with pytest.raises(MoonasError, match="cannot be written: No space left"):
        append_rows(path, TIMES[2:])
    assert path.read_bytes() == before


def test_a_table_that_is_not_there_or_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(MoonasError, match=r"none\.csv cannot be read: No such file"):
        read_table(tmp_path / "none.csv")
    with pytest.raises(MoonasError, match="cannot be written: "):
        append_rows(tmp_path, [CALLED])


def test_of_a_key_that_comes_again_the_median_counts(path: Path) -> None:
    append_rows(path, [timed(4, 7.0), timed(4, 3.0), timed(8, 1.0), timed(4, 4.0), timed(8, 2.0)])
    times = read_table(path).times
    assert times[kernel(4).key].microseconds == 4.0
    assert times[kernel(8).key].microseconds == 1.0


@given(st.lists(st.sampled_from(WIDTHS), max_size=8))
def test_what_is_known_is_added_up(widths: list[int]) -> None:
    found = KernelTable(TIMES).sum([kernel(width) for width in widths])
    assert found.latency_ms == pytest.approx((5 + sum(timed(width).microseconds for width in widths)) / 1000)
    assert found.coverage == pytest.approx(1)


def test_what_is_missing_is_predicted_and_lowers_the_coverage() -> None:
    table = KernelTable(time for time in TIMES if time.key != kernel(16).key)
    found = table.sum([kernel(16), kernel(24)])
    missing, known = timed(16).microseconds, timed(24).microseconds
    assert found.latency_ms == pytest.approx((5 + missing + known) / 1000, rel=0.01)  # their costs are linear
    assert found.coverage == pytest.approx((5 + known) / (5 + known + missing), rel=0.01)


def test_what_is_missing_takes_as_much_longer_as_the_three_that_are_most_alike() -> None:
    """With few channels a device may be slower than multiply-adds tell."""
    few = [timed(width, 10 * timed(width).microseconds) for width in (1, 2, 3)]
    table = KernelTable([*TIMES, *few, *map(timed, range(64, 80, 2))])

    def by_costs(width: int) -> float:
        return 1000 * table.roofline.work_ms(timed(width).work)

    ratios = [table.times[kernel(width).key].microseconds / by_costs(width) for width in (3, 4, 8)]
    predicted = 1000 * table.sum([kernel(5)]).latency_ms - 5
    assert predicted == pytest.approx(by_costs(5) * sum(ratios) / 3)
    assert predicted > 3 * timed(5).microseconds
    assert 1000 * table.sum([kernel(81)]).latency_ms - 5 == pytest.approx(timed(81).microseconds, rel=0.02)


def test_where_none_is_alike_the_costs_alone_tell() -> None:
    (unlike,) = kernels_of(trace(nn.Conv2d(8, 16, 3, bias=False), (8, 12, 12)), FUSION["onnxruntime"])
    table, work = KernelTable(TIMES), replace(work_of([unlike]), calls=0)
    assert 1000 * table.sum([unlike]).latency_ms - 5 == pytest.approx(1000 * table.roofline.work_ms(work))


def test_negative_times_count_as_they_are_but_not_against_the_coverage() -> None:
    found = KernelTable([CALLED, timed(4, -1.0)]).sum([kernel(4)])
    assert found.latency_ms == pytest.approx(0.004)
    assert found.coverage == 1


def test_too_few_kernels_predict_no_others() -> None:
    table = KernelTable([CALLED, *map(timed, WIDTHS[:4])])
    assert table.sum([kernel(4)]).coverage == 1
    with pytest.raises(MoonasError, match="is not in the table, and its 5 times are too few to predict others"):
        table.sum([kernel(4), kernel(48)])


def test_a_call_that_was_not_measured_is_left_out() -> None:
    found = KernelTable(TIMES[1:]).sum([kernel(4)])
    assert found.latency_ms == pytest.approx(timed(4).microseconds / 1000)


def test_an_empty_table_knows_nothing(path: Path) -> None:
    path.write_bytes(b"")
    with pytest.raises(MoonasError, match="too few to predict others"):
        read_table(path).sum([kernel(4)])
