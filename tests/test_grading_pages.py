"""The gradebook, Gradescope's file and the feedback pages, from results made by hand."""

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import grading_support as support
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.grading.class_page import class_page
from labkit.grading.course import Course
from labkit.grading.feedback import page
from labkit.grading.files import remove_partials, write_whole
from labkit.grading.gradebook import defused, gradebook, gradescope
from labkit.grading.results import Graded, Outcome, Record, Shown

EVIL = "<script>alert('x')</script>"
RIGHT = Graded("1.1", "One", "one", Outcome.RIGHT, 1, 1, 3, 3, "All right.", answer="def one(): 1")
WRONG = Graded(
    exercise="1.2",
    title="Two",
    function="two",
    outcome=Outcome.ALMOST,
    points=1.5,
    max_points=3,
    summary="2 of 3 calls.",
    student_card=Shown("<p>public card</p>", "public card"),
    instructor_card=Shown("<p>secret card</p>", "secret card"),
    answer=EVIL,
)
RECORD = Record("ada", (RIGHT, WRONG), flags=("edited", EVIL))


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Course:
    return support.course(tmp_path_factory.mktemp("solutions"))


def rows(records: list[Record], course: Course) -> list[list[str]]:
    return list(csv.reader(io.StringIO(gradebook(records, course))))


def test_a_row_has_points_outcomes_and_flags(course: Course) -> None:
    full = tuple(
        Graded(t.exercise.id, "", "", Outcome.RIGHT, t.exercise.points, t.exercise.points)
        for t in course.tasks
    )
    late = (*full[:-1], Graded("1.11", "", "", Outcome.TIMEOUT, 0.0, 2))
    head, one, other, broken = rows(
        [
            Record("ada", full),
            Record("bob", late, flags=("moved", "edited")),
            Record("eve", (), Outcome.BROKEN, "It is empty."),
        ],
        course,
    )
    assert head[0] == "student"
    assert head[1:12] == [task.exercise.id for task in course.tasks]
    full_points = f"{support.FULL:g}"
    assert one[12:] == ["0", "0", full_points, full_points, "graded", "", "", ""]
    assert other[12:] == ["0", "0", "22", "24", "graded", "1.11 timeout", "moved; edited", ""]
    reason = "broken file: It is empty."
    assert broken == ["eve", *[""] * 11, "0", "0", "", "24", reason, "", "", ""]


def test_what_was_changed_by_hand_is_in_the_row_and_on_the_page(course: Course) -> None:
    record = replace(RECORD, late=0.5, extra=2, comment="=Well done")
    row = rows([record], course)[1]
    assert row[-8:-4] == ["0.5", "2", "4", "24"]
    assert row[-1] == "'=Well done"
    text = page("Lab 1", record, instructor=False)
    for sentence in ("2.5 of 4 points", "Less 0.5 for being late", "In all 4", "=Well done"):
        assert sentence in text
    results = json.loads(gradescope(record))
    assert results["score"] == 4
    assert "Less 0.5" in results["output"]


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@x", "\t=x", "\n=1", " =1", "|x", "%x"])
def test_no_name_becomes_a_formula(name: str, course: Course) -> None:
    assert rows([Record(name, ())], course)[1][0].startswith("'")


@given(st.text())
def test_defused_text_is_one_line_that_starts_harmlessly(text: str) -> None:
    safe = defused(text)
    assert not safe.startswith(("=", "+", "-", "@", "\t", "\r", " "))
    assert "\n" not in safe
    safe.encode("utf-8")


def test_names_that_are_no_unicode_are_written(course: Course) -> None:
    assert rows([Record("ad\udce9", ())], course)[1][0] == "ad\\udce9"


def test_gradescope_gets_the_students_part_only() -> None:
    text = gradescope(RECORD)
    results = json.loads(text)
    assert results["score"] == 2.5
    assert [test["status"] for test in results["tests"]] == ["passed", "failed"]
    assert [test["max_score"] for test in results["tests"]] == [1, 3]
    assert results["tests"][1]["output"] == "public card"
    assert "secret" not in text
    assert "edited" not in text


def test_gradescope_says_why_there_are_no_points() -> None:
    results = json.loads(gradescope(Record("eve", (), Outcome.BROKEN, "It is empty.")))
    assert results["score"] == 0
    assert results["output"] == "It is empty."
    assert results["tests"] == []


def test_the_students_page_has_no_secret_and_the_instructors_has() -> None:
    student, instructor = (page("Lab 1", RECORD, instructor=level) for level in (False, True))
    assert "public card" in student
    assert "secret card" not in student
    assert "edited" not in student
    assert "secret card" in instructor
    assert "edited" in instructor


def test_pages_stand_alone_and_run_nothing() -> None:
    text = page("Lab 1", Record(EVIL, RECORD.graded, flags=(EVIL,)), instructor=True)
    assert "<script" not in text
    assert "default-src 'none'" in text
    assert not re.search(r"(src|href)=", text)
    assert text.count("&lt;script&gt;") == 4  # title, name, answer, flag


def test_the_class_page_counts_outcomes_and_misconceptions() -> None:
    mistaken = replace(WRONG, misconception="forgets to clamp")
    records = [RECORD, Record("bob", (RIGHT, mistaken)), Record("eve", (), Outcome.BROKEN, "-")]
    text = class_page("Lab 1", records)
    assert "1 broken file, 2 graded" in text
    assert "The code forgets to clamp.</td><td>1</td><td>50 %" in text
    assert "<td>1.1 One</td><td>1 of 1</td><td>100 %</td><td>0 %</td>" in text
    assert "<td>1.2 Two</td><td>1.5 of 3</td><td>0 %</td><td>100 %</td>" in text
    assert "2.5 of 4 on average" in text
    assert "<td>ada</td><td>edited</td>" in text
    assert "<script" not in text
    assert not re.search(r"(src|href)=", text)
    # Well-formed, so that every picture is closed and every label is quoted.
    pictures = [ElementTree.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", text)]
    assert [picture.get("role") for picture in pictures] == ["img", "img"]
    # Both students have 2.5 of 4 points: the seventh of ten bars.
    counts = [mark.text for mark in pictures[0] if mark.get("text-anchor") == "middle"]
    assert counts == [*"0" * 6, "2", *"0" * 3]


def test_a_class_without_a_graded_submission_has_a_page() -> None:
    text = class_page("Lab 1", [Record("eve", (), Outcome.BROKEN, "It is empty.")])
    assert "1 broken file" in text
    assert "<svg" not in text


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    write_whole(path, "one")
    write_whole(path, "two")
    assert path.read_text() == "two"
    assert [p.name for p in path.parent.iterdir()] == ["file"]
    before = path.stat().st_ino
    write_whole(path, "two")
    assert path.stat().st_ino == before


def test_what_a_killed_run_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".x.partial").write_text("half")
    (tmp_path / "kept").write_text("")
    remove_partials(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["kept"]


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    write_whole(path, "old")

    def fail(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="no space"):
        write_whole(path, "new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
