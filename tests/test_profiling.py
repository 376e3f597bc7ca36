"""Profiles of this machine, as they are measured, kept and used."""

from __future__ import annotations

import shlex
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import filelock
import pytest
import torch
import yaml
from torch import nn
from typer.testing import CliRunner, Result

from moonas import profiling
from moonas.cli import app
from moonas.errors import MoonasError, SpecError
from moonas.hardware import kernel_times, runtime
from moonas.hardware.kernel_times import CALL, KernelTime
from moonas.hardware.kernels import kernels_of
from moonas.hardware.latency import Latency
from moonas.hardware.replay import Replayed
from moonas.hardware.roofline import Work
from moonas.hardware.table import KernelTable, append_rows, read_table
from moonas.hardware.trace import trace
from moonas.network.architecture import Task
from moonas.profiling import Profiling, described, measure, plan
from moonas.spec.device import DeviceSpec, load_device, load_device_tree
from moonas.spec.provenance import EnvironmentSpec, MachineSpec
from moonas.study import profile_file, this_machine
from moonas.study.assemble import assemble_latency_model
from moonas.study.environment import machine
from moonas.study.profile_file import write_profile

SPACE = """
family: staged_cnn
stem: {width: 4, kernel: 3, stride: 2}
stages:
  - {block: [plain, residual], depth: 1, width: [4, 6], kernel: 3, stride: 2}
"""
COMMAND = "profile mine --encoding few.yaml --input 1x8x8 --classes 3 --rounds 2 --round-ms 0.01"
QUICK = {"rounds": 2, "round_ms": 0.01}


@pytest.fixture(autouse=True)
def space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A search space of four networks, few of which are timed whole, and no profile yet."""
    monkeypatch.setattr(profiling, "VALIDATED_ON", 4)
    monkeypatch.chdir(tmp_path)
    Path("few.yaml").write_text(SPACE)


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many kernels were timed, for each call."""
    asked: list[int] = []
    real = kernel_times.time_kernels

    def counted(kernels: Any, *args: Any, **options: Any) -> Any:
        asked.append(len(kernels))
        return real(kernels, *args, **options)

    monkeypatch.setattr(kernel_times, "time_kernels", counted)
    return asked


def planned(**changes: Any) -> Profiling:
    return plan("mine", "few.yaml", Task((1, 8, 8), 3), changes={**QUICK, **changes})


def moonas_command(line: str) -> Result:
    return CliRunner().invoke(app, shlex.split(line), catch_exceptions=False)


def test_a_profile_is_written_with_its_table_its_scale_and_how_well_it_proved() -> None:
    result = moonas_command(COMMAND)
    assert result.exit_code == 0
    assert "search with --set device=mine" in result.stdout.replace("\n", " ")
    tree = load_device_tree("mine")
    table = read_table(Path(tree["table"]))
    assert {kernel.key for kernel in profiling.find_kernels(planned()).kernels} | {CALL, "network 0"} == set(
        table.times
    )
    assert tree["scale"] > 0
    assert tree["validation"]["networks"] == 3  # of four, one of which gives the scale
    assert tree["validation"]["of"] == "the other networks of few.yaml"
    assert "the search space has no more" in result.stdout.replace("\n", " ")
    assert tree["environment"]["date"] == str(datetime.now(UTC).date())
    assert 0 < tree["environment"]["cpu_over_wall"] <= 1
    assert (tree["space"]["encoding"], tree["space"]["input_shape"], tree["space"]["classes"]) == (
        "few.yaml",
        (1, 8, 8),
        3,
    )
    assert sorted(path.name for path in Path("hw_profiles").iterdir() if path.name[0] != ".") == [
        "mine.csv",
        "mine.yaml",
    ]


def test_a_profile_that_was_measured_is_listed() -> None:
    measure(planned())
    result = moonas_command("list hw_profiles")
    assert "mine" in result.stdout
    assert "kernels of few.yaml" in " ".join(result.stdout.split())


def test_an_interrupted_profile_goes_on_with_what_is_missing(timed: list[int]) -> None:
    made = planned()
    measure(made)
    whole = made.table_path.read_text()
    lines = whole.splitlines(keepends=True)
    made.table_path.write_text("".join(lines[:5]) + lines[5][:-3])
    measure(made)
    assert timed == [len(lines) - 3, len(lines) - 6]  # beside a header, a call, and a network that tells the pace
    assert made.table_path.read_text().startswith("".join(lines[:5]))
    again = made.table_path.read_text().splitlines()[1:]
    assert len(again) == len(lines)  # with a call more
    assert len(read_table(made.table_path).times) == len(lines) - 1


def test_a_profile_is_timed_with_memory_that_is_kept_as_in_a_search(
    timed: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    before: list[int] = []
    monkeypatch.setattr("moonas.evaluation.worker.keep_memory", lambda: before.append(len(timed)))
    measure(planned())
    assert before == [0]
    assert len(timed) == 1


def test_a_finished_profile_stays_as_it_is(timed: list[int]) -> None:
    """Runs that were begun with it would else be of another device."""
    found = measure(planned())
    before = [path.read_bytes() for path in (planned().path, planned().table_path)]
    assert measure(planned()).scale == found.scale
    assert timed[1:] == [0]
    assert [path.read_bytes() for path in (planned().path, planned().table_path)] == before


def test_a_finished_profile_stays_as_it_is_though_some_kernels_cannot_be_timed(
    timed: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = kernel_times._replayed
    monkeypatch.setattr(
        kernel_times, "_replayed", lambda kernel: None if kernel.key.startswith("addmm") else real(kernel)
    )
    made = planned()
    found = measure(made)
    assert not any(key.startswith("addmm") for key in read_table(made.table_path).times)
    before = [path.read_bytes() for path in (made.path, made.table_path)]
    assert measure(planned()).validation == found.validation
    assert timed[1] > 0  # tried again, in vain
    assert [path.read_bytes() for path in (made.path, made.table_path)] == before


def test_a_table_is_tried_on_other_networks_than_those_whose_kernels_it_has() -> None:
    made = plan("mine", "tiny", Task((1, 32, 32), 3), changes=QUICK)
    drawn = {str(network) for network in islice(made.networks(), 60)}
    assert not drawn & {str(network) for network in made.proof()}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda tree: tree["machine"].update(processor="Z80"), "machine.processor: was Z80, is "),
        (lambda tree: tree["space"].update(encoding="tiny"), "space.encoding: was tiny, is few.yaml"),
        (lambda tree: tree.update(threads=3), "threads: was 3, is 1"),
    ],
)
def test_another_profile_of_the_same_name_is_left_alone(change: Any, sentence: str) -> None:
    made = planned()
    measure(made)
    tree = yaml.safe_load(made.path.read_text())
    change(tree)
    made.path.write_text(yaml.safe_dump(tree))
    before = made.path.read_bytes(), made.table_path.read_bytes()
    result = moonas_command(COMMAND)
    assert result.exit_code == 2
    assert f"is another profile ({sentence}" in result.stderr
    assert "choose another name, or remove it" in result.stderr
    assert (made.path.read_bytes(), made.table_path.read_bytes()) == before


def test_a_table_without_its_profile_is_left_alone() -> None:
    Path("hw_profiles").mkdir()
    planned().table_path.write_text("mine\n")
    with pytest.raises(MoonasError, match="is there without its profile"):
        measure(planned())
    assert planned().table_path.read_text() == "mine\n"


def test_two_processes_do_not_measure_one_profile_at_once() -> None:
    Path("hw_profiles").mkdir()
    with filelock.FileLock("hw_profiles/.mine.lock"):
        result = moonas_command(COMMAND)
    assert result.exit_code == 2
    assert "mine.yaml is being measured by another process; wait, or choose another name" in result.stderr
    assert not planned().path.exists()


def test_a_dry_run_measures_and_writes_nothing(timed: list[int]) -> None:
    result = moonas_command(f"{COMMAND} --dry-run")
    assert result.exit_code == 0
    kernels = len(profiling.find_kernels(planned()).kernels)
    assert f"{kernels} kernels in 30 networks" in result.stdout
    assert timed == []
    assert not Path("hw_profiles").exists()


def test_an_unknown_encoding_is_refused() -> None:
    result = moonas_command("profile mine --encoding tiny_cn")
    assert result.exit_code == 2
    assert "tiny_cn" in result.stderr
    assert "tiny_cnn" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_a_folder_that_cannot_be_written_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("hw_profiles").write_text("a file")
    monkeypatch.setattr(profiling, "find_kernels", lambda *_: pytest.fail("networks were drawn"))
    result = moonas_command(COMMAND)
    assert result.exit_code == 2
    assert "cannot be written: " in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_ctrl_c_keeps_what_was_measured(monkeypatch: pytest.MonkeyPatch, timed: list[int]) -> None:
    monkeypatch.setattr(kernel_times, "_TOGETHER", 3)
    real = kernel_times.measure

    def interrupted(*args: Any, **options: Any) -> Any:
        path = planned().table_path
        if path.exists() and len(read_table(path).times) > 3:
            raise KeyboardInterrupt
        return real(*args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(kernel_times, "measure", interrupted)
        result = moonas_command(COMMAND)
    assert result.exit_code == 130
    assert "The same command goes on" in result.stderr
    assert len(read_table(planned().table_path).times) == 5  # a call, a group, and a network that tells the pace
    assert "not tried yet" in planned().path.read_text()
    assert moonas_command(COMMAND).exit_code == 0
    assert timed[1] == timed[0] - 3


def test_before_the_first_group_is_done_nothing_is_kept_and_the_profile_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(kernel_times, "measure", interrupted)
        result = moonas_command(COMMAND)
    assert "Stopped; no group of kernels was done yet. The same command goes on." in result.stderr
    with pytest.raises(SpecError, match="device mine: no kernel was measured yet; give the same `moonas profile mine`"):
        assemble_latency_model(load_device("mine"))


def test_quiet_prints_nothing() -> None:
    result = moonas_command(f"{COMMAND} --quiet")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")


def test_times_that_add_up_to_nothing_are_refused() -> None:
    made = planned()
    measure(made)
    known = read_table(made.table_path).times.values()
    made.table_path.unlink()
    tree = yaml.safe_load(made.path.read_text())
    made.path.write_text(yaml.safe_dump({key: tree[key] for key in tree if key != "validation"}))
    append_rows(made.table_path, [replace(time, microseconds=-50.0) if time.work.kernels else time for time in known])
    with pytest.raises(MoonasError, match="take no time together"):
        measure(made)


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("here", "a profile cannot be called here: that is this machine, timed live; choose another name"),
        ("../mine", "the name of a profile must be that of a file, without folders, is '../mine'"),
        ("a/b", "the name of a profile must be that of a file, without folders, is 'a/b'"),
        ("t4", "a shipped profile is called t4, and this one would take its place; choose another name"),
    ],
)
def test_a_profile_has_a_name_of_its_own(name: str, what: str) -> None:
    result = moonas_command(COMMAND.replace("mine", name))
    assert result.exit_code == 2
    assert what in result.stderr
    assert not Path("hw_profiles").exists()


def test_settings_that_no_device_has_are_a_sentence() -> None:
    result = moonas_command(f"{COMMAND} --threads 2000")
    assert result.exit_code == 2
    assert result.stderr == "moonas: profile mine, threads: must be at most 1024, is 2000\n"


def test_what_a_profile_of_ones_own_says_of_here_is_not_of_the_table() -> None:
    Path("hw_profiles").mkdir()
    Path("hw_profiles/here.yaml").write_text("meter: rapl\nscale: 3.0\nrounds: 9\n")
    device = planned().device
    assert (device.meter, device.scale, device.rounds) == ("auto", 1.0, 2)


class Masked(nn.Module):
    """A convolution, and what cannot be computed on other numbers than those of its network."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(1, 4, 3)
        self.register_buffer("table", torch.arange(8.0))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        positions = self.convolution(images).mean(dim=(2, 3)).sigmoid().mul(7).long()
        return self.table[positions]


def test_kernels_that_cannot_be_computed_by_themselves_are_left_out() -> None:
    kernels = kernels_of(trace(Masked().eval(), (1, 8, 8)), ())
    (some,) = kernel_times.together(kernels)
    assert 0 < len(some.comparisons) < len(kernels)
    assert all(each.less < len(some.modules) for each in some.comparisons)
    assert not any(each.key.startswith("index") for each in some.comparisons)


@pytest.mark.parametrize("command", [COMMAND, COMMAND.replace("profile mine", "profile bundle mine")])
def test_networks_that_the_runtime_does_not_take_are_told_in_a_sentence(
    command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusing(module: nn.Module, *inputs: torch.Tensor) -> bytes:
        if not isinstance(module, Replayed):
            raise ValueError("no such operator\nat all")
        return exported(module, *inputs)

    exported = runtime.to_onnx
    monkeypatch.setattr(runtime, "to_onnx", refusing)
    result = moonas_command(command)
    assert result.exit_code == 2
    said = " ".join(result.stderr.split())
    assert "onnxruntime does not take the networks of few.yaml: ValueError: no such operator" in said


def test_a_busy_machine_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    real = profile_file.proved

    def busy(*given: Any, **named: Any) -> Any:
        timed = [replace(each, cpu_over_wall=0.5) for each in named.pop("timed")]
        return real(*given, timed=timed, **named)

    monkeypatch.setattr(profiling, "proved", busy)
    result = moonas_command(COMMAND)
    assert result.exit_code == 0
    assert "The device was busy: only 0.0 % of the networks were timed" in result.stderr
    assert load_device_tree("mine")["validation"]["timed_well"] == 0


def test_kernels_that_were_disturbed_are_told_though_the_networks_were_not(monkeypatch: pytest.MonkeyPatch) -> None:
    real = profile_file.proved

    def calm(*given: Any, **named: Any) -> Any:
        timed = [replace(each, repeatability=0.01, cpu_over_wall=1.0) for each in named.pop("timed")]
        return real(*given, timed=timed, **named)

    monkeypatch.setattr(profiling, "proved", calm)
    monkeypatch.setattr(KernelTable, "uncertainty", 0.284)
    result = moonas_command(COMMAND)
    assert (
        "The device was busy: one half of the rounds found other times of kernels than the other half, by 28.4 %"
        in result.stderr
    )
    assert load_device_tree("mine")["validation"]["kernel_uncertainty"] == 0.284


def test_a_gpu_that_is_not_there_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    result = moonas_command(f"{COMMAND} --processor cuda --runtime torch")
    assert result.exit_code == 2
    assert "a GPU is to be measured for hw_profiles/mine.yaml, and PyTorch sees none here" in result.stderr
    assert not planned().path.exists()


def test_onnx_runtime_is_not_measured_on_a_gpu() -> None:
    result = moonas_command(f"{COMMAND} --processor cuda")
    assert result.exit_code == 2
    assert "onnxruntime measures on cpu only; for cuda set runtime: torch" in result.stderr


def test_a_profile_of_a_gpu_is_named_after_it_and_of_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    there = machine("torch").model_copy(update={"gpu": "NVIDIA H200", "driver": "570.86", "cuda": "12.8"})
    made = planned(runtime="torch", processor="cuda")
    spec = described(made, profiling.find_kernels(made)).on(there)
    write_profile(made.path, spec)
    assert made.path.read_text().startswith("# NVIDIA H200, torch, CUDA: kernels of few.yaml")
    read = load_device("mine")
    assert elsewhere(read, monkeypatch, there) == ""
    assert elsewhere(read, monkeypatch, there.model_copy(update={"gpu": "Tesla T4"})) == (
        "gpu: was NVIDIA H200, is Tesla T4"
    )


def elsewhere(device: DeviceSpec, monkeypatch: pytest.MonkeyPatch, there: MachineSpec) -> str:
    def asked(runtime: str, *, on_gpu: bool) -> MachineSpec:
        assert (runtime, on_gpu) == ("torch", True)
        return there

    monkeypatch.setattr("moonas.study.this_machine.machine", asked)
    return this_machine.elsewhere(device)


@pytest.mark.parametrize(("depths", "count"), [("1", 4), ("[1, 2, 3, 4]", 9)])
def test_the_networks_that_try_a_table_are_different_ones(depths: str, count: int) -> None:
    Path("few.yaml").write_text(SPACE.replace("depth: 1", f"depth: {depths}"))
    networks = planned().proof()
    assert len(networks) == count  # of 5 and 4 that are wanted
    assert len({str(network) for network in networks}) == count


@pytest.mark.parametrize(
    ("count", "first", "of"),
    [
        (25, 5, "random networks"),
        (24, 4, "the other networks"),
        (2, 1, "the other networks"),
        (1, 1, "the only network, which gave the scale too,"),
    ],
)
def test_a_fifth_of_the_networks_gives_the_scale_and_the_others_try_it(count: int, first: int, of: str) -> None:
    one = Latency(1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 9, 3, 1.0)
    timed = [replace(one, best=(i + 1) * (3.0 if i < first else 2.0)) for i in range(count)]
    around = EnvironmentSpec(date="2026-11-29", system="Linux", python="3.11.2")
    kernels = (KernelTime(str(i), 10.0, 1.0 + i, Work(kernels=1)) for i in range(3))
    found = profile_file.proved(
        planned().device,
        KernelTable(kernels),
        timed=timed,
        sums_ms=[i + 1.0 for i in range(count)],
        environment=around,
    )
    assert found.scale == 3.0
    assert found.validation is not None
    assert found.validation.networks == max(1, count - first)
    assert found.validation.mape == (0.5 if count > 1 else 0)
    assert found.validation.of == f"{of} of "
    assert found.validation.kernel_uncertainty == 0.2


def test_more_threads_than_cores_are_refused() -> None:
    made = planned()
    wanted = replace(made, device=made.device.model_copy(update={"threads": 1024}))
    with pytest.raises(MoonasError, match=r"mine\.yaml: give at most \d+ threads, as many as there are cores"):
        measure(wanted)
    assert not made.path.exists()
