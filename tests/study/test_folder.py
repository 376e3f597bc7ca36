import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from sklearn.datasets import load_digits

import moonas
from moonas.errors import RunFolderError
from moonas.study.environment import differences
from moonas.study.folder import RunFolder

Tiny = Callable[..., moonas.Study]

HOLD = """
import sys, time
from pathlib import Path
from moonas.study.folder import RunFolder
folder = RunFolder(Path(sys.argv[1]))
folder.claim()
print("held", flush=True)
time.sleep(60)
"""


def hold(path: Path) -> subprocess.Popen[str]:
    """Start a process that holds a run folder."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_process_is_told_who_holds_the_folder(tmp_path: Path) -> None:
    holder = hold(tmp_path / "run")
    try:
        with pytest.raises(RunFolderError, match=rf"is in use by process {holder.pid} on .* since 20"):
            RunFolder(tmp_path / "run").claim()
    finally:
        holder.kill()
        holder.communicate()


def test_the_lock_of_a_dead_process_is_taken_over(tmp_path: Path) -> None:
    holder = hold(tmp_path / "run")
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    assert (tmp_path / "run" / ".holder.json").exists()
    folder = RunFolder(tmp_path / "run")
    folder.claim()
    assert json.loads((tmp_path / "run" / ".holder.json").read_text())["pid"] == os.getpid()
    folder.release()
    assert not (tmp_path / "run" / ".holder.json").exists()


def test_a_folder_with_other_files_is_left_alone(tiny: Tiny, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "pareto.csv").write_text("mine")
    with pytest.raises(RunFolderError, match=r"is not a run folder: it holds other files, as pareto\.csv"):
        tiny().run()
    assert [child.name for child in (tmp_path / "run").iterdir()] == ["pareto.csv"]
    assert (tmp_path / "run" / "pareto.csv").read_text() == "mine"


def test_another_programs_database_is_no_archive(tiny: Tiny) -> None:
    out = tiny().out
    out.mkdir()
    connection = sqlite3.connect(out / "trials.sqlite")
    connection.execute("CREATE TABLE trials (trial_id INTEGER)")
    connection.commit()
    connection.close()
    (out / "pareto.csv").write_text("mine")
    before = (out / "trials.sqlite").read_bytes()
    with pytest.raises(RunFolderError, match="is not a run folder"):
        tiny().run()
    with pytest.raises(RunFolderError, match="is a database of something else"):
        _ = tiny().trials
    assert (out / "trials.sqlite").read_bytes() == before
    assert (out / "pareto.csv").read_text() == "mine"
    assert {child.name for child in out.iterdir()} == {"trials.sqlite", "pareto.csv"}


def test_an_empty_archive_beside_files_of_the_user_makes_no_run_folder(tiny: Tiny) -> None:
    out = tiny().out
    out.mkdir()
    (out / "trials.sqlite").touch()
    tiny().run()  # of a run that was killed as it began
    shutil.rmtree(out)
    out.mkdir()
    (out / "trials.sqlite").touch()
    (out / "pareto.csv").write_text("mine")
    with pytest.raises(RunFolderError, match="is not a run folder"):
        tiny().run()
    assert (out / "pareto.csv").read_text() == "mine"


def test_of_temporary_folders_only_those_of_killed_runs_are_removed(tiny: Tiny) -> None:
    study = tiny()
    study.run()
    left = study.out / ".moonas-scratch-abc"
    left.mkdir()
    (left / "trials.csv").write_text("half of")
    tiny().run()
    assert not left.exists()
    left.mkdir()
    (left / "thesis.tex").write_text("mine")
    tiny().run()
    assert (left / "thesis.tex").read_text() == "mine"


def test_a_folder_removed_while_it_is_in_use_is_said_at_once(tiny: Tiny) -> None:
    def remove(snapshot: Any) -> None:
        if snapshot.trials == 2:
            shutil.rmtree(study.out)

    study = tiny()
    with pytest.raises(RunFolderError, match="was removed while it was in use"):
        study.run(listener=remove)


def test_a_problem_that_the_user_wrote_is_not_written_over(tmp_path: Path) -> None:
    own = "# mine\n{encoding: tiny_cnn, task: {input_shape: [1, 8, 8], classes: 10}, objectives: [{metric: params}]}\n"
    (tmp_path / "problem.yaml").write_text(own)
    with pytest.raises(RunFolderError, match=r"is not a run folder: it holds other files, as problem\.yaml"):
        moonas.load(tmp_path / "problem.yaml", out=tmp_path).run()
    assert (tmp_path / "problem.yaml").read_text() == own


def test_the_folder_of_another_encoding_is_refused_before_anything_is_read_wrongly(tiny: Tiny) -> None:
    tiny().run()
    with pytest.raises(RunFolderError, match="holds trials of another encoding; give another folder"):
        _ = tiny(encoding="small_cnn").trials


def test_a_gene_that_shares_a_column_is_refused(tiny: Tiny) -> None:
    class Shadow(moonas.Encoding):
        genes = (moonas.Gene("params", (1, 2)),)

        def decode(self, genotype: moonas.Genotype) -> moonas.Architecture:
            raise AssertionError

        def encode(self, architecture: moonas.Architecture) -> moonas.Genotype:
            raise AssertionError

    with pytest.raises(moonas.MoonasError, match="a gene cannot be called params: that is another column"):
        tiny(encoding=Shadow)


def test_a_changed_problem_is_refused_with_the_difference(tiny: Tiny) -> None:
    study = tiny()
    study.run()
    before = study.trials
    with pytest.raises(RunFolderError) as caught:
        tiny(seed=7, objectives=[{"metric": "params"}, {"metric": "size_mb"}]).run()
    message = str(caught.value)
    assert "holds a run of another problem" in message
    assert "\n  seed: was 0, is 7" in message
    assert "\n  objectives.1.metric: was flops, is size_mb" in message
    assert study.trials.equals(before)


def test_a_folder_without_trials_takes_a_mended_problem(tiny: Tiny) -> None:
    broken = tiny(
        data={"name": "npz", "path": "nowhere.npz", "split": {"train": 0.5, "val": 0.5, "test": 0}}, task=None
    )
    with pytest.raises(moonas.MoonasError, match="no such file"):
        broken.run()
    assert len(tiny().run()) >= 1


def test_a_run_from_before_a_field_existed_goes_on(tiny: Tiny) -> None:
    study = tiny(budget={"trials": 6})
    study.run()
    path = study.out / "problem.yaml"
    header = path.read_text().splitlines()[0]
    problem = yaml.safe_load(path.read_text())
    del problem["search"]["options"], problem["training"]["momentum"], problem["device"]["round_ms"]
    path.write_text(f"{header}\n{yaml.safe_dump(problem)}")
    again = tiny(budget={"trials": 12})
    again.run()
    assert len(again.trials) == 12


def digits_file(path: Path, images: int) -> Path:
    bunch = load_digits()
    path.parent.mkdir(exist_ok=True)
    np.savez(path, x_train=bunch.images[:images].astype(np.float32), y_train=bunch.target[:images])
    return path


def test_data_may_move_but_not_change(tiny: Tiny, tmp_path: Path) -> None:
    def make(path: Path, trials: int) -> moonas.Study:
        return tiny(
            data={"name": "npz", "path": str(path)},
            task=None,
            objectives=[{"metric": "accuracy"}, {"metric": "params"}],
            fidelity={"epochs": 1, "samples": 64},
            search={"population": 2},
            budget={"trials": trials},
        )

    first = digits_file(tmp_path / "here" / "digits.npz", 300)
    make(first, 2).run()
    moved = first.rename(tmp_path / "digits.npz")
    make(moved, 4).run()
    other = digits_file(tmp_path / "other" / "digits.npz", 310)
    with pytest.raises(RunFolderError, match="holds trials on other data"):
        make(other, 6).run()
    assert len(make(moved, 4).trials) == 4


def test_reading_a_run_touches_nothing(tiny: Tiny) -> None:
    study = tiny()
    assert study.trials.empty
    assert not study.out.exists()
    study.run()
    before = {child: child.stat().st_mtime_ns for child in study.out.iterdir()}
    assert len(tiny().front) >= 1
    assert {child: child.stat().st_mtime_ns for child in study.out.iterdir()} == before


def test_the_run_folder_holds_what_the_readme_promises(tiny: Tiny) -> None:
    study = tiny()
    study.run()
    visible = {child.name for child in study.out.iterdir() if not child.name.startswith(".")}
    assert visible == {"problem.yaml", "environment.json", "trials.sqlite", "trials.csv", "pareto.csv", "pareto.png"}
    environment = json.loads((study.out / "environment.json").read_text())
    assert {"python", "processor", "cores", "packages"} <= set(environment)
    assert environment["packages"]["torch"]


def test_the_problem_in_the_folder_is_whole_and_runs_again(tiny: Tiny, tmp_path: Path) -> None:
    study = tiny()
    study.run()
    assert yaml.safe_load((study.out / "problem.yaml").read_text())["encoding"]["family"] == "staged_cnn"
    again = moonas.load(study.out / "problem.yaml", out=tmp_path / "again")
    again.run()
    assert again.trials.drop(columns="seconds").equals(study.trials.drop(columns="seconds"))


def test_another_environment_is_noticed(tiny: Tiny) -> None:
    study = tiny()
    study.run()
    assert study.environment_changes() == []
    path = study.out / "environment.json"
    environment = json.loads(path.read_text())
    environment["processor"] = "Z80"
    path.write_text(json.dumps(environment))
    (change,) = study.environment_changes()
    assert change.startswith("processor: was Z80, is ")


def test_a_path_that_cannot_be_a_folder_gives_one_sentence(tiny: Tiny, tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file")
    with pytest.raises(RunFolderError, match="run cannot be a run folder: there is a file in its place"):
        tiny().run()


def test_a_file_is_whole_or_not_there(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.write("table.csv", lambda path: path.write_text("old") and None)

    def half(path: Path) -> None:
        path.write_text("ne")
        raise OSError(28, "No space left on device")

    with pytest.raises(RunFolderError, match="cannot be written: No space left on device"):
        folder.write("table.csv", half)
    assert [child.name for child in tmp_path.iterdir()] == ["table.csv"]
    assert (tmp_path / "table.csv").read_text() == "old"


def test_a_full_disk_gives_one_sentence_and_keeps_what_was_told(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk needs root, on Linux")
    try:
        script = (
            "import sys, moonas\n"
            "problem = {'encoding': 'small_cnn', 'task': {'input_shape': [1, 8, 8], 'classes': 10}, 'workers': 0,"
            " 'objectives': [{'metric': 'params'}], 'record': [], 'budget': {'trials': 5000}}\n"
            "try:\n    moonas.search(problem, out=sys.argv[1])\n"
            "except moonas.MoonasError as error:\n    print(error)\n"
        )
        command = [sys.executable, "-c", script, str(disk / "run")]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        assert "cannot be" in result.stdout
        assert len(result.stdout.splitlines()) == 1
        assert "Traceback" not in result.stderr
        subprocess.run(["mount", "-o", "remount,size=50m", str(disk)], check=True)
        kept = moonas.load(disk / "run" / "problem.yaml", out=disk / "run").trials
        assert len(kept) > 20
        assert kept["number"].tolist() == list(range(len(kept)))
    finally:
        time.sleep(0.1)
        subprocess.run(["umount", str(disk)], check=True)


def test_differences_are_listed_by_their_path() -> None:
    before = {"a": 1, "b": {"c": [1, 2]}, "gone": True}
    now = {"a": 1, "b": {"c": [1, 3]}, "new": "x"}
    assert list(differences(before, now)) == [
        "b.c.1: was 2, is 3",
        "gone: was True, is not given",
        "new: was not given, is x",
    ]
