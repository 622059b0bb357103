"""The gradebook, Gradescope's file and the feedback pages, from results made by hand."""

import csv
import io
import json
import re
from pathlib import Path

import grading_support as support
import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    assert one[12:] == [f"{support.FULL:g}", f"{support.FULL:g}", "graded", "", ""]
    assert other[12:] == ["22", "24", "graded", "1.11 timeout", "moved; edited"]
    assert broken == ["eve", *[""] * 12, "24", "broken file: It is empty.", "", ""]


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


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    write_whole(path, "one")
    write_whole(path, "two")
    assert path.read_text() == "two"
    assert [p.name for p in path.parent.iterdir()] == ["file"]


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
