"""How names become files: a path, else one's own folder, else what is shipped."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import yaml

from moonas import content
from moonas.errors import MoonasError, UnknownNameError

ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def own(kind: str, name: str, text: str = "# Mine.\n") -> Path:
    path = Path(kind) / f"{name}.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def names(kind: str) -> str:
    return ", ".join(sorted(path.stem for path in (ROOT / kind).glob("*.yaml")))


def test_the_shipped_files_are_those_of_the_checkout() -> None:
    for kind in content.KINDS:
        inside = "encodings/architectures" if kind == "architectures" else kind
        assert content.shipped_folder(kind) == ROOT / inside


def test_in_a_wheel_the_shipped_files_lie_in_the_package(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = here / "site-packages" / "moonas"
    (package / "shipped" / "problems").mkdir(parents=True)
    (package / "shipped" / "problems" / "packed.yaml").write_text("# Packed.\n")
    monkeypatch.setattr(content, "_package", package)
    assert content.find("problems", "packed") == package / "shipped" / "problems" / "packed.yaml"
    assert list(content.available("problems")) == ["packed"]
    assert content.find_shipped("packed")[0] == "problems"


def test_a_shipped_name_is_found_from_anywhere() -> None:
    assert content.find("problems", "digits") == ROOT / "problems" / "digits.yaml"
    assert content.find("encodings", "tiny_cnn") == ROOT / "encodings" / "tiny_cnn.yaml"
    assert content.find("hw_profiles", "here") == ROOT / "hw_profiles" / "here.yaml"


def test_a_file_in_ones_own_folder_comes_before_the_shipped_one() -> None:
    path = own("problems", "digits")
    assert content.find("problems", "digits") == path
    assert content.available("problems")["digits"] == path


def test_a_path_comes_before_everything(here: Path) -> None:
    own("problems", "digits")
    for name in ("digits", "digits.yaml", "elsewhere.txt"):
        Path(name).write_text("# At the path.\n")
        assert content.find("problems", name) == Path(name)
        assert content.find("problems", str(here / name)) == here / name


def test_kinds_do_not_mix() -> None:
    own("encodings", "mine")
    assert content.find("encodings", "mine").is_file()
    with pytest.raises(UnknownNameError, match="unknown problem 'mine'"):
        content.find("problems", "mine")


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        (
            "problems",
            "digit",
            f"unknown problem 'digit'; choose from {names('problems')}, or give the path of a file; "
            "did you mean 'digits'?",
        ),
        (
            "encodings",
            "resnet9",
            f"unknown encoding 'resnet9'; choose from {names('encodings')}, or give the path of a file; "
            "did you mean 'resnet'?",
        ),
        (
            "hw_profiles",
            "heer",
            f"unknown device profile 'heer'; choose from {names('hw_profiles')}, or give the path of a file; "
            "did you mean 'here'?",
        ),
        (
            "problems",
            "mine/digit.yaml",
            f"no such file: mine/digit.yaml; choose from {names('problems')}, or give the path of a file; "
            "did you mean 'digits'?",
        ),
    ],
)
def test_a_name_that_is_nothing_is_explained(kind: str, name: str, message: str) -> None:
    with pytest.raises(UnknownNameError) as caught:
        content.find(kind, name)
    assert str(caught.value) == message


def test_ones_own_files_are_suggested_too() -> None:
    own("problems", "gadgets")
    with pytest.raises(UnknownNameError, match="did you mean 'gadgets'"):
        content.find("problems", "gadget")


def test_all_that_can_be_named_is_listed_in_order() -> None:
    path = own("encodings", "aaa")
    found = content.available("encodings")
    assert found["aaa"] == path
    assert set(found) == {"aaa", *(shipped.stem for shipped in (ROOT / "encodings").glob("*.yaml"))}
    assert list(found) == sorted(found)


def test_only_yaml_files_are_listed() -> None:
    own("problems", "mine")
    (Path("problems") / "notes.txt").write_text("not a problem")
    (Path("problems") / "folder.yaml").mkdir()
    assert set(content.available("problems")) == {"mine", *(path.stem for path in (ROOT / "problems").glob("*.yaml"))}


def test_an_unknown_kind_is_explained() -> None:
    with pytest.raises(UnknownNameError) as caught:
        content.available("problem")
    assert str(caught.value) == (
        "unknown kind 'problem'; choose from architectures, encodings, hw_profiles, problems; did you mean 'problems'?"
    )


def test_a_shipped_file_is_found_whatever_its_kind() -> None:
    assert content.find_shipped("digits") == ("problems", ROOT / "problems" / "digits.yaml")
    assert content.find_shipped("small_cnn") == ("encodings", ROOT / "encodings" / "small_cnn.yaml")
    assert content.find_shipped("here") == ("hw_profiles", ROOT / "hw_profiles" / "here.yaml")


def test_ones_own_file_is_not_shipped() -> None:
    own("problems", "mine")
    with pytest.raises(UnknownNameError, match="unknown file 'mine'"):
        content.find_shipped("mine")


def test_a_shipped_file_that_is_none_is_explained() -> None:
    with pytest.raises(UnknownNameError) as caught:
        content.find_shipped("tiny_cn")
    assert str(caught.value).endswith("; did you mean 'tiny_cnn'?")
    assert all(name in str(caught.value) for name in ("digits", "efficientnet", "here"))


def test_a_name_of_several_kinds_needs_its_kind() -> None:
    """`moonas copy NAME` asks for no kind where one is enough."""
    shipped = Counter(path.stem for kind in content.KINDS for path in content.shipped_folder(kind).glob("*.yaml"))
    assert [name for name, count in shipped.items() if count > 1] == ["nas_bench_201"]
    with pytest.raises(MoonasError, match="is problem and encoding; write problems/nas_bench_201 or encodings/nas_b"):
        content.find_shipped("nas_bench_201")
    for kind in ("problems", "encodings"):
        assert content.find_shipped(f"{kind}/nas_bench_201") == (kind, ROOT / kind / "nas_bench_201.yaml")


@pytest.mark.parametrize(
    ("text", "summary"),
    [
        (b"# What it is for.\nname: x\n", "What it is for."),
        (b"#What it is for.\n# More of it.\n", "What it is for."),
        (b"name: x\n# Not at the top.\n", ""),
        (b"", ""),
        (b"#\n", ""),
        (b"\xff\xfe not text", ""),  # one bad file must not spoil the list
    ],
)
def test_the_summary_of_a_file_is_its_first_comment(here: Path, text: bytes, summary: str) -> None:
    path = here / "any.yaml"
    path.write_bytes(text)
    assert content.summary(path) == summary


@pytest.mark.parametrize("kind", content.KINDS)
def test_every_shipped_file_says_what_it_is_for_and_is_yaml(kind: str) -> None:
    for path in content.shipped_folder(kind).glob("*.yaml"):
        assert len(content.summary(path)) > 20, path
        assert isinstance(yaml.safe_load(path.read_text(encoding="utf-8")), dict), path


def test_content_folders_hold_data_only() -> None:
    for kind in content.KINDS:
        files = (path for path in content.shipped_folder(kind).rglob("*") if path.is_file())
        assert {path.suffix for path in files} <= {".yaml", ".csv"}
        folders = {path.name for path in content.shipped_folder(kind).rglob("*") if path.is_dir()}
        assert folders - {"__pycache__"} == ({"architectures"} if kind == "encodings" else set())
