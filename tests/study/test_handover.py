"""What is handed to workers comes through whole, and its arrays lie in memory once."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moonas.spec.data import DataSpec
from moonas.spec.training import FidelitySpec, TrainingSpec
from moonas.study.executor import ProcessExecutor
from moonas.study.handover import read_handover, write_handover
from moonas.training.split import load_search_data
from moonas.training.trainer import Trainer


@settings(deadline=None, max_examples=30)
@given(shapes=st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=3).map(tuple), max_size=4))
def test_an_object_with_arrays_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, shapes: list[tuple[int, ...]]
) -> None:
    folder = tmp_path_factory.mktemp("handover")
    random = np.random.default_rng(0)
    arrays = [random.normal(size=shape).astype(np.float32) for shape in shapes]
    write_handover(folder, {"arrays": arrays, "name": "x"})
    back = read_handover(folder)
    assert back["name"] == "x"
    for array, again in zip(arrays, back["arrays"], strict=True):
        np.testing.assert_array_equal(array, again)
        assert array.dtype == again.dtype


def test_functions_of_a_script_come_through(tmp_path: Path) -> None:
    factor = 3
    write_handover(tmp_path, lambda value: value * factor)
    assert read_handover(tmp_path)(2) == 6


def test_what_one_reader_writes_no_other_sees(tmp_path: Path) -> None:
    write_handover(tmp_path, np.zeros(1000))
    mine, other = read_handover(tmp_path), read_handover(tmp_path)
    mine[:] = 1
    assert other.sum() == 0
    assert read_handover(tmp_path).sum() == 0


ROLLUP = Path("/proc/self/smaps_rollup")


def own_megabytes() -> float:
    """Memory that no file stands behind, and so no process can share."""
    line = next(line for line in ROLLUP.read_text().splitlines() if line.startswith("Anonymous:"))
    return int(line.split()[1]) / 1000


@pytest.mark.skipif(not ROLLUP.exists(), reason="the system does not tell which memory is shared")
def test_reading_a_large_array_takes_no_memory_of_the_process(tmp_path: Path) -> None:
    write_handover(tmp_path, np.ones(25_000_000))  # 200 MB
    before = own_megabytes()
    array = read_handover(tmp_path)
    assert array[::1000].sum() == 25_000
    assert own_megabytes() - before < 20


@pytest.mark.usefixtures("one_thread")
def test_a_trainer_handed_over_trains_the_same_network(tmp_path: Path) -> None:
    from moonas.network.staged_cnn import Stage, StagedCNN, Stem

    network = StagedCNN(Stem(4), (Stage("separable", 1, 8, 3, 2),))
    data = load_search_data(DataSpec(name="digits"))
    trainer = Trainer(data, FidelitySpec(epochs=1, samples=200, resolution=6), TrainingSpec(batch=50))
    write_handover(tmp_path, trainer)
    again = read_handover(tmp_path)
    assert again.task == trainer.task
    assert again.score(again.fit(network, seed=1)) == trainer.score(trainer.fit(network, seed=1))
    weights = [each.fit(network, seed=2).state_dict() for each in (again, trainer)]
    assert all((weights[0][name] == weights[1][name]).all() for name in weights[0])


def raises() -> None:
    raise OSError("no licence server")


def test_a_worker_that_cannot_start_says_why(tmp_path: Path) -> None:
    from moonas.errors import MoonasError

    executor = ProcessExecutor(1, start=raises, arguments=(), seconds=lambda *_: 60.0, scratch=tmp_path)
    with pytest.raises(MoonasError, match="a worker process could not start: OSError: no licence server"):
        executor.submit(abs, -1).result()
    executor.shutdown()


def test_a_large_handover_does_not_block_when_workers_die_as_they_start(tmp_path: Path) -> None:
    """A pipe holds 64 kB; a parent that writes more to a worker that is dead would wait for ever."""
    import os
    import signal

    marker = tmp_path / "died"
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    ballast = bytes(1_000_000)

    def dies_at_first(ballast: Any) -> None:
        if not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    executor = ProcessExecutor(1, start=dies_at_first, arguments=(ballast,), seconds=lambda *_: 60.0, scratch=scratch)
    assert executor.submit(abs, -1).result(timeout=120) == 1
    executor.shutdown()


def test_a_spoiled_worker_is_replaced_and_its_call_repeated(tmp_path: Path) -> None:
    def soured() -> str:
        import builtins

        sour = hasattr(builtins, "_soured")
        builtins._soured = True  # type: ignore[attr-defined]
        return "out of memory" if sour else "fine"

    executor = ProcessExecutor(
        1,
        start=list,
        arguments=(),
        seconds=lambda *_: 60.0,
        scratch=tmp_path,
        is_spoiled=lambda result: result == "out of memory",
    )
    assert [executor.submit(soured).result() for _ in range(3)] == ["fine"] * 3
    executor.shutdown()
