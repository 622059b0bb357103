"""What students handed in: one folder for each, with their notebook."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from labkit.grading.collecting.choosing import choose
from labkit.grading.collecting.students import Student, is_notebook
from labkit.grading.course import Course
from labkit.grading.files import RESERVED
from labkit.grading.submission.reading import Broken


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


def read_entry(student: Student, course: Course) -> Entry:
    """Read what a student handed in; whatever is wrong with it becomes a reason."""
    first = student.places[0]
    try:
        if first.is_symlink() and not is_notebook(first.name):
            raise Broken("The folder is a link to another place.")
        if student.name in RESERVED:
            raise Broken("A folder of this name cannot be graded; rename it.")
        data, flags = choose(student.places, course)
        return Entry(student.name, data, (*flags, *_loose(first)))
    except OSError as error:  # gone since the class was listed, or not for us to read
        return Entry(student.name, problem=f"The folder cannot be read ({error.strerror}).")
    except Broken as error:
        return Entry(student.name, problem=str(error))


def _loose(place: Path) -> tuple[str, ...]:
    return () if place.is_dir() else ("the notebook lies loose, in no folder of its student",)
