import sqlite3
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import moonas
from moonas.encoding.encoding import Encoding
from moonas.errors import RunFolderError
from moonas.evaluation.evaluator import checked
from moonas.problem.trial import State, Trial
from moonas.study.archive import Archive


@pytest.fixture
def encoding() -> Encoding:
    return moonas.load("digits_tiny").encoding


def make_trial(
    encoding: Encoding, number: int, *, state: State = "complete", error: str = "", **metrics: float
) -> Trial:
    genotype = encoding.canonical((0, number % 2, number // 2 % 2, 0, 1, number // 4 % 3, 0))
    return Trial(number, genotype, encoding.decode(genotype), state, metrics, seconds=0.25, error=error)


def test_a_trial_comes_back_as_it_went_in(tmp_path: Path, encoding: Encoding) -> None:
    trial = make_trial(encoding, 3, accuracy=0.5, params=1234)
    archive = Archive(tmp_path / "trials.sqlite", encoding)
    archive.append(trial)
    archive.close()
    again = Archive(tmp_path / "trials.sqlite", encoding)
    assert again.get(trial.key) == trial
    assert list(again) == [trial]
    assert len(again) == 1
    assert again.get("staged_cnn-000000000000") is None
    again.close()


def test_the_architecture_in_the_file_builds_by_itself(tmp_path: Path, encoding: Encoding) -> None:
    import json

    from moonas.network.architecture import architecture_from_dict

    trial = make_trial(encoding, 0)
    archive = Archive(tmp_path / "trials.sqlite", encoding)
    archive.append(trial)
    archive.close()
    connection = sqlite3.connect(tmp_path / "trials.sqlite")
    (text,) = connection.execute("SELECT architecture FROM trials").fetchone()
    connection.close()
    assert architecture_from_dict(json.loads(text)) == trial.architecture


def test_a_second_trial_of_the_same_architecture_is_refused(tmp_path: Path, encoding: Encoding) -> None:
    archive = Archive(tmp_path / "trials.sqlite", encoding)
    archive.append(make_trial(encoding, 0))
    with pytest.raises(RunFolderError, match="UNIQUE"):
        archive.append(make_trial(encoding, 0))
    assert len(archive) == 1
    archive.close()


def test_the_time_spent_is_that_of_the_last_trial(tmp_path: Path, encoding: Encoding) -> None:
    archive = Archive(tmp_path / "trials.sqlite", encoding)
    assert archive.elapsed == 0.0
    archive.append(make_trial(encoding, 1), elapsed=1.5)
    archive.append(make_trial(encoding, 0), elapsed=2.5)
    archive.close()
    again = Archive(tmp_path / "trials.sqlite", encoding, writable=False)
    assert again.elapsed == 2.5
    again.close()


def test_a_reader_sees_what_another_has_just_written(tmp_path: Path, encoding: Encoding) -> None:
    writer = Archive(tmp_path / "trials.sqlite", encoding)
    writer.append(make_trial(encoding, 0))
    reader = Archive(tmp_path / "trials.sqlite", encoding, writable=False)
    assert len(reader) == 1
    writer.append(make_trial(encoding, 1))
    assert len(reader) == 2
    with pytest.raises(RunFolderError):
        reader.append(make_trial(encoding, 2))
    reader.close()
    writer.close()


@pytest.mark.parametrize("writable", [True, False])
def test_a_database_of_something_else_is_left_alone(tmp_path: Path, encoding: Encoding, writable: bool) -> None:
    path = tmp_path / "trials.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE clinical (patient TEXT)")
    connection.commit()
    connection.close()
    before = path.read_bytes()
    with pytest.raises(RunFolderError, match="is a database of something else"):
        Archive(path, encoding, writable=writable)
    assert path.read_bytes() == before


def test_an_archive_of_another_format_is_refused(tmp_path: Path, encoding: Encoding) -> None:
    path = tmp_path / "trials.sqlite"
    Archive(path, encoding).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(RunFolderError, match="has format 99 and this moonas knows format 1"):
        Archive(path, encoding)


def test_an_encoding_that_has_changed_its_meaning_is_noticed(tmp_path: Path, encoding: Encoding) -> None:
    archive = Archive(tmp_path / "trials.sqlite", encoding)
    trial = make_trial(encoding, 0)
    archive.append(trial)
    archive.close()

    class Shifted(type(encoding)):  # type: ignore[misc]
        """Has the same genes, and means the next network by them."""

        def decode(self, genotype: tuple[int, ...]) -> Any:
            return super().decode((*genotype[:5], (genotype[5] + 1) % 3, *genotype[6:]))

    again = Archive(tmp_path / "trials.sqlite", Shifted(encoding.tree))  # type: ignore[attr-defined]
    with pytest.raises(RunFolderError, match=f"meant {trial.key}, and now it means"):
        again.get(trial.key)
    again.close()


def test_facts_are_kept_and_renewed(tmp_path: Path, encoding: Encoding) -> None:
    archive = Archive(tmp_path / "trials.sqlite", encoding)
    assert archive.fact("seconds_spent") is None
    archive.note("seconds_spent", 1.5)
    archive.note("seconds_spent", {"a": [1, None]})
    assert archive.fact("seconds_spent") == {"a": [1, None]}
    archive.close()


@pytest.mark.parametrize("content", [b"not a database, but long enough to look like one" * 50, b"\0" * 4096])
def test_a_file_that_is_no_archive_gives_one_sentence(tmp_path: Path, encoding: Encoding, content: bytes) -> None:
    path = tmp_path / "trials.sqlite"
    path.write_bytes(content)
    with pytest.raises(RunFolderError, match=r"trials\.sqlite cannot be used: file is not a database"):
        Archive(path, encoding)
    assert path.read_bytes() == content


NUMBERS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False, min_value=-1e12, max_value=1e12),
    st.integers(min_value=0, max_value=2**53),
)


@settings(deadline=None, max_examples=60)
@given(values=st.lists(NUMBERS, min_size=1, max_size=6), error=st.text(st.characters(codec="utf-8"), max_size=20))
def test_csv_files_read_back_without_loss(
    values: list[float], error: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    encoding = moonas.load("digits_tiny").encoding
    folder = tmp_path_factory.mktemp("csv")
    archive = Archive(folder / "trials.sqlite", encoding)
    words = " ".join(error.split())
    for number, value in enumerate(values):
        metric = checked("metric", value)
        archive.append(make_trial(encoding, number, state="failed", error=f"Error: {words}", metric=metric))
    frame = archive.to_frame(["metric"])
    archive.close()
    frame.to_csv(folder / "trials.csv", index=False)
    pd.testing.assert_frame_equal(pd.read_csv(folder / "trials.csv"), frame, check_exact=True)


def test_missing_metrics_and_errors_are_empty_cells(tmp_path: Path, encoding: Encoding) -> None:
    archive = Archive(tmp_path / "trials.sqlite", encoding)
    archive.append(make_trial(encoding, 0, accuracy=0.5, params=12))
    archive.append(make_trial(encoding, 1, state="failed", error='broke: "so", it\'s said', params=7))
    frame = archive.to_frame(["accuracy", "params"])
    archive.close()
    frame.to_csv(tmp_path / "trials.csv", index=False)
    again = pd.read_csv(tmp_path / "trials.csv")
    pd.testing.assert_frame_equal(again, frame, check_exact=True)
    assert again["params"].tolist() == [12, 7]
    assert again["accuracy"].isna().tolist() == [False, True]
    assert again["error"].isna().tolist() == [True, False]
    assert list(again.columns[:7]) == ["key", "number", "state", "accuracy", "params", "seconds", "error"]
    assert list(again.columns[7:]) == [gene.name for gene in encoding.genes]
