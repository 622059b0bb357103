"""Whose work is there, which notebook of it counts, and what is said of everything else."""

import copy
import io
import json
import os
import zipfile
from dataclasses import replace
from pathlib import Path

import grading_support as support
import pytest
from grading_support import NAME, STEM, save

from labkit.grading.collecting.choosing import choose, read_bytes
from labkit.grading.collecting.entries import read_entry
from labkit.grading.collecting.students import students
from labkit.grading.course import Course
from labkit.grading.kinds import what_it_is
from labkit.grading.submission.reading import Broken, parse

RIGHT = {"1.1": "def integer_range(*args):\n    return 0, 1"}


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Course:
    return support.course(tmp_path_factory.mktemp("solutions"))


def raw(notebook: object) -> bytes:
    return json.dumps(notebook).encode()


def zipped(name: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, "x")
    return file.getvalue()


def chosen(place: Path, course: Course) -> tuple[dict, str]:
    data, flags = choose([place], course)
    return json.loads(data), "; ".join(flags)


def names(found: tuple) -> tuple[list[str], dict[str, str]]:
    handed_in, passed = found
    return [one.name for one in handed_in], {one.name: one.why for one in passed}


def test_folders_and_loose_notebooks_are_somebodys_and_the_rest_is_listed(tmp_path: Path) -> None:
    root = tmp_path / "in"
    for folder in ("ada", ".zoe", "__MACOSX", ".ipynb_checkpoints", ".git"):
        (root / folder).mkdir(parents=True)
    for name in (
        *("bob.ipynb", "eve\\lab1_linear.ipynb", "eve\\more\\scratch.ipynb", "tom.ipynb.txt"),
        *("ada.ipynb", "list.xlsx", "all.zip", ".DS_Store", "._bob.ipynb", "..\\x.ipynb"),
    ):
        (root / name).write_bytes(b"x")
    found, passed = names(students(root, tmp_path / "out"))
    assert found == ["ada", "bob", "eve", "tom"]
    assert set(passed) == {".zoe", "ada.ipynb", "all.zip", "list.xlsx", "..\\x.ipynb"}
    assert "labkit collect" in passed["all.zip"]
    assert "dot" in passed[".zoe"]


def test_files_with_backslashes_are_one_students(tmp_path: Path, course: Course) -> None:
    save(tmp_path / "in", support.released_notebook(), "eve\\lab1_linear.ipynb")
    save(tmp_path / "in", support.answered(RIGHT), "eve\\labs\\lab1_linear_2.ipynb")
    ((eve,), _) = students(tmp_path / "in", tmp_path / "out")
    entry = read_entry(eve, course)
    assert "return 0, 1" in entry.data.decode()
    assert any("labs/lab1_linear_2.ipynb was graded" in flag for flag in entry.flags)
    assert any("loose" in flag for flag in entry.flags)


@pytest.mark.parametrize(
    "name",
    [
        *(f"{STEM}_2.ipynb", f"{STEM} (1).ipynb", f"{STEM}-Copy1.ipynb", f"Copy of {NAME}"),
        *(f"labs/{NAME}", f"a/b/{STEM}.IPYNB", f"{NAME}.txt"),
    ],
)
def test_of_two_notebooks_the_one_with_answers_counts_and_the_other_is_named(
    tmp_path: Path, course: Course, name: str
) -> None:
    for first, second in ((NAME, name), (name, NAME)):
        root = tmp_path / first.replace("/", "-")
        for path, notebook in ((first, support.released_notebook()), (second, solved())):
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            save((root / path).parent, notebook, Path(path).name)
        found, flags = chosen(root, course)
        assert found == solved()
        assert f"{second} was graded ({len(course.tasks)} exercises answered)" in flags
        assert f"not {first} (0)" in flags


def solved() -> dict:
    return support.answered({t: "def f(): pass" for t in ids()})


def ids() -> list[str]:
    return [exercise.id for exercise in support.registry.exercises(support.LAB)]


def test_of_equal_ones_the_labs_own_name_counts_and_copies_are_not_worth_a_flag(
    tmp_path: Path, course: Course
) -> None:
    save(tmp_path, support.answered(RIGHT), "a.ipynb")
    save(tmp_path, support.answered(RIGHT))
    assert chosen(tmp_path, course) == (support.answered(RIGHT), "")
    save(tmp_path, support.answered({"1.2": "x"}), "a.ipynb")
    found, flags = chosen(tmp_path, course)
    assert found == support.answered(RIGHT)
    assert "not a.ipynb (1)" in flags


def test_stubs_of_an_older_release_are_no_answers(tmp_path: Path, course: Course) -> None:
    stubs = {t: f'def f(x):\n    raise NotImplementedError("Exercise {t}")' for t in ids()}
    save(tmp_path, support.answered(stubs))
    save(tmp_path, support.answered(RIGHT), f"{STEM}_2.ipynb")
    assert chosen(tmp_path, course)[0] == support.answered(RIGHT)


def test_notebooks_of_other_labs_beside_it_are_no_matter(tmp_path: Path, course: Course) -> None:
    save(tmp_path, support.answered(RIGHT))
    save(tmp_path, other_lab(), "lab2_calibration.ipynb")
    (tmp_path / "broken.ipynb").write_text("{")
    assert chosen(tmp_path, course) == (support.answered(RIGHT), "")


def other_lab() -> dict:
    text = json.dumps(support.released_notebook())
    text = text.replace("exercise-1-", "exercise-2-").replace("check-1-", "check-2-")
    return json.loads(text.replace('\\"1.', '\\"2.').replace("Lab(1)", "Lab(2)"))


def test_another_lab_or_course_is_a_broken_file_that_says_so(course: Course) -> None:
    with pytest.raises(Broken, match="This is lab 2, not lab 1"):
        parse(raw(other_lab()), course)
    stripped = other_lab()
    for cell in stripped["cells"]:
        cell["metadata"] = {}
        cell["source"] = cell["source"].replace("def ", "def my_").replace(" = lab.check", "")
    with pytest.raises(Broken, match="This is lab 2"):
        parse(raw(stripped), course)
    empty = support.released_notebook() | {"cells": []}
    with pytest.raises(Broken, match="no cell of lab 1"):
        parse(raw(empty), course)


def test_a_notebook_without_ids_is_the_labs_by_what_it_defines(course: Course) -> None:
    for notebook in (support.released_notebook(), support.answered(RIGHT)):
        for cell in notebook["cells"]:
            cell["metadata"] = {}
    assert list(parse(raw(notebook), course).answers.values()) == list(RIGHT.values())


def test_answers_in_cells_of_ones_own_count_when_notebooks_are_compared(
    tmp_path: Path, course: Course
) -> None:
    notebook = support.released_notebook()
    own = {**notebook["cells"][0], "id": "own", "source": RIGHT["1.1"], "metadata": {}}
    notebook["cells"].insert(2, own)
    save(tmp_path, support.released_notebook())
    save(tmp_path, notebook, f"{STEM}_2.ipynb")
    assert chosen(tmp_path, course)[0]["cells"][2]["source"] == RIGHT["1.1"]


def test_several_that_cannot_be_graded_are_named(tmp_path: Path, course: Course) -> None:
    save(tmp_path, other_lab(), "lab2.ipynb")
    (tmp_path / "x.ipynb").write_text("<html>")
    with pytest.raises(
        Broken, match=r"2 notebooks.*lab2.ipynb: This is lab 2.*x.ipynb: .*web page"
    ):
        choose([tmp_path], course)
    for number in range(40):
        save(tmp_path, {}, f"{number}.ipynb")
    with pytest.raises(Broken, match="42 notebooks"):
        choose([tmp_path], course)


def test_a_notebook_deeper_down_is_taken_and_flagged(tmp_path: Path, course: Course) -> None:
    save(tmp_path / "lab1" / "work", support.answered(RIGHT))
    found, flags = chosen(tmp_path, course)
    assert found == support.answered(RIGHT)
    assert flags == "the notebook lies in lab1/work"


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({}, "nothing else either"),
        ({".ipynb_checkpoints/lab1_linear-checkpoint.ipynb": b"x"}, "copies that Jupyter keeps"),
        ({"__MACOSX/._lab1_linear.ipynb": b"x", ".DS_Store": b"x"}, "nothing else either"),
        ({".lab1_linear.ipynb.icloud": b"x"}, "stands for one in iCloud"),
        ({"up/report.pdf": b"%PDF-1.7"}, "up/report.pdf is a PDF document"),
        ({"answers.pdf": b""}, "answers.pdf is empty"),
        ({"a.docx": zipped("word/document.xml")}, "a.docx is a Word document"),
        ({"a.docx": zipped("x")}, "a zip archive; unpack it"),
        ({"Lab.odt": b"?"}, "Lab.odt is a document of a word processor"),
        ({"Screenshot 1.png": b"\x89PNG", "b.HEIC": b"?"}, "1.png is a picture. b.HEIC is a p"),
        ({"lab1_linear.py": b"x = 1"}, "lab1_linear.py is a Python script, not a notebook"),
        ({"lab1_linear.html": b"<!DOCTYPE html>"}, "lab1_linear.html is a web page; download"),
        ({"link.html": b"https://colab.example/x"}, "link.html is a link to a web page"),
        ({"onlinetext.html": b"<p>See the PDF.</p>"}, "is text that was typed into the platform"),
        ({"notes.md": b"Notes"}, "notes.md is plain text"),
        ({"weights.pt": b"\x80\2"}, "weights.pt is no notebook"),
        ({"a.zip": b"PK\3\4"}, "a.zip is a damaged zip archive"),
        ({"a.zip": zipped("report.pdf")}, "a.zip is a zip archive without a notebook"),
        ({"a.zip": zipped("a/b.ipynb")}, "a.zip is a zip archive; unpack it"),
        ({f"{n}.png": b"\x89PNG" for n in range(4)}, "2.png is a picture. There is 1 more."),
    ],
)
def test_without_a_notebook_it_is_said_what_came(
    tmp_path: Path, course: Course, files: dict[str, bytes], reason: str
) -> None:
    for file, data in files.items():
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_bytes(data)
    with pytest.raises(Broken, match=f"There is no notebook.*{reason}.*{NAME}"):
        choose([tmp_path], course)


def test_links_are_not_followed(tmp_path: Path, course: Course) -> None:
    save(tmp_path / "ada", support.answered(RIGHT))
    (tmp_path / "bob").mkdir()
    (tmp_path / "bob" / "deeper").symlink_to(tmp_path / "ada")
    with pytest.raises(Broken, match="no notebook"):
        choose([tmp_path / "bob"], course)
    (tmp_path / "bob" / NAME).symlink_to(tmp_path / "ada" / NAME)
    with pytest.raises(Broken, match="cannot be read"):
        choose([tmp_path / "bob"], course)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (zipped("a"), "zip archive"),
        (b"\xef\xbb\xbf\n<!DOCTYPE html><html>", "web page"),
        (b"<?xml version='1.0'?>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "Git LFS"),
        (b'{\n<<<<<<< HEAD\n "a": 1\n=======\n "a": 2\n>>>>>>> b\n}', "git conflict"),
        (b"{\r\n<<<<<<< HEAD\r\n=======\r\n>>>>>>> b\r\n}", "git conflict"),
        (b"%PDF-1.7", "PDF"),
        (b"\x89PNG\r\n", "picture"),
        (b"\0" * 5000, "zeros"),
        ('{"cells": []}'.encode("utf-16"), "UTF-8"),
        (b'{"cells": [{"cell_type": "code", "sou', "cut off"),
        (b"import torch\nx = 1\n", "Python script"),
        (b"[InternetShortcut]\r\nURL=x", "link"),
        (b"https://colab.research.google.com/drive/1\n", "link"),
        (b"---\njupyter:\n  jupytext:\n", "plain text"),
    ],
)
def test_what_is_no_notebook_is_named(course: Course, data: bytes, kind: str) -> None:
    with pytest.raises(Broken, match=kind):
        parse(data, course)


def test_what_is_unknown_stays_unnamed() -> None:
    assert what_it_is(b"") == what_it_is(b"qwertz") == ""


def test_a_cell_repaired_after_the_release_accuses_nobody(course: Course) -> None:
    given = replace(course, given=("print(1)", "print(2)"), release="new")
    notebook = support.released_notebook()
    notebook["cells"][2]["source"] = "print('another check')"
    (flag,) = parse(raw(notebook), given).flags
    assert "older release of the lab (labkit " in flag
    # The same edits in a notebook of the release at hand are the student's.
    same = replace(given, release=notebook["metadata"]["labkit"]["release"])
    assert len(parse(raw(notebook), same).flags) == 2
    lost = copy.deepcopy(notebook)
    lost["metadata"] = {}
    assert len(parse(raw(lost), given).flags) == 2


def test_only_regular_files_of_a_fair_size_are_read(tmp_path: Path) -> None:
    (tmp_path / "good").write_bytes(b"x")
    (tmp_path / "link").symlink_to(tmp_path / "good")
    os.mkfifo(tmp_path / "pipe")
    with open(tmp_path / "large", "wb") as file:
        file.truncate(1 << 32)
    assert read_bytes(tmp_path / "good") == b"x"
    for name in ("link", "pipe", "large", "missing", "."):
        with pytest.raises(Broken):
            read_bytes(tmp_path / name)
