from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from moonas.errors import MeterError
from moonas.hardware.meter.pmic import board_w, find

# As https://github.com/jfikar/RPi5-power shows it.
TEXT = """ 3V7_WL_SW_A current(0)=0.00000000A
   3V3_SYS_A current(1)=0.06245952A
   1V8_SYS_A current(2)=0.16102850A
  DDR_VDD2_A current(3)=0.00780744A
  DDR_VDDQ_A current(4)=0.00000000A
   1V1_SYS_A current(5)=0.17566740A
    0V8_SW_A current(6)=0.32791250A
  VDD_CORE_A current(7)=10.87674000A
   3V3_DAC_A current(17)=0.00036630A
   3V3_ADC_A current(18)=0.00042735A
   0V8_AON_A current(16)=0.00579975A
      HDMI_A current(22)=0.01367520A
 3V7_WL_SW_V volt(8)=3.79999600V
   3V3_SYS_V volt(9)=3.30632200V
   1V8_SYS_V volt(10)=1.79828900V
  DDR_VDD2_V volt(11)=1.10292900V
  DDR_VDDQ_V volt(12)=0.60476130V
   1V1_SYS_V volt(13)=1.10439400V
    0V8_SW_V volt(14)=0.80256330V
  VDD_CORE_V volt(15)=0.89745940V
   3V3_DAC_V volt(20)=3.30494200V
   3V3_ADC_V volt(21)=3.30219400V
   0V8_AON_V volt(19)=0.79736190V
      HDMI_V volt(23)=5.07056000V
     EXT5V_V volt(24)=5.06788000V
      BATT_V volt(25)=3.01110800V
"""
RAILS = (  # volts and amperes, in the order of the currents
    (3.79999600, 0.0),
    (3.30632200, 0.06245952),
    (1.79828900, 0.16102850),
    (1.10292900, 0.00780744),
    (0.60476130, 0.0),
    (1.10439400, 0.17566740),
    (0.80256330, 0.32791250),
    (0.89745940, 10.87674000),
    (3.30494200, 0.00036630),
    (3.30219400, 0.00042735),
    (0.79736190, 0.00579975),
    (5.07056000, 0.01367520),
)


def test_rails_are_added_up_and_the_board_follows_by_the_fit() -> None:
    assert board_w(TEXT) == pytest.approx(1.1451 * sum(volts * amperes for volts, amperes in RAILS) + 0.5879)


def test_a_voltage_without_a_current_is_no_rail() -> None:
    assert board_w(" A_A current(0)=2.0A\n A_V volt(1)=3.0V\n EXT5V_V volt(24)=5.1V\n") == pytest.approx(
        1.1451 * 6 + 0.5879
    )


@pytest.mark.parametrize("text", ["", 'error=1 error_msg="Command not registered"', "EXT5V_V volt(24)=5.1V"])
def test_a_text_without_rails_is_refused(text: str) -> None:
    with pytest.raises(MeterError, match="pmic_read_adc names no rails, but says"):
        board_w(text)


@pytest.fixture
def vcgencmd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program of that name, on the path, that prints the text."""
    (tmp_path / "text").write_text(TEXT)
    program = tmp_path / "bin" / "vcgencmd"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\n[ "$1" = pmic_read_adc ] && while read -r line; do echo "$line"; done < {tmp_path}/text\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    return program


def model(name: str) -> dict[str, object]:
    return {"proc/device-tree/model": f"{name}\0"}


def test_the_program_is_asked(tree: Any, vcgencmd: Path) -> None:
    meter = find("cpu", tree(model("Raspberry Pi 5 Model B Rev 1.0")))
    assert meter._watts() == pytest.approx(board_w(TEXT))
    assert (meter.scope, meter.method) == ("board", "PMIC, fitted")


@pytest.mark.parametrize("name", ["Raspberry Pi 4 Model B Rev 1.4", "Raspberry Pi 500 Rev 1.0"])
def test_other_boards_are_not_taken_for_it(tree: Any, vcgencmd: Path, name: str) -> None:
    with pytest.raises(MeterError, match=f"only the Raspberry Pi 5 measures its power, and this is {name}"):
        find("cpu", tree(model(name)))


def test_a_program_that_is_missing_or_fails_is_explained(
    tree: Any, vcgencmd: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tree(model("Raspberry Pi 5 Model B Rev 1.0"))
    vcgencmd.write_text("#!/bin/sh\nexit 3\n")
    with pytest.raises(MeterError, match=r"vcgencmd pmic_read_adc failed: CalledProcessError: .* exit status 3"):
        find("cpu", root)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MeterError, match="there is no program vcgencmd; install raspi-utils"):
        find("cpu", root)
