"""The files of the results: private to whoever grades, and the same bytes from the same class."""

import io
import zipfile
from collections.abc import Iterable
from pathlib import Path

from labkit import files

GRADEBOOK, CLASS_PAGE, CANVAS, MOODLE = "gradebook.csv", "class.html", "canvas.csv", "moodle.csv"
FEEDBACK_ZIP, LEADERBOARD = "moodle_feedback.zip", "leaderboard.html"
RESERVED = (GRADEBOOK, CLASS_PAGE, CANVAS, MOODLE, FEEDBACK_ZIP, LEADERBOARD)
"""What lies beside the students' folders, and so can be no student's name."""


def write_private(path: Path, content: str | bytes) -> None:
    """Write a file whole that nobody else on the machine may read."""
    files.write_whole(path, content, mode=0o600)


def zipped(entries: Iterable[tuple[str, bytes]]) -> bytes:
    """Return a zip of files, each a name and what it holds; the same files give the same bytes."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            # A fixed time: the default is the present one.
            info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            archive.writestr(info, content)
    return data.getvalue()
