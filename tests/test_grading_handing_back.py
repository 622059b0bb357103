"""Moodle finds the student of each feedback page, as each of its versions looks for them."""

import zipfile
from pathlib import Path

import pytest

from labkit.grading.judging.results import Graded, Outcome, Record
from labkit.grading.reports.handing_back import FEEDBACK, feedback_name, write_feedback_zip
from labkit.grading.reports.lms import fill_moodle

WORKSHEET = (
    "Identifier,Full name,Email address,Status,Grade,Maximum grade\n"
    "Participant 7,Ada Lovelace,ada@x.edu,Submitted,,24.00\n"
    "Participant 8,Grace Hopper,grace@x.edu,Submitted,,24.00\n"
    "Participant 9,Wei Li,wei@x.edu,No submission,,24.00\n"
)
NAMES = ("Ada Lovelace_7", "Zoë_O_Neill_7", "ada@x.edu", "../..", "a/b:c", ".hidden", "~", "_", "")


def whose_in_old_versions(name: str) -> tuple[str, str]:
    """Read a name as Moodle does up to 4.0: five parts between underscores."""
    parts = f"/import/{name}".split("_", 4)
    assert len(parts) == 5
    assert (parts[2], parts[3]) == ("assignsubmission", "file")
    return parts[1], parts[4]


def whose_in_new_versions(name: str) -> tuple[str, str]:
    """Read a name as Moodle does since 4.1: the first part of the path that begins so."""
    steps = f"/import/{name}".split("/")
    for index, step in enumerate(steps):
        parts = step.split("_", 4)
        if len(parts) >= 4 and parts[1].isdigit():
            return parts[1], "/".join([*parts[4:], *steps[index + 1 :]])
    raise AssertionError(name)


@pytest.mark.parametrize("student", NAMES)
@pytest.mark.parametrize("whose", [whose_in_old_versions, whose_in_new_versions])
def test_every_version_finds_the_participant(student: str, whose) -> None:
    name = feedback_name(student, "1234")
    assert whose(name) == ("1234", FEEDBACK)
    assert not name.startswith((".", "~"))
    assert "/" not in name


def record(student: str, points: float | None) -> Record:
    graded = () if points is None else (Graded("1.1", "", "", Outcome.RIGHT, points, 24),)
    return Record(student, graded, "broken file" if points is None else "graded")


def test_the_numbers_are_those_of_the_worksheet() -> None:
    records = [record("Ada Lovelace_99", 5), record("grace@x.edu", 7), record("Wei Li_9", None)]
    filled = fill_moodle(WORKSHEET, records, 1)
    assert filled.numbers == {"Ada Lovelace_99": "7", "grace@x.edu": "8", "Wei Li_9": "9"}
    # Of two folders for one row, neither is handed to anybody by chance.
    twice = [record("Wei Li_9", None), record("wei@x.edu", None), record("Ada Lovelace", 5)]
    assert fill_moodle(WORKSHEET, twice, 1).numbers == {"Ada Lovelace": "7"}
    report = "First name,Surname,Email address,Lab 1\nAda,Lovelace,ada@x.edu,-\n"
    assert fill_moodle(report, [record("Ada Lovelace_7", 5)], 1).numbers == {}


def test_the_zip_holds_each_page_and_is_the_same_each_time(tmp_path: Path) -> None:
    for student in ("Ada Lovelace_7", "grace@x.edu"):
        (tmp_path / student).mkdir()
        (tmp_path / student / FEEDBACK).write_text(student, "utf-8")
    numbers = {"grace@x.edu": "8", "Ada Lovelace_7": "7"}
    path = write_feedback_zip(tmp_path, numbers)
    with zipfile.ZipFile(path) as archive:
        found = {name: archive.read(name).decode() for name in archive.namelist()}
    assert found == {
        "Ada Lovelace_7_assignsubmission_file_feedback.html": "Ada Lovelace_7",
        "grace@x.edu_8_assignsubmission_file_feedback.html": "grace@x.edu",
    }
    before = path.read_bytes()
    path.unlink()
    assert write_feedback_zip(tmp_path, numbers).read_bytes() == before
