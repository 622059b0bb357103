"""`labkit start`: the labs are copied, and nothing of a student's is overwritten."""

from pathlib import Path

import pytest

import labkit.start
from labkit.checks import registry
from labkit.cli import main
from labkit.start import LABS, RECORD, notice, start

LAB = "lab1_linear.ipynb"


@pytest.fixture
def labs(tmp_path):
    """A release with one lab."""
    folder = tmp_path / "release"
    folder.mkdir()
    (folder / LAB).write_text("first release")
    return folder


@pytest.fixture
def desk(tmp_path):
    return tmp_path / "desk"


def notebooks(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.glob("*.ipynb")}


def lines(placed) -> list[str]:
    return [str(one) for one in placed]


def test_every_lab_is_copied_from_where_the_package_stands(desk):
    start(desk)
    for path in LABS.glob("lab*.ipynb"):
        assert (desk / path.name).read_bytes() == path.read_bytes()
    assert any((desk / f"{stem}.ipynb").exists() for stem in registry.STEMS.values())


def test_the_pictures_of_the_map_come_along_and_are_not_spoken_of(desk, labs):
    (labs / "pictures").mkdir()
    (labs / "pictures" / "lab1.png").write_bytes(b"a picture")
    assert [one.name for one in start(desk, labs)] == [LAB]
    assert (desk / "pictures" / "lab1.png").read_bytes() == b"a picture"


def test_a_second_start_changes_nothing(desk, labs):
    assert lines(start(desk, labs)) == [f"{LAB}: copied"]
    (desk / LAB).write_text("my answers")
    assert lines(start(desk, labs)) == [f"{LAB}: yours, left as it is"]
    assert notebooks(desk) == {LAB: "my answers"}


def test_a_newer_lab_lands_beside_the_students_own_once(desk, labs):
    start(desk, labs)
    (desk / LAB).write_text("my answers")
    (labs / LAB).write_text("second release")
    assert lines(start(desk, labs)) == [f"lab1_linear_2.ipynb: a newer release, beside your {LAB}"]
    (desk / "lab1_linear_2.ipynb").write_text("more answers")
    assert lines(start(desk, labs)) == ["lab1_linear_2.ipynb: yours, left as it is"]
    (labs / LAB).write_text("third release")
    start(desk, labs)
    assert notebooks(desk) == {
        LAB: "my answers",
        "lab1_linear_2.ipynb": "more answers",
        "lab1_linear_3.ipynb": "third release",
    }


def test_a_file_of_unknown_origin_is_never_overwritten(desk, labs):
    desk.mkdir()
    (desk / LAB).write_text("from somewhere else")
    start(desk, labs)
    assert notebooks(desk) == {LAB: "from somewhere else", "lab1_linear_2.ipynb": "first release"}


def test_a_link_to_elsewhere_is_not_followed(desk, labs, tmp_path):
    desk.mkdir()
    elsewhere = tmp_path / "elsewhere"
    (desk / LAB).symlink_to(elsewhere)
    start(desk, labs)
    assert not elsewhere.exists()
    assert (desk / "lab1_linear_2.ipynb").read_text() == "first release"


def test_an_installation_without_labs_says_what_to_do(desk, tmp_path):
    with pytest.raises(ValueError, match=r"installed without its labs.*--labs"):
        start(desk, tmp_path / "nowhere")
    assert not desk.exists()


def test_the_labs_own_folder_is_refused(labs):
    with pytest.raises(ValueError, match="expected another one"):
        start(labs, labs)


@pytest.mark.parametrize("content", ["{", "[]", '{"a": 3}', '{"a": null}'])
def test_a_broken_record_is_named_and_no_file_touched(desk, labs, content):
    start(desk, labs)
    (desk / LAB).write_text("my answers")
    (desk / RECORD).write_text(content)
    with pytest.raises(ValueError, match=r"start\.json is not what .* delete it"):
        start(desk, labs)
    assert notebooks(desk) == {LAB: "my answers"}


def test_a_notebook_of_another_version_is_noticed(desk, monkeypatch):
    start(desk)
    assert notice(desk / LAB) == ""
    monkeypatch.setattr(labkit.start, "__version__", "9.9")
    said = notice(desk / LAB)
    assert f"made for labkit {labkit.__version__}, and labkit 9.9 is installed" in said
    assert "`labkit start .`" in said


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"metadata": {"labkit": 1}}'])
def test_a_notebook_that_says_no_version_is_left_alone(content, tmp_path):
    notebook = tmp_path / "mine.ipynb"
    notebook.write_text(content)
    assert notice(notebook) == ""
    assert notice(tmp_path / "nowhere.ipynb") == ""
    assert notice(None) == ""


def test_the_command_says_what_it_did_and_what_comes_next(desk, labs, capsys):
    assert main(["start", str(desk), "--labs", str(labs)]) == 0
    said = capsys.readouterr().out
    assert f"{LAB}: copied" in said
    assert f"jupyter lab {desk}" in said


def test_the_command_fails_with_a_sentence(desk, tmp_path, capsys):
    assert main(["start", str(desk), "--labs", str(tmp_path)]) == 1
    assert "labkit start: " in capsys.readouterr().err
