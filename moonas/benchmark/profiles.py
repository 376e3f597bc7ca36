"""Device profiles fitted to published latencies, each with the error that it makes on networks left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer
import yaml

from moonas.benchmark.devices import DEVICES, Device
from moonas.benchmark.published import FUSION, SOURCE, Setting, read_settings, read_works, setting_of
from moonas.errors import MoonasError
from moonas.hardware.fit import FLOPS_ONLY, FOUR, SEVEN, Tied, errors_of, fit, leave_one_out
from moonas.hardware.roofline import Work
from moonas.terminal import say

_OF = "known networks for images of 128 to 416 pixels each left out of the fit in turn"
_SMALLEST_PIXELS = 128
_CORES = {0: "", 2: " (large cores)"}


def profiles(
    timings: Annotated[Path, typer.Argument(help="CSV: device, threads, powersave, gpu, network, min_ms.")],
    networks: Annotated[Path, typer.Argument(help="CSV: network, kernels, multiply-adds by kind, bytes, params.")],
    out: Annotated[Path, typer.Option(help="The folder of the profiles.")] = Path("hw_profiles"),
) -> None:
    """Fit the shipped profiles of real devices to what ncnn took for known networks, and write them.

    Errors are those of a fit to all other networks, for each network. At the end the same for all settings of CPUs,
    beside fits that have other costs.
    """
    works = read_works(networks)
    settings = read_settings(timings, list(works))
    chosen = {name: setting_of(device, settings) for name, device in DEVICES.items()}
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, setting in chosen.items():
            (out / f"{name}.yaml").write_text(profile_text(DEVICES[name], setting, works), encoding="utf-8")
    except OSError as error:
        raise MoonasError(f"--out {out} cannot be written: {error.strerror or error}") from error
    say(_table({name: {"threads": setting.threads, **left_out(setting, works)} for name, setting in chosen.items()}))
    say(f"\nMedians over {len(settings)} settings of CPUs, by what is fitted:")
    forms = {"four costs": FOUR, "seven costs": SEVEN, "flops alone": FLOPS_ONLY}
    errors = {words: [left_out(each, works, tied) for each in settings] for words, tied in forms.items()}
    say(_table({words: pd.DataFrame(each).median() for words, each in errors.items()}))


def _table(rows: Mapping[str, Any]) -> str:
    return str(pd.DataFrame(list(rows.values()), index=list(rows)).to_string(float_format="{:.3f}".format))


def left_out(setting: Setting, works: Mapping[str, Work], tied: Tied = FOUR) -> dict[str, float]:
    """How well each network is predicted by a fit to the others."""
    asked, measured = [works[name] for name in setting.latencies_ms], list(setting.latencies_ms.values())
    return errors_of(leave_one_out(asked, measured, tied=tied), measured)


def profile_text(device: Device, setting: Setting, works: Mapping[str, Work]) -> str:
    """The file of a profile."""
    tree = _profile(setting, works)
    threads = f"{setting.threads} thread{'s' if setting.threads > 1 else ''}{_CORES[setting.powersave]}"
    fitted = f"fitted to {len(setting.latencies_ms)} networks, +-{100 * tree['validation']['mape']:.0f} %"
    return (
        f"# {device.words}, ncnn, {threads}, {fitted}.\n"
        "# Written by `python -m moonas.benchmark profiles`: the fastest runs, in one thread if that was published.\n"
        "# ncnn computes in 16 bits where the processor can: https://github.com/Tencent/ncnn/discussions/3933.\n"
        f"{yaml.safe_dump(tree, sort_keys=False, allow_unicode=True, width=200)}"
    )


def _profile(setting: Setting, works: Mapping[str, Work]) -> dict[str, Any]:
    measured = setting.latencies_ms
    roofline = fit([works[name] for name in measured], list(measured.values()))
    errors = {name: round(value, 3) for name, value in left_out(setting, works).items()}
    return {
        "kind": "fitted",
        "model": setting.device,
        "processor": "cpu",
        "runtime": "ncnn",
        "threads": setting.threads,
        "batch": 1,
        "fusion": list(FUSION),
        "roofline": {name: float(f"{value:.4g}") for name, value in asdict(roofline).items()},
        "validation": {"networks": len(measured), "of": _OF, "smallest_pixels": _SMALLEST_PIXELS, **errors},
        "source": SOURCE,
    }
