from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from moonas.errors import MeterError
from moonas.hardware.meter.rapl import find

ZONES = "sys/class/powercap"


def zone(number: str, name: str, energy_uj: int, end_uj: int = 262_143_328_850) -> dict[str, object]:
    folder = f"{ZONES}/intel-rapl:{number}"
    return {f"{folder}/name": name, f"{folder}/energy_uj": energy_uj, f"{folder}/max_energy_range_uj": end_uj}


TWO_SOCKETS = {
    **zone("0", "package-0", 5_000_000),
    **zone("0:0", "core", 4_000_000),
    **zone("0:1", "dram", 1_000_000),
    **zone("1", "package-1", 7_000_000),
    **zone("2", "psys", 90_000_000),
    f"{ZONES}/intel-rapl/enabled": 1,
    f"{ZONES}/intel-rapl-mmio:0/name": "package-0",
    f"{ZONES}/intel-rapl-mmio:0/energy_uj": 5_000_000,
}


def put(root: Path, number: str, energy_uj: int) -> None:
    (root / ZONES / f"intel-rapl:{number}" / "energy_uj").write_text(f"{energy_uj}\n")


def test_packages_are_added_up_and_nothing_is_counted_twice(tree: Any) -> None:
    root = tree(TWO_SOCKETS)
    with find("cpu", root) as meter:
        before = meter.joules()
        put(root, "0", 6_500_000)
        put(root, "0:0", 5_000_000)
        put(root, "1", 7_250_000)
        put(root, "2", 99_000_000)
        assert meter.joules() - before == pytest.approx(1.5 + 0.25)
    assert (meter.scope, meter.method) == ("package", "RAPL")


def test_a_counter_that_begins_anew_goes_on_counting(tree: Any) -> None:
    root = tree(zone("0", "package-0", 9_000_000, end_uj=10_000_000))
    with find("cpu", root) as meter:
        before = meter.joules()
        put(root, "0", 9_800_000)
        assert meter.joules() - before == pytest.approx(0.8)
        put(root, "0", 300_000)  # 0.2 J to the end, 0.3 J after it
        assert meter.joules() - before == pytest.approx(1.3)
        put(root, "0", 400_000)
        assert meter.joules() - before == pytest.approx(1.4)


def test_what_happens_before_it_is_entered_does_not_count(tree: Any) -> None:
    root = tree(zone("0", "package-0", 1_000_000))
    meter = pickle.loads(pickle.dumps(find("cpu", root)))  # the way to a worker
    put(root, "0", 8_000_000)
    with meter:
        assert meter.joules() == 0


def test_a_counter_that_only_root_may_read_is_explained(tree: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tree(TWO_SOCKETS)
    read = Path.read_text

    def denied(path: Path, *arguments: Any, **options: Any) -> str:
        if path.name == "energy_uj":
            raise PermissionError(13, "Permission denied", str(path))
        return read(path, *arguments, **options)

    monkeypatch.setattr(Path, "read_text", denied)
    with pytest.raises(MeterError) as caught:
        find("cpu", root)
    counter = root / ZONES / "intel-rapl:0" / "energy_uj"
    assert str(caught.value) == f"{counter} is for root to read; run as root, or let others read it: chmod a+r"


@pytest.mark.parametrize("files", [{}, zone("0:0", "core", 1), zone("0", "psys", 1)], ids=["none", "core", "psys"])
def test_a_machine_without_packages_is_told_what_was_looked_for(tree: Any, files: Any) -> None:
    with pytest.raises(MeterError, match=r"there is no package among .*sys/class/powercap/intel-rapl:\*"):
        find("cpu", tree({"etc/hostname": "box", **files}))


def test_a_gpu_is_not_seen(tree: Any) -> None:
    with pytest.raises(MeterError, match=r"sees the CPU alone, and device\.processor is cuda"):
        find("cuda", tree(TWO_SOCKETS))


def test_a_counter_that_holds_no_number_is_explained(tree: Any) -> None:
    root = tree(zone("0", "package-0", 1) | {f"{ZONES}/intel-rapl:0/energy_uj": "busy"})
    with pytest.raises(MeterError, match="energy_uj must hold a whole number, holds 'busy'"):
        find("cpu", root)
