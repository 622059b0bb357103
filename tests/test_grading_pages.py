"""The gradebook, Gradescope's file and the feedback pages, from results made by hand."""

import csv
import io
import json
import re
from dataclasses import replace
from xml.etree import ElementTree

import grading_support as support
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.grading.course import Course
from labkit.grading.judging.results import Graded, Outcome, Record, Shown
from labkit.grading.printing import defused
from labkit.grading.reports.class_page import class_page
from labkit.grading.reports.feedback import page
from labkit.grading.reports.gradebook import gradebook, gradescope

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
# Gradescope's specification: https://gradescope-autograders.readthedocs.io/en/latest/specs/
VISIBLE = {"hidden", "after_due_date", "after_published", "visible"}
FORMATS = {"text", "html", "simple_format", "md", "ansi"}
TOP: dict[str, object] = {
    **{"score": (int, float), "execution_time": (int, float), "output": str, "tests": list},
    **{"visibility": VISIBLE, "stdout_visibility": VISIBLE, "extra_data": dict},
    **{"output_format": FORMATS, "test_output_format": FORMATS, "test_name_format": FORMATS},
    "leaderboard": list,
}
TEST: dict[str, object] = {
    **{"score": (int, float), "max_score": (int, float), "status": {"passed", "failed"}},
    **{"name": str, "number": str, "output": str, "tags": list, "extra_data": dict},
    **{"name_format": FORMATS, "output_format": FORMATS, "visibility": VISIBLE},
}


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
    last = course.tasks[-1].exercise
    late = (*full[:-1], Graded(last.id, "", "", Outcome.TIMEOUT, 0.0, last.points))
    n, most = len(full), f"{support.FULL:g}"
    head, one, other, broken = rows(
        [
            Record("ada", full),
            Record("bob", late, flags=("moved", "edited")),
            Record("eve", (), Outcome.BROKEN, "It is empty."),
        ],
        course,
    )
    assert head[0] == "student"
    assert head[1 : n + 1] == [task.exercise.id for task in course.tasks]
    assert one[n + 1 :] == ["0", "0", most, most, "graded", "", "", ""]
    less, why = f"{support.FULL - last.points:g}", f"{last.id} timeout"
    assert other[n + 1 :] == ["0", "0", less, most, "graded", why, "moved; edited", ""]
    reason = "broken file: It is empty."
    assert broken == ["eve", *[""] * n, "0", "0", "", most, reason, "", "", ""]


def test_what_was_changed_by_hand_is_in_the_row_and_on_the_page(course: Course) -> None:
    record = replace(RECORD, late=0.5, extra=2, comment="=Well done")
    row = rows([record], course)[1]
    assert row[-8:-4] == ["0.5", "2", "4", f"{support.FULL:g}"]
    assert row[-1] == "'=Well done"
    text = page("Lab 1", record, instructor=False)
    line = "4 of 4 points: 2.5 for the exercises, 0.5 less for being late, 2 given by hand."
    assert line in text
    assert "=Well done" in text
    results = json.loads(gradescope(record))
    assert results["score"] == 4
    assert json.loads(gradescope(replace(record, late=0.1 + 0.2)))["score"] == 4.2
    assert results["output"] == f"{line}\n\n=Well done"


@pytest.mark.parametrize(
    "name",
    ["=1+1", "+1", "-1", "@x", "\t=x", "\n=1", " =1", "|x", "%x", "\uff1d1", "\u200b=1", "\xa0=1"],
)
def test_no_name_becomes_a_formula(name: str, course: Course) -> None:
    assert rows([Record(name, ())], course)[1][0].startswith("'")


@given(st.text())
def test_defused_text_is_one_line_that_starts_harmlessly(text: str) -> None:
    safe = defused(text)
    assert not safe.startswith(("=", "+", "-", "@", "\t", "\r", " "))
    assert "\n" not in safe
    safe.encode("utf-8")


def test_what_a_terminal_or_a_browser_would_obey_is_spelled_out() -> None:
    text = defused("a\x1b[2J\x9b1m\u202eb\u2066\x7f")
    assert text == r"a\x1b[2J\x9b1m\u202eb\u2066\x7f"
    assert defused("\U0001f600 \xe9 \u0627") == "\U0001f600 \xe9 \u0627"
    assert defused("") == ""


def test_names_that_are_no_unicode_are_written(course: Course) -> None:
    assert rows([Record("ad\udce9", ())], course)[1][0] == "ad\\udce9"


def test_gradescope_gets_the_students_part_only() -> None:
    text = gradescope(RECORD)
    results = json.loads(text)
    assert results["score"] == 2.5
    assert [test["status"] for test in results["tests"]] == ["passed", "failed"]
    assert [test["max_score"] for test in results["tests"]] == [1, 3]
    assert results["tests"][0]["output"] == "All right."
    assert results["tests"][1]["output"] == "2 of 3 calls.\n\npublic card"
    assert "secret" not in text
    assert "edited" not in text


def test_gradescope_says_why_there_are_no_points() -> None:
    results = json.loads(gradescope(Record("eve", (), Outcome.BROKEN, "It is empty.")))
    assert results["score"] == 0
    assert results["output"] == "It is empty."
    assert results["tests"] == []


@pytest.mark.parametrize("outcome", Outcome)
def test_gradescope_gets_what_its_format_allows(outcome: Outcome) -> None:
    graded = tuple(replace(WRONG, outcome=outcome, points=points) for points in (0, 1.5, 3.0))
    broken = (Outcome.BROKEN, Outcome.FAILED)
    record = Record("ada", () if outcome in broken else graded, outcome, "why", comment="\x00é")
    results = json.loads(gradescope(record))
    assert_allowed(results, TOP)
    for test in results["tests"]:
        assert_allowed(test, TEST)
        assert 0 <= test["score"] <= test["max_score"]


def assert_allowed(found: dict[str, object], allowed: dict[str, object]) -> None:
    for key, value in found.items():
        kind = allowed[key]
        assert value in kind if isinstance(kind, set) else isinstance(value, kind)  # type: ignore[arg-type]
        assert not isinstance(value, bool)


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
    assert not re.search(r'src=|href="[^#]', text)
    assert text.count("&lt;script&gt;") == 4  # title, name, answer, flag


def test_the_class_page_counts_outcomes_and_misconceptions() -> None:
    mistaken = replace(WRONG, misconception="forgets to clamp")
    records = [RECORD, Record("bob", (RIGHT, mistaken)), Record("eve", (), Outcome.BROKEN, "-")]
    text = class_page("Lab 1", records)
    assert "3 submissions: 1 broken file, 2 graded." in text
    assert "<td>eve</td><td>broken file: -</td>" in text
    assert "2.5 of 4 on average" in text
    assert "<td>ada</td><td>edited<br>&lt;script&gt;" in text
    assert "<script" not in text
    assert not re.search(r"(src|href)=", text)
    # Well-formed, so that every picture is closed and every label is quoted.
    pictures = [ElementTree.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", text)]
    labels = [picture.get("aria-label") for picture in pictures[1:]]
    assert labels == ["100 % and 0 %", "0 % and 100 %", "50 %"]
    words = re.sub("<svg.*?</svg>", "", text)
    assert "<td>1.1 One</td><td></td><td>1 of 1</td><td>100 %</td><td></td>" in words
    assert "<td>1.2 Two</td><td></td><td>1.5 of 3</td><td></td><td>100 %</td>" in words
    assert "The code forgets to clamp.</td><td></td><td>1</td><td>50 %" in words
    # Both students have 2.5 of 4 points: the third of four bars, under the ends of all.
    written = [mark.text for mark in pictures[0] if mark.get("text-anchor") == "middle"]
    assert written == [None, None, "2", None, *"01234", "points"]


def test_points_beyond_the_ends_are_in_the_first_and_the_last_bar() -> None:
    records = [replace(RECORD, student=f"s{extra}", extra=extra) for extra in (-9, 1.5, 9)]
    svg = re.search(r"<svg.*?</svg>", class_page("Lab 1", records))
    assert svg is not None
    written = [mark.text for mark in ElementTree.fromstring(svg[0]) if mark.text]
    assert written[:2] == ["1", "2"]


def test_what_to_try_stands_where_there_is_no_card() -> None:
    late = replace(RIGHT, outcome=Outcome.TIMEOUT, summary="0 of 3 calls.")
    text = page("Lab 1", Record("ada", (late,)), instructor=False)
    assert "Look for a loop that never ends" in text
    output = json.loads(gradescope(Record("ada", (late,))))["tests"][0]["output"]
    assert "0 of 3 calls." in output
    assert "Look for a loop that never ends" in output


def test_a_failure_of_the_grader_is_not_put_on_a_student() -> None:
    record = Record("ada", (), Outcome.FAILED, "OSError: /srv/private")
    student, instructor = (page("Lab 1", record, instructor=level) for level in (False, True))
    assert "no fault of yours" in student
    assert "no fault of yours" in gradescope(record)
    assert "/srv/private" not in student + gradescope(record)
    assert "/srv/private" in instructor


def test_the_same_card_is_shown_once() -> None:
    twice = replace(WRONG, instructor_card=WRONG.student_card)
    text = page("Lab 1", Record("ada", (twice,)), instructor=True)
    assert text.count("public card") == 1
    assert "secret inputs" not in text


def test_the_answer_lies_open_where_it_is_not_right() -> None:
    text = page("Lab 1", RECORD, instructor=False)
    assert "<details><summary>Your answer</summary><pre><code>def one" in text
    assert "<details open><summary>Your answer</summary><pre><code>&lt;script" in text


def test_a_class_without_a_graded_submission_has_a_page() -> None:
    text = class_page("Lab 1", [Record("eve", (), Outcome.BROKEN, "It is empty.")])
    assert "1 broken file" in text
    assert "<svg" not in text
