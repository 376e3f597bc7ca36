"""The program that measures anywhere: it stands alone, measures as moonas does, and goes on where it stopped."""

from __future__ import annotations

import ast
import errno
import fcntl
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from boards import ALONE, UNTIL_FIRST, run_script

from moonas.hardware import latency, runtime
from moonas.hardware.device import DeviceProfile
from moonas.remote import measure
from moonas.remote.bundle import SCRIPT, Bundle
from moonas.spec.device import MOST_ROUNDS
from moonas.study import environment

# --- it knows what it runs on as moonas does

INTEL = "processor\t: 0\nmodel name\t: Xeon E5\nprocessor\t: 1\nmodel name\t: Xeon E6\n"
ARM = "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd0b\n\nCPU part\t: 0xd05\n"
PHONE = f"{ARM}Hardware\t: Qualcomm SM8150\n"


@pytest.mark.parametrize(
    ("cpuinfo", "board", "expected"),
    [
        (INTEL, None, "Xeon E5"),
        (ARM, "Raspberry Pi 5 Model B Rev 1.0\0", "Raspberry Pi 5 Model B Rev 1.0"),
        ("model name\t: ARMv7 Processor rev 3 (v7l)\n", "Raspberry Pi 4 Model B\0", "Raspberry Pi 4 Model B"),
        (ARM, None, "CPU implementer 0x41 CPU part 0xd0b"),
        (PHONE, None, "Qualcomm SM8150"),
    ],
)
def test_both_call_a_machine_by_the_same_name(tmp_path: Path, cpuinfo: str, board: str | None, expected: str) -> None:
    (tmp_path / "proc/device-tree").mkdir(parents=True)
    (tmp_path / "proc/cpuinfo").write_text(cpuinfo)
    if board is not None:
        (tmp_path / "proc/device-tree/model").write_text(board)
    assert measure.processor(tmp_path) == environment.processor(tmp_path) == expected


def test_both_tell_what_is_true_of_a_machine_alike(tmp_path: Path) -> None:
    folder = tmp_path / "sys/devices/system/cpu"
    for name, text in {
        "cpufreq/boost": "1",
        "cpu0/cpufreq/scaling_cur_freq": "1500000",
        "cpu0/cpufreq/scaling_governor": "powersave",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (tmp_path / "proc/pressure").mkdir(parents=True)
    (tmp_path / "proc/pressure/cpu").write_text("some avg10=3.25 avg60=0.00 avg300=0.00 total=1")
    for root, count in ((tmp_path, 8), (tmp_path / "none", 4)):
        there = environment.surroundings(root).model_dump(exclude_none=True)
        assert {**measure.surroundings(root), "load": 0} == {**there, "load": 0}
        assert len(there) == count


def test_both_tell_this_machine_alike(tmp_path: Path) -> None:
    assert measure.device() == environment.machine("onnxruntime").model_dump(exclude_none=True)
    assert measure.processor(tmp_path) == environment.processor(tmp_path) != ""


# --- it measures as moonas does


class Clock:
    """Calls on a clock that nothing but they move."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, module: Any):
        self.now, self.calls, self._random = 0, [], np.random.default_rng(0)
        monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter_ns=self.wall, process_time_ns=self.cpu))

    def wall(self) -> int:
        return self.now

    def cpu(self) -> int:
        return self.now * 3 // 4

    def call(self, name: str) -> Callable[[], None]:
        def run() -> None:
            self.calls.append(name)
            self.now += int(self._random.integers(100_000, 900_000))

        return run


@pytest.mark.parametrize(("rounds", "round_ms", "seed"), [(2, 0.001, 0), (5, 4.0, 1), (3, 20.0, 2)])
@pytest.mark.parametrize("prepared", [True, False])
@pytest.mark.parametrize("patience", [0, 4])
@pytest.mark.parametrize("up_to_s", [0, 1.0])
def test_both_loops_make_the_same_calls_and_find_the_same_figures(
    monkeypatch: pytest.MonkeyPatch,
    rounds: int,
    round_ms: float,
    seed: int,
    prepared: bool,
    patience: int,
    up_to_s: float,
) -> None:
    names = "abcde"
    profile = DeviceProfile("here", "measured", "cpu", "onnxruntime", 2, 1, rounds, round_ms)
    here = Clock(monkeypatch, latency)
    before = [here.call(f"before {name}") for name in names] if prepared else None
    expected = latency.measure(
        [here.call(name) for name in names], profile, before=before, up_to_s=up_to_s, patience=patience, seed=seed
    )
    settings = {"threads": 2, "round_ms": round_ms}
    there = Clock(monkeypatch, measure)
    prior = [there.call(f"before {name}") if prepared else measure.nothing for name in names]
    found = measure.measure([there.call(name) for name in names], prior, settings, rounds, patience, seed, up_to_s)
    assert there.calls == here.calls
    assert [{**_plain(each), "wall": None} for each in found] == [asdict(each) for each in expected]
    assert all(each.rounds > rounds for each in expected) or not up_to_s
    assert any(each.rounds > rounds for each in expected) == (patience > 0 or up_to_s > 0)


def _plain(figures: dict[str, float]) -> dict[str, float]:
    return {name.removesuffix("_ms"): value for name, value in figures.items()}


class Recorder:
    """In place of ONNX Runtime's classes: notes what is asked of them."""

    asked: list[Any]

    def __init__(self, *given: Any, **named: Any):
        object.__setattr__(self, "name", type(self).__name__)
        self.asked.append((type(self).__name__, [each for each in given if not isinstance(each, Recorder)], named))

    def __setattr__(self, name: str, value: Any) -> None:
        self.asked.append((name, value))

    def add_session_config_entry(self, *entry: str) -> None:
        self.asked.append(entry)

    def get_inputs(self) -> list[Any]:
        return [SimpleNamespace(name="input", shape=[1, 3])]

    def get_outputs(self) -> list[Any]:
        return [SimpleNamespace(name="logits")]

    def io_binding(self) -> Any:
        self.asked.append("io_binding")
        return SimpleNamespace(
            bind_cpu_input=lambda name, array: self.asked.append(("in", name, array.shape, array.dtype)),
            bind_output=lambda *output: self.asked.append(("out", *output)),
        )

    def run(self, outputs: Any, feed: Any) -> None:
        self.asked.append(("run", outputs, {name: (array.shape, array.dtype) for name, array in feed.items()}))

    def run_with_iobinding(self, binding: Any) -> None:
        self.asked.append("run_with_iobinding")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    found: list[Any] = []
    monkeypatch.setattr(Recorder, "asked", found, raising=False)
    for name in ("SessionOptions", "InferenceSession", "OrtMemoryInfo", "OrtArenaCfg"):
        monkeypatch.setattr(onnxruntime, name, type(name, (Recorder,), {}))
    monkeypatch.setattr(onnxruntime, "create_and_register_allocator", lambda *given: found.append(len(given)))
    return found


@pytest.mark.parametrize("is_part", [True, False])
@pytest.mark.parametrize("threads", [1, 4])
def test_both_ask_the_same_of_onnxruntime(
    monkeypatch: pytest.MonkeyPatch, asked: list[Any], is_part: bool, threads: int
) -> None:
    monkeypatch.setattr(runtime, "_share_memory", lambda: None)  # once for each process, tested below
    profile = DeviceProfile("here", "measured", "cpu", "onnxruntime", threads, 1, 2, 1.0)
    runtime._in_onnxruntime(b"model", [torch.zeros(1, 3)], profile, is_part=is_part)()
    expected = asked.copy()
    asked.clear()
    measure.load(b"model", threads, is_part)()
    assert asked == expected
    assert expected[-1] == "run_with_iobinding" if is_part else expected[-1][0] == "run"


def test_both_share_memory_in_the_same_way(asked: list[Any]) -> None:
    runtime._share_memory.__wrapped__()
    expected = asked.copy()
    asked.clear()
    measure.share_memory()
    assert asked == expected
    assert len(expected) == 3


@pytest.mark.parametrize(
    ("kind", "before"), [("call", ["rest"]), ("kernels", ["rest", "second of a"]), ("networks", [])]
)
def test_what_is_done_before_each_call_depends_on_what_is_timed(
    monkeypatch: pytest.MonkeyPatch, kind: str, before: list[str]
) -> None:
    made: list[str] = []
    ran: list[str] = []

    def load(model: bytes, threads: int, is_part: bool, feed: dict[str, int]) -> Callable[[], None]:
        assert is_part == (kind == "kernels")
        assert feed.setdefault("input", len(made)) == 0  # a copy reads the very inputs of the first
        name = f"{'second' if model.decode() in made else 'first'} of {model.decode()}"
        made.append(model.decode())
        return lambda: ran.append(name)

    monkeypatch.setattr(measure, "load", load)

    def once(calls: Any, prior: Any, settings: Any, rounds: int, patience: int, seed: int, up_to_s: float) -> list[Any]:
        assert (patience, up_to_s) == ((rounds, 30.0) if kind == "networks" else (0, 0.0))
        return [prior[0](), calls[0]()]

    monkeypatch.setattr(measure, "measure", once)
    manifest = {"profile": {"threads": 1, "round_ms": 1.0}, "seed": 0}
    files: Any = SimpleNamespace(manifest=manifest, read=str.encode)
    measure.measure_group(files, {"kind": kind, "files": ["a"]}, lambda: ran.append("rest"), 2)
    assert ran == [*before, "first of a"]


# --- it stands alone


def test_the_program_is_of_python_3_8() -> None:
    ast.parse(SCRIPT.read_text(), feature_version=(3, 8))


def test_the_program_imports_nothing_but_numpy_and_onnxruntime() -> None:
    tree = ast.parse(SCRIPT.read_text())
    plain = (each.name for node in ast.walk(tree) if isinstance(node, ast.Import) for each in node.names)
    parts = (str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom))
    names = {name.partition(".")[0] for name in (*plain, *parts)}
    assert names - set(sys.stdlib_module_names) == {"numpy", "onnxruntime"}


def test_results_are_written_where_there_is_nothing_else(results: Any, bundle: Bundle) -> None:
    assert results["schema_version"] == 1
    assert len(results["groups"]) == len(bundle.manifest.groups)
    for group, found in zip(bundle.manifest.groups, results["groups"], strict=True):
        assert len(found["figures"]) == len(group.files)
        assert all(0 < each["best_ms"] <= each["median_ms"] <= each["p90_ms"] for each in found["figures"])
    assert results["device"]["runtime_version"] == onnxruntime.__version__


def test_an_unpacked_bundle_measures_itself(bundle: Bundle, tmp_path: Path) -> None:
    with zipfile.ZipFile(bundle.path) as file:
        file.extractall(tmp_path / "unpacked")
    done = run_script(tmp_path / "unpacked" / "measure.py", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "results.json").read_text())["manifest"]["rest"] == bundle.manifest.rest
    assert "3 of 3 groups measured" in done.stderr
    assert "moonas profile import results.json" in done.stderr


def test_a_missing_package_is_named_with_what_installs_it(bundle: Bundle) -> None:
    without = ALONE.replace(', "onnxruntime"', "")
    done = run_script(SCRIPT, bundle.path, within=without)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "measure.py: No module named 'onnxruntime'; install what it needs: python3 -m pip install numpy onnxruntime"
    ]


def test_a_dry_run_says_how_much_there_is_and_measures_nothing(bundle: Bundle, tmp_path: Path) -> None:
    done = run_script(SCRIPT, bundle.path, "--dry-run", cwd=tmp_path)
    models = sum(len(group.files) for group in bundle.manifest.groups)
    assert done.returncode == 0
    assert done.stderr.startswith(f"{models} models in {len(bundle.manifest.groups)} groups, about 1 min")
    assert list(tmp_path.iterdir()) == []


# --- it goes on, and refuses


def test_a_program_that_was_killed_goes_on_where_it_stopped(bundle: Bundle, tmp_path: Path) -> None:
    out = tmp_path / "results.json"
    assert run_script(SCRIPT, bundle.path, "--out", out, within=UNTIL_FIRST).returncode == 255
    begun = json.loads(out.read_text())["groups"]
    assert len(begun) == 1
    done = run_script(SCRIPT, bundle.path, "--out", out)
    assert done.returncode == 0, done.stderr
    assert "1 of 3" not in done.stderr
    found = json.loads(out.read_text())["groups"]
    assert len(found) == 3
    assert found[0] == begun[0]


def test_the_number_of_rounds_can_be_chosen_and_not_be_changed_in_the_middle(bundle: Bundle, tmp_path: Path) -> None:
    out = tmp_path / "results.json"
    assert run_script(SCRIPT, bundle.path, "--rounds", 3, "--out", out, within=UNTIL_FIRST).returncode == 255
    assert json.loads(out.read_text())["rounds"] == 3
    done = run_script(SCRIPT, bundle.path, "--out", out)
    assert done.returncode == 1
    assert done.stderr.splitlines()[1:] == [
        f"measure.py: {out} was begun with another rounds; remove it, or give another --out"
    ]
    for wrong in (1, MOST_ROUNDS + 1):  # a profile has no more
        said = run_script(SCRIPT, bundle.path, "--rounds", wrong).stderr.splitlines()[-1]
        assert said == "measure.py: --rounds must be from 2 to 1000"


def test_a_bundle_without_one_of_its_models_is_said_to_be_damaged(bundle: Bundle, tmp_path: Path) -> None:
    with zipfile.ZipFile(bundle.path) as whole, zipfile.ZipFile(tmp_path / "less.zip", "w") as less:
        lost = bundle.manifest.groups[-1].files[-1]
        for name in whole.namelist():
            if name != lost:
                less.writestr(name, whole.read(name))
    done = run_script(SCRIPT, tmp_path / "less.zip", "--rounds", 2, "--out", tmp_path / "results.json")
    assert done.returncode == 1
    said = done.stderr.splitlines()[-1]
    assert said.startswith(f"measure.py: {tmp_path / 'less.zip'} is damaged: ")
    assert said.endswith("copy it again, and the same command goes on")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema_version": 1', "null"])
def test_what_is_no_results_file_is_left_alone(bundle: Bundle, tmp_path: Path, text: str) -> None:
    out = tmp_path / "results.json"
    out.write_text(text)
    done = run_script(SCRIPT, bundle.path, "--out", out)
    assert done.returncode == 1
    assert done.stderr.splitlines()[1:] == [
        f"measure.py: {out} is not of this program; remove it, or give another --out"
    ]
    assert out.read_text() == text


def test_what_is_no_bundle_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere", SCRIPT):
        done = run_script(SCRIPT, path)
        assert done.returncode == 1
        assert done.stderr.startswith(f"measure.py: {path} is no bundle: ")


def test_a_model_that_onnxruntime_does_not_know_is_named(bundle: Bundle, tmp_path: Path) -> None:
    with zipfile.ZipFile(bundle.path) as file:
        file.extractall(tmp_path)
    name = bundle.manifest.groups[0].files[0]
    (tmp_path / name).write_bytes(b"no model")
    done = run_script(SCRIPT, tmp_path, cwd=tmp_path)
    assert done.returncode == 1
    assert f"measure.py: onnxruntime {onnxruntime.__version__} cannot load {name}: " in done.stderr


def test_the_program_ends_when_whoever_started_it_is_gone(bundle: Bundle, tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), str(bundle.path), "--rounds", "1000", "--end-with-input"]
    with subprocess.Popen(command, cwd=tmp_path, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(60) == 130


def test_one_process_measures_a_bundle_at_a_time(bundle: Bundle, tmp_path: Path) -> None:
    with bundle.path.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        done = run_script(SCRIPT, bundle.path, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.splitlines()[1:] == [
        f"measure.py: another process is measuring {bundle.path} already; wait until it ends, or end it"
    ]
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told_and_takes_nothing_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "results.json"
    measure.save(out, {"groups": [1]})

    def full(path: Path, *_: object, **__: object) -> None:
        path.touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(
        SystemExit, match=r"results.json cannot be written: No space left on device; what it held before"
    ):
        measure.save(out, {"groups": [1, 2]})
    assert json.loads(out.read_text()) == {"groups": [1]}
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]
