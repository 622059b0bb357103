"""What students handed in: one folder for each, with their notebook."""

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from labkit.grading.course import Course
from labkit.grading.files import RESERVED
from labkit.grading.submission import Broken, find_notebook, read_bytes


@dataclass(frozen=True)
class Entry:
    """One student's notebook as bytes, or why there is none.

    Attributes
    ----------
    student : str
        The folder's name.
    data : bytes
        The notebook; empty if there is none.
    flags : tuple of str
        What an instructor should know about the folder.
    problem : str
        Why there is no notebook; empty if there is one.
    """

    student: str
    data: bytes = b""
    flags: tuple[str, ...] = ()
    problem: str = ""

    def digest(self, key: str) -> str:
        """Return what tells whether this has been graded already, under the course's `key`."""
        digest = hashlib.sha256()
        parts = (os.fsencode(self.student), self.data, repr(self.flags).encode())
        for part in (key.encode(), *parts, self.problem.encode()):
            digest.update(hashlib.sha256(part).digest())
        return digest.hexdigest()


def read_entry(folder: Path, course: Course) -> Entry:
    """Read a student's folder; whatever is wrong with it becomes a reason."""
    try:
        if not stat.S_ISDIR(folder.lstat().st_mode):
            raise Broken("The folder is a link to another place.")
        if folder.name in RESERVED:
            raise Broken("A folder of this name cannot be graded; rename it.")
        notebook, flags = find_notebook(folder, course)
        return Entry(folder.name, read_bytes(notebook), flags)
    except OSError as error:  # gone since the class was listed, or not for us to read
        return Entry(folder.name, problem=f"The folder cannot be read ({error.strerror}).")
    except Broken as error:
        return Entry(folder.name, problem=str(error))


def folders(submissions: Path, out: Path) -> list[Path]:
    """Return the students' folders, by name.

    Raises
    ------
    ValueError
        If there are none, or the results would lie among them.
    """
    if not submissions.is_dir():
        raise ValueError(f"{submissions} is no folder; expected the folder of all submissions.")
    one, other = submissions.resolve(), out.resolve()
    if one.is_relative_to(other) or other.is_relative_to(one):
        raise ValueError(
            f"the submissions ({submissions}) and the results ({out}) lie inside one another; "
            "choose folders apart."
        )
    found = [
        path
        for path in submissions.iterdir()
        if not path.name.startswith(".") and (path.is_dir() or path.is_symlink())
    ]
    if not found:
        raise ValueError(
            f"{submissions} holds no folders; expected one for each student, with their notebook."
        )
    return sorted(found)
