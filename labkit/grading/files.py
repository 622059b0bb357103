"""Files that are whole or not there: what makes a killed run go on where it was."""

import os
import tempfile
from pathlib import Path

GRADEBOOK, CLASS_PAGE, CANVAS, MOODLE = "gradebook.csv", "class.html", "canvas.csv", "moodle.csv"
FEEDBACK_ZIP = "moodle_feedback.zip"
RESERVED = (GRADEBOOK, CLASS_PAGE, CANVAS, MOODLE, FEEDBACK_ZIP)
"""What lies beside the students' folders, and so can be no student's name."""


def write_whole(path: Path, text: str | bytes) -> None:
    """Write text in UTF-8, or bytes, to `path`, so that a crash leaves the old file or the new one.

    A file that holds it already is left alone.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    data = text if isinstance(text, bytes) else text.encode("utf-8", "backslashreplace")
    if path.is_file() and path.read_bytes() == data:
        return
    handle, partial = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".partial")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            # Else a power cut could leave the new name on an empty file.
            os.fsync(handle)
        os.replace(partial, path)
    except BaseException:
        os.unlink(partial)
        raise


def remove_partials(folder: Path) -> None:
    """Remove what a killed run left half written."""
    for path in folder.glob(".*.partial"):
        path.unlink()
