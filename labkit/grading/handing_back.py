"""Feedback as Moodle takes it: one zip with a page for each student.

In "Upload multiple feedback files in a zip" Moodle looks at a file's name alone, which begins as
those of a download do: the full name, the participant's number, and the kind of submission. The
number comes from the grading worksheet, never from the name of a folder, which anybody may choose.
"""

import io
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path

from labkit.grading.files import FEEDBACK_ZIP, write_whole
from labkit.grading.sheets.people import FOLDER

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
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for student, number in sorted(numbers.items()):
            # A fixed time: the same pages give the same bytes.
            info = zipfile.ZipInfo(feedback_name(student, number), (1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            archive.writestr(info, (out / student / FEEDBACK).read_bytes())
    write_whole(out / FEEDBACK_ZIP, data.getvalue())
    return out / FEEDBACK_ZIP


def feedback_name(student: str, number: str) -> str:
    """Return what Moodle finds the participant of a feedback file by: "Ada Lovelace_7_..."."""
    parts = FOLDER.fullmatch(student)
    name = BETWEEN.sub(" ", parts["name"] if parts else student).strip(" .~") or "participant"
    return f"{name}_{number}_{KIND}_{FEEDBACK}"
