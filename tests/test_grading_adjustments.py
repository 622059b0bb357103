"""Days late, points by hand, comments: what the file may say, and what follows from it."""

from pathlib import Path

import grading_support as support
import pytest

from labkit.grading.adjustments import Adjustment, adjust, read_adjustments
from labkit.grading.course import Course
from labkit.grading.judging.results import Graded, Outcome, Record

ADA = Record(
    "ada",
    (
        Graded("1.1", "", "", Outcome.RIGHT, 1.0, 1),
        Graded("1.3", "", "", Outcome.FAILED, 0.0, 2),
        Graded("1.7", "", "", Outcome.RIGHT, 3.0, 3),
    ),
)
BROKEN = Record("=bob", (), Outcome.BROKEN, "It is empty.")


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Course:
    return support.course(tmp_path_factory.mktemp("solutions"))


def read(tmp_path: Path, course: Course, text: str) -> dict[str, Adjustment]:
    path = tmp_path / "by hand.csv"
    path.write_text(text, encoding="utf-8")
    return read_adjustments(path, course)


def test_a_file_is_read(tmp_path: Path, course: Course) -> None:
    text = '\ufeffstudent,days_late,extra,comment,1.3\r\nada,1.5,-2,"Good, mostly",1\r\nbob,,,,\r\n'
    assert read(tmp_path, course, text) == {
        "ada": Adjustment(1.5, -2.0, "Good, mostly", {"1.3": 1.0}),
        "bob": Adjustment(),
    }


def test_an_empty_file_changes_nothing(tmp_path: Path, course: Course) -> None:
    assert read(tmp_path, course, "") == read(tmp_path, course, "student,extra\n") == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,extra\nada,1\n", "column 'name'"),
        ("extra\n1\n", "expected student"),
        ("student,9.9\nada,1\n", "column '9.9'"),
        ("student,extra\nada,1\nada,2\n", "two rows for 'ada'"),
        ("student,extra\nada,one\n", "'one' as extra of 'ada'; expected a number"),
        ("student,extra\nada,nan\n", "'nan' as extra"),
        ("student,extra\nada,inf\n", "'inf' as extra"),
        ("student,days_late\nada,-1\n", "expected 0 or more"),
        ("student,1.3\nada,2.5\n", "expected 0 to 2"),
        ("student,extra\nada,1,2\n", "more cells than"),
        ("student,extra\nada,1\n,2\n", "line 3, names no student"),
        ("student,extra,\nada,1,x\n", "line 2, has 'x' in a column without a name"),
        ("student,1.1,1.1\nada,1,0\n", r"'1.1' may be 1.1 or 1.10.*'exercise 1.10'"),
        ("student,1.1\nada,1\n", r"'1.1' may be 1.1 or 1.10"),
        ("student,1.3,Exercise 1.3\nada,1,1\n", "more than once"),
        ("student,01. Okt\nada,1\n", "column '01. Okt'.*a date"),
        ("student;extra\nada;1,500\n", "line 2, has '1,500' as extra of 'ada'"),
        ("student,extra\nzo\u00eb,1\nzoe\u0308,2\n", "two rows"),
    ],
)
def test_what_makes_no_sense_is_refused(
    tmp_path: Path, course: Course, text: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        read(tmp_path, course, text)


@pytest.mark.parametrize(
    "data",
    [
        "student,extra,comment\nzo\u00eb,1.5,caf\u00e9\n".encode(),
        "\ufeffstudent;extra;comment\r\nzo\u00eb;1,5;caf\u00e9\r\n;;\r\n".encode(),
        "student,extra,comment\r\nzo\u00eb,1.5,caf\u00e9\r\n,,\r\n,,\r\n".encode("cp1252"),
        "student\textra\tcomment\r\nzo\u00eb\t1.5\tcaf\u00e9\r\n".encode("utf-16"),
        "student,extra,comment\rzo\u00eb,1.5,caf\u00e9\r".encode("mac_roman"),
        "student\textra\tcomment\nzo\u00eb\t1,5\tcaf\u00e9\n".encode("utf-16-le"),
        ",,\n,,\nstudent,extra,comment\nzo\u00eb,1.5,caf\u00e9\n".encode(),
        "sep=;\nstudent;extra;comment\nzo\u00eb;1,5;caf\u00e9\n".encode(),
        "student,extra,comment,,\rzo\u00eb,1.5,caf\u00e9,,\r,,,,\r".encode(),
        'Student , Extra,COMMENT\n zo\u00eb ,"1,5", caf\u00e9\n'.encode(),
    ],
)
def test_what_spreadsheets_make_of_it_is_read(tmp_path: Path, course: Course, data: bytes) -> None:
    path = tmp_path / "by hand.csv"
    path.write_bytes(data)
    assert read_adjustments(path, course) == {"zo\u00eb": Adjustment(0.0, 1.5, "caf\u00e9")}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"PK\x03\x04", "workbook"),
        (b"student,extra\nada,\x81\n", "encoding"),
        ("student,comment\nada,\u0142\u0105ka\n".encode("cp1250"), "encoding"),
        (b"student,extra\nada,\0\n", "by hand.csv"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(
    tmp_path: Path, course: Course, data: bytes, message: str
) -> None:
    path = tmp_path / "by hand.csv"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=f"by hand.csv.*{message}|{message}"):
        read_adjustments(path, course)


def test_columns_that_a_spreadsheet_cannot_change_are_understood(
    tmp_path: Path, course: Course
) -> None:
    text = "student,exercise 1.1,Exercise 1.10,exercise-1-3\nada,1,2,0.5\n"
    assert read(tmp_path, course, text)["ada"].points == {"1.1": 1, "1.10": 2, "1.3": 0.5}
    text = "student,1.1,1.10\nada,1,2\n"
    assert read(tmp_path, course, text)["ada"].points == {"1.1": 1, "1.10": 2}


def test_points_by_hand_replace_and_are_flagged() -> None:
    (ada,) = adjust([ADA], {"ada": Adjustment(points={"1.3": 1.5})}, 0)
    assert ada.points == ada.total == 5.5
    assert ada.flags == ("1.3: points given by hand",)
    assert ada.graded[0] == ADA.graded[0]
    assert ada.graded[1].summary == "Your instructor gave the points by hand."


@pytest.mark.parametrize(
    ("days", "penalty", "total"), [(0, 50, 5), (1, 50, 3), (1.5, 20, 3.8), (9, 50, 1), (9, 0, 5)]
)
def test_each_day_late_costs_its_share_up_to_all_and_nothing_of_the_extra(
    days: float, penalty: float, total: float
) -> None:
    (ada,) = adjust([ADA], {"ada": Adjustment(days_late=days, extra=1)}, penalty)
    assert ada.total == pytest.approx(total)
    assert ada.points == ADA.points


def test_who_is_not_in_the_file_keeps_everything() -> None:
    assert adjust([ADA, BROKEN], {}, 10) == [ADA, BROKEN]


def test_a_broken_submission_gets_points_as_extra_only() -> None:
    (bob,) = adjust([BROKEN], {"=bob": Adjustment(extra=4)}, 10)
    assert bob.total == 4
    with pytest.raises(ValueError, match="give points as extra"):
        adjust([BROKEN], {"=bob": Adjustment(points={"1.1": 1})}, 10)


def test_a_name_may_stand_as_the_gradebook_writes_it() -> None:
    (bob,) = adjust([BROKEN], {"'=bob": Adjustment(extra=4)}, 10)
    assert bob.extra == 4


def test_nobody_is_adjusted_by_mistake() -> None:
    with pytest.raises(ValueError, match=r"no submission of 'adda' \(is it 'ada'\?\), 'zoe';"):
        adjust([ADA], {"adda": Adjustment(extra=1), "zoe": Adjustment(extra=1)}, 10)


@pytest.mark.parametrize("penalty", [-1, 101, float("nan")])
def test_a_penalty_is_a_percentage(penalty: float) -> None:
    with pytest.raises(ValueError, match="expected 0 to 100"):
        adjust([ADA], {}, penalty)
