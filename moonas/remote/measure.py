#!/usr/bin/env python3
"""Time what a bundle of `moonas profile bundle` holds, and write results.json.

    python3 measure.py [BUNDLE.zip] [--rounds N] [--dry-run] [--out results.json]

Needs Python 3.8 or newer, numpy and onnxruntime, and nothing else: no moonas, no PyTorch. Without BUNDLE.zip it
measures the unpacked bundle in which it lies. Interrupted, the same command goes on where it stopped. Bring
results.json back, and there: moonas profile import results.json

What is timed, and how, is as in moonas/hardware/latency.py, kernel_times.py and runtime.py; tests of moonas hold the
two against each other.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import re
import sys
import threading
import time
import zipfile
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Callable, Sequence

if sys.platform != "win32":
    import fcntl
try:
    import numpy as np
    import onnxruntime
except ImportError as error:
    sys.exit(f"measure.py: {error}; install what it needs: python3 -m pip install numpy onnxruntime")

SCHEMA_VERSION = 1
SECONDS_TO_LOAD = 0.04
UP_TO_S = 30.0
MOST_ROUNDS = 1000
_WARM_UP_CALLS = 5
_FEWEST_CALLS = 3
_MORE_ROUNDS = 10
_STEADY = 0.05

Call = Callable[[], Any]


class Bundle:
    """The files of a bundle, zipped or unpacked."""

    def __init__(self, path: Path):
        """Open it."""
        self._folder = path
        self._zip = zipfile.ZipFile(path) if path.is_file() else None
        self.manifest: dict[str, Any] = json.loads(self.read("manifest.json").decode("utf-8"))

    def read(self, name: str) -> bytes:
        """Read a file."""
        return self._zip.read(name) if self._zip else (self._folder / name).read_bytes()


def load(model: bytes, threads: int, is_part: bool = False, feed: dict[str, Any] | None = None) -> Call:
    """Make a model ready: a call without arguments for one inference on inputs that never change.

    Parts of a network leave their results with the runtime, and all use the same working memory. Inputs are those of
    `feed`, in which the first copy of a model leaves its own.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    if threads == 1:
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if is_part:
        options.add_session_config_entry("session.use_env_allocators", "1")
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    random = np.random.default_rng(0)
    feed = {} if feed is None else feed
    for each in session.get_inputs():
        if each.name not in feed:
            feed[each.name] = 0.5 + random.random(each.shape, dtype=np.float32)
    if not is_part:
        return lambda: session.run(None, feed)
    binding = session.io_binding()
    for name, array in feed.items():
        binding.bind_cpu_input(name, array)
    for output in session.get_outputs():
        binding.bind_output(output.name, "cpu")
    return lambda: session.run_with_iobinding(binding)


def share_memory() -> None:
    """Make the allocator that the parts share."""
    kind, place = onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, onnxruntime.OrtMemType.DEFAULT
    memory = onnxruntime.OrtMemoryInfo("Cpu", kind, 0, place)
    onnxruntime.create_and_register_allocator(memory, onnxruntime.OrtArenaCfg(0, -1, -1, -1))


def measure(
    calls: Sequence[Call],
    before: Sequence[Call],
    settings: dict[str, Any],
    rounds: int,
    patience: int,
    seed: int,
    up_to_s: float = 0.0,
) -> list[dict[str, float]]:
    """Time calls in interleaved rounds, after what is done before each, untimed.

    There are ten times as many rounds, as long as they take no longer than so many seconds. Those whose even and odd
    rounds differ by more than 5 % get as many further ones as there is patience for.
    """
    random = np.random.default_rng(seed)
    visits = [Visits(settings["threads"]) for _ in calls]
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        counts = [_calls_in_a_round(call, prior, settings["round_ms"]) for call, prior in zip(calls, before)]
        number, begun = 0, time.perf_counter_ns()

        def visit(wanted: Sequence[int]) -> None:
            for i in random.permutation(wanted):
                visits[i].add(calls[i], counts[i], before[i])

        def has_time() -> bool:
            return number < _MORE_ROUNDS * rounds and time.perf_counter_ns() - begun < 1e9 * up_to_s

        while number < rounds or has_time():
            visit(range(len(visits)))
            number += 1
        for _ in range(patience):
            visit([i for i, each in enumerate(visits) if each.repeatability() > _STEADY])
    finally:
        if collecting:
            gc.enable()
    return [each.summary() for each in visits]


class Visits:
    """The visits to one call."""

    def __init__(self, threads: int):
        """Count the processor's time against that of so many threads."""
        self._rounds: list[list[float]] = []
        self._threads = threads
        self._cpu = self._wall = 0

    def add(self, call: Call, count: int, before: Call) -> None:
        """Time one more."""
        cpu, wall = time.process_time_ns(), time.perf_counter_ns()
        self._rounds.append(_time(call, count, before))
        self._cpu += time.process_time_ns() - cpu
        self._wall += time.perf_counter_ns() - wall

    def repeatability(self) -> float:
        """How far apart the floors of even and odd rounds are, as a share of the lower."""
        even, odd = (min(map(min, self._rounds[half::2])) for half in (0, 1))
        return abs(even - odd) / min(even, odd)

    def summary(self) -> dict[str, float]:
        """All of it in figures."""
        floors, every = [min(times) for times in self._rounds], np.concatenate(self._rounds)
        best = min(floors)
        p10, median, p90 = (float(np.quantile(every, share)) for share in (0.1, 0.5, 0.9))
        return {
            "best_ms": best,
            "median_ms": median,
            "p10_ms": p10,
            "p90_ms": p90,
            "uncertainty": float(np.quantile(floors, 0.75)) / best - 1,
            "repeatability": self.repeatability(),
            "calls": len(every),
            "rounds": len(floors),
            "cpu_over_wall": min(1.0, self._cpu / (self._wall * self._threads)),
        }


def nothing() -> None:
    """Do before a network: it comes with weights of its own."""


def _calls_in_a_round(call: Call, before: Call, round_ms: float) -> int:
    _time(call, _WARM_UP_CALLS, before)
    once = min(_time(call, _FEWEST_CALLS, before))
    if before is not nothing:
        once += min(_time(before, _FEWEST_CALLS, nothing))
    return max(_FEWEST_CALLS, int(round_ms / max(once, 1e-4)))


def _time(call: Call, count: int, before: Call) -> list[float]:
    call()
    now = time.perf_counter_ns
    times = []
    for _ in range(count):
        before()
        start = now()
        call()
        times.append((now() - start) / 1e6)
    return times


def measure_group(bundle: Bundle, group: dict[str, Any], rest: Call, rounds: int) -> list[dict[str, float]]:
    """Time the models of a group side by side."""
    settings = bundle.manifest["profile"]
    parts = len(group["files"]) - group.get("networks", 0) if group["kind"] == "kernels" else 0
    calls, before = [], []
    for i, name in enumerate(group["files"]):
        is_part = i < parts
        model = bundle.read(name)
        feed: dict[str, Any] = {}
        try:
            calls.append(load(model, settings["threads"], is_part, feed))
            copy = load(model, settings["threads"], is_part, feed) if is_part else None
        except Exception as error:  # of many kinds, none of which has a name
            sys.exit(f"measure.py: onnxruntime {onnxruntime.__version__} cannot load {name}: {error}")
        before.append(_both(rest, copy) if copy else rest if group["kind"] == "call" else nothing)
    is_whole = group["kind"] == "networks"
    patience = rounds if is_whole else 0  # differences are of as many rounds on both sides
    up_to_s = UP_TO_S if is_whole else 0.0
    return measure(calls, before, settings, rounds, patience, bundle.manifest["seed"], up_to_s)


def _both(rest: Call, copy: Call) -> Call:
    """The rest takes a kernel's weights out of the caches, the copy brings back its code and its working memory."""

    def run() -> None:
        rest()
        copy()

    return run


def device() -> dict[str, Any]:
    """What this is."""
    return {
        "processor": processor(),
        "cores": os.cpu_count() or 1,
        "runtime_version": onnxruntime.__version__,
        "system": f"{platform.system()} {platform.machine()}",
    }


def processor(root: Path = Path("/")) -> str:
    """The model of the board, or else of the CPU, as precisely as the system tells."""
    found = _read(root / "proc/device-tree/model").strip("\0\n ")
    facts: dict[str, str] = {}
    for line in _read(root / "proc/cpuinfo").splitlines():
        key, _, value = line.partition(":")
        facts.setdefault(key.strip(), value.strip())  # of the first core
    arm = " ".join(f"{part} {facts[part]}" for part in ("CPU implementer", "CPU part") if part in facts)
    told = (found, facts.get("model name"), facts.get("Hardware"), arm)
    return next(filter(None, told), platform.processor() or platform.machine() or "unknown")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def surroundings(root: Path = Path("/")) -> dict[str, Any]:
    """What is true of this machine now, as far as the system tells."""
    cpus = root / "sys/devices/system/cpu"
    waiting = re.search(r"some avg10=([0-9.]+)", _read(root / "proc/pressure/cpu"))
    kilohertz = re.match(r"[1-9]\d*", _read(cpus / "cpu0/cpufreq/scaling_cur_freq"))
    turbo = {"0": False, "1": True}.get(_read(cpus / "cpufreq/boost").strip())
    found = {
        "date": datetime.now(timezone.utc).date().isoformat(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "pressure": float(waiting.group(1)) if waiting else None,
        "governor": _read(cpus / "cpu0/cpufreq/scaling_governor").strip() or None,
        "mhz": int(kilohertz.group()) / 1000 if kilohertz else None,
        "turbo": {"0": True, "1": False}.get(_read(cpus / "intel_pstate/no_turbo").strip(), turbo),
    }
    return {name: value for name, value in found.items() if value is not None}


def open_results(path: Path, bundle: Bundle, rounds: int) -> dict[str, Any]:
    """Begin results, or read those that are to be gone on with."""
    fresh = {
        "schema_version": SCHEMA_VERSION,
        "device": device(),
        "rounds": rounds,
        "manifest": bundle.manifest,
        "groups": [],
    }
    if not path.exists():
        return fresh
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        changed = [key for key in fresh if key != "groups" and found[key] != fresh[key]]
    except (ValueError, LookupError, TypeError):
        sys.exit(f"measure.py: {path} is not of this program; remove it, or give another --out")
    if changed:
        what = f"{path} was begun with another {' and another '.join(changed)}"
        sys.exit(f"measure.py: {what}; remove it, or give another --out")
    return found


def save(path: Path, results: dict[str, Any]) -> None:
    """Write results, whole at any instant."""
    draft = path.with_name(f".{path.name}.draft")
    try:
        draft.write_text(json.dumps(results), encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        if draft.exists():
            draft.unlink()
        sys.exit(f"measure.py: {path} cannot be written: {error.strerror}; what it held before is kept")


def hold(bundle: Path) -> None:
    """Keep a bundle to this process while it lives: one that a lost connection left behind may still be measuring."""
    if sys.platform == "win32":
        return
    try:
        fcntl.flock(os.open(bundle, os.O_RDONLY), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(f"measure.py: another process is measuring {bundle} already; wait until it ends, or end it")
    except OSError:  # of a file system without locks
        return


def run(bundle: Bundle, path: Path, rounds: int) -> None:
    """Measure the groups that are not in the results yet."""
    results, groups = open_results(path, bundle, rounds), bundle.manifest["groups"]
    share_memory()
    rest = load(bundle.read(bundle.manifest["rest"]), bundle.manifest["profile"]["threads"], True)
    missing = groups[len(results["groups"]) :]
    begun, timed, total = time.monotonic(), 0, sum(len(group["files"]) for group in missing)
    for group in missing:
        figures = measure_group(bundle, group, rest, rounds)
        results["groups"].append({"figures": figures})
        results["environment"] = surroundings()
        save(path, results)
        timed += len(figures)
        minutes = (total - timed) * (time.monotonic() - begun) / timed / 60
        say(f"{len(results['groups'])} of {len(groups)} groups measured, about {minutes:.0f} min left")


def say(text: str) -> None:
    """Tell how far it is."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def _end_with_input() -> None:
    """Stop when whoever started this over a network is gone, and does not read on."""
    while os.read(0, 4096):  # by its number: a thread that holds the stream would break the end of the program
        pass
    os._exit(130)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Time what a bundle holds with ONNX Runtime.")
    parser.add_argument("bundle", nargs="?", type=Path, default=Path(__file__).resolve().parent)
    parser.add_argument("--rounds", type=int, help="visits to each model; as the bundle says")
    parser.add_argument("--dry-run", action="store_true", help="only say how long it takes")
    parser.add_argument("--out", type=Path, default=Path("results.json"), help="results.json")
    parser.add_argument("--end-with-input", action="store_true", help="stop when standard input ends")
    given = parser.parse_args()
    try:
        bundle = Bundle(given.bundle)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        sys.exit(f"measure.py: {given.bundle} is no bundle: {error}")
    settings, groups = bundle.manifest["profile"], bundle.manifest["groups"]
    rounds = settings["rounds"] if given.rounds is None else given.rounds
    if not 2 <= rounds <= MOST_ROUNDS:
        sys.exit(f"measure.py: --rounds must be from 2 to {MOST_ROUNDS}")
    timed = sum(len(group["files"]) for group in groups)
    minutes = (timed * (rounds * settings["round_ms"] / 1000 + SECONDS_TO_LOAD) + UP_TO_S) / 60
    say(f"{timed:,} models in {len(groups)} groups, about {minutes:.0f} min")
    if given.dry_run:
        return
    hold(given.bundle)
    if given.end_with_input:
        threading.Thread(target=_end_with_input, daemon=True).start()
    try:
        run(bundle, given.out, rounds)
    except KeyboardInterrupt:
        say("Stopped; what was measured is kept. The same command goes on.")
        sys.exit(130)
    except (zipfile.BadZipFile, KeyError) as error:
        sys.exit(f"measure.py: {given.bundle} is damaged: {error}; copy it again, and the same command goes on")
    say(f"Wrote {given.out}; bring it back, and there: moonas profile import {given.out.name}")


if __name__ == "__main__":
    main()
