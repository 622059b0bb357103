"""Feedback as Moodle takes it: one zip with a page for each student.

In "Upload multiple feedback files in a zip" Moodle looks at a file's name alone, which begins as
those of a download do: the full name, the participant's number, and the kind of submission. The
number comes from the grading worksheet, never from the name of a folder, which anybody may choose.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from labkit.grading.files import FEEDBACK_ZIP, write_private, zipped
from labkit.grading.reports.sheets.people import FOLDER

FEEDBACK = "feedback.html"
KIND = "assignsubmission_file"
BETWEEN = re.compile(r'[_/\\:*?"<>|\x00-\x1f]+')
"""What ends a part of such a name, and what no system has in one."""


def write_feedback_zip(out: Path, numbers: Mapping[str, str]) -> Path:
    """Write the pages of all students who have a number into one zip; return where it is.

    Parameters
    ----------
    out : Path
        The folder of the results.
    numbers : mapping
        Student to the number that Moodle gives to the participant.
    """
    pages = (
        (feedback_name(student, number), (out / student / FEEDBACK).read_bytes())
        for student, number in sorted(numbers.items())
    )
    write_private(out / FEEDBACK_ZIP, zipped(pages))
    return out / FEEDBACK_ZIP


def feedback_name(student: str, number: str) -> str:
    """Return what Moodle finds the participant of a feedback file by: "Ada Lovelace_7_..."."""
    parts = FOLDER.fullmatch(student)
    name = BETWEEN.sub(" ", parts["name"] if parts else student).strip(" .~") or "participant"
    return f"{name}_{number}_{KIND}_{FEEDBACK}"
