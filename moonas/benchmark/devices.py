"""Which of the devices that ncnn was measured on become profiles, and what they are called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Device:
    """A device that becomes a profile.

    Attributes:
        published: its name where its latencies are published.
        words: what it is, for readers.
    """

    published: str
    words: str


DEVICES: Mapping[str, Device] = {
    "raspberry_pi_3": Device(
        "Raspberry Pi 3 Model B+ Broadcom BCM2837B0, Cortex-A53 (ARMv8) (1.4GHz x 4)",
        "Raspberry Pi 3 Model B+ (4 x Cortex-A53)",
    ),
    "raspberry_pi_4": Device(
        "Raspberry Pi 4 Model B Broadcom BCM2711B0, Cortex-A72 (ARMv8) (1.8GHz x 4)",
        "Raspberry Pi 4 Model B (4 x Cortex-A72)",
    ),
    "raspberry_pi_5": Device(
        "Raspberry Pi 5 Broadcom BCM2712, Cortex-A76 (ARMv8) (2.4GHz x 4)",
        "Raspberry Pi 5 (4 x Cortex-A76)",
    ),
    "raspberry_pi_zero_2": Device(
        "Raspberry Pi Zero 2 W Broadcom BCM2710A1, Cortex-A53 (ARMv8) (1.0GHz x 4)",
        "Raspberry Pi Zero 2 W (4 x Cortex-A53)",
    ),
    "jetson_nano_cpu": Device("NVIDIA Jetson Nano", "CPU of a Jetson Nano"),
    "jetson_orin_nano_cpu": Device("NVIDIA Jetson Orin Nano", "CPU of a Jetson Orin Nano"),
    "jetson_agx_xavier_cpu": Device(
        "NVIDIA Jetson AGX Xavier (Carmel 2.2 GHz x 8 + Volta Tensor Cores 64)",
        "CPU of a Jetson AGX Xavier (8 x Carmel)",
    ),
    "jetson_agx_orin_cpu": Device(
        "NVIDIA Jetson AGX Orin (Cortex-A78AE 2.2 GHz x 12 + Ampere@1.3 GHz Tensor Cores 64)",
        "CPU of a Jetson AGX Orin (12 x Cortex-A78AE)",
    ),
    "rk3588": Device(
        "Station-M3/ROC-RK3588S-PC, Rockchip RK3588S (Quad Core A76 2.4GHz + Quad Core A55 1.8GHz + Mali-G610) "
        "StationOS (Android)",
        "Rockchip RK3588S (4 x Cortex-A76, 4 x Cortex-A55)",
    ),
    "visionfive_2": Device(
        "VisionFive2 , JH7110 (SiFive-U74(RV64GC) 1.5GHz x 4) riscv64 with PowerVR B-Series BXE-4-32",
        "VisionFive 2, JH7110 (4 x SiFive U74)",
    ),
    "kirin_970": Device(
        "Kirin 970 (Cortex-A73 2.4GHz x 4 + Cortex-A53 1.8GHz x 4)",
        "Phone with a Kirin 970 (4 x Cortex-A73, 4 x Cortex-A53)",
    ),
    "snapdragon_855_plus": Device(
        "Qualcomm SM8150-AC Snapdragon 855+ (Kyro485 2.96 GHz + 2.42 GHz x 3 + 1.80 GHz x 4 + Adreno 640)",
        "Phone with a Snapdragon 855+ (8 x Kryo 485)",
    ),
    "snapdragon_8_gen_2": Device(
        "Qualcomm SM8550-AB Snapdragon 8 Gen 2 (Kyro 3.20 GHz + 2.8 GHz x 2 + 2.80 GHz x 2 + 2.00 GHz * 3 "
        "+ Adreno 740)",
        "Phone with a Snapdragon 8 Gen 2 (8 x Kryo)",
    ),
    "dimensity_9300": Device(
        "MediaTek Dimensity 9300 (MT6989) (Cortex-X4 3.25 GHz + 2.85 GHz x 3 + Cortex-A720 2.0 GHz x 4 "
        "+ Mali-G720-Immortalis MC12)",
        "Phone with a Dimensity 9300 (4 x Cortex-X4, 4 x Cortex-A720)",
    ),
    "macbook_m1": Device("MacBook Pro (13-inch, M1, 2020)", "CPU of a MacBook Pro (M1, 2020)"),
    "macbook_m3": Device("MacBook Air (13-inch, M3, 2024)", "CPU of a MacBook Air (M3, 2024)"),
    "core_i7_13700k": Device("Intel® Core™ i7-13700K of Desktop[2023-10-12]", "Desktop with an Intel Core i7-13700K"),
    "epyc_7742": Device("AMD EPYC 7742 (2.25GHz) ubuntu 22.04 AOCC_4.2.0-Build#89", "Server with an AMD EPYC 7742"),
    "azure_d64s_v6": Device("Microsoft Azure Standard D64s v6 Instance", "Azure D64s v6 (Intel)"),
    "azure_d64ps_v6": Device("Microsoft Azure Standard D64ps v6 Instance", "Azure D64ps v6 (Arm)"),
}
