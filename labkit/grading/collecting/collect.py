"""`labkit collect`: what a learning platform hands out, as one folder for each student."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from labkit.grading.collecting.archive import ASTRAY, EMPTY, Member, Unreadable, inner, members
from labkit.grading.collecting.layouts import METADATA, PLATFORMS, layout
from labkit.grading.collecting.students import PassedOver, is_notebook
from labkit.grading.files import write_private

MOST_NOTEBOOKS = 30
MOST_BYTES = 256 << 20
"""What is taken of one student: more is a trap, or a folder that was meant to stay at home."""
TOO_MUCH = "more than one student may hand in"
MOST_OTHERS = 3
"""Files that are taken of a student who has no notebook."""


class NoNotebook(ValueError):
    """A file of a student's in which no notebook is; the message says why."""


@dataclass
class Collected:
    """What came of a collection.

    Attributes
    ----------
    students : dict
        Each student to the names of their notebooks.
    systems : list of str
        Which platform each source is from.
    late : list of str
        Students with a file that the platform calls late.
    instead : dict
        Each student without a notebook to the names of other files, which were taken so that the
        grader can say what came.
    left : list of PassedOver
        What was not taken, and why.
    """

    students: dict[str, list[str]] = field(default_factory=dict)
    systems: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    instead: dict[str, list[str]] = field(default_factory=dict)
    left: list[PassedOver] = field(default_factory=list)


def collect(sources: Sequence[Path], out: Path) -> Collected:
    """Take the notebooks out of what platforms hand out, one folder for each student.

    Parameters
    ----------
    sources : sequence of Path
        Zips or folders: of Moodle, Canvas, Gradescope, nbgrader, or with a folder for each student.
    out : Path
        Where to. What lies there already must be the same, or of other students or names.

    Raises
    ------
    ValueError
        If a source is no zip and no folder, nobody's work is in it, or `out` holds another notebook
        of the same name.
    """
    for source in sources:
        if not source.exists():
            raise ValueError(f"{source} is not there; expected a zip or a folder.")
        one, other = source.resolve(), out.resolve()
        if one.is_relative_to(other) or other.is_relative_to(one):
            raise ValueError(f"{source} and {out} lie inside one another; choose folders apart.")
    _Collector(out, write=False).take_all(sources)  # before anything is written
    return _Collector(out, write=True).take_all(sources)


class _Collector:
    """Takes notebooks, or only looks whether that would work."""

    def __init__(self, out: Path, write: bool) -> None:
        self._out = out
        self._write = write
        self._collected = Collected()
        # Of each student: the hash of what has a name already, and the bytes of all.
        self._taken: dict[str, dict[str, int]] = defaultdict(dict)
        # What is no notebook: the file, its name, whose, and why it is of no use.
        self._others: list[tuple[Member, str, Sequence[str], str]] = []
        self._bytes: dict[str, int] = defaultdict(int)

    def take_all(self, sources: Sequence[Path]) -> Collected:
        for source in sources:
            with members(source) as found:
                self._take(found)
        if not self._collected.students:
            raise ValueError(f"nobody's work is in {', '.join(map(str, sources))}.")
        if self._write:
            for student in self._collected.students:
                # Who has no notebook has a row all the same.
                (self._out / student).mkdir(parents=True, exist_ok=True)
        return self._collected

    def _take(self, found: Sequence[Member]) -> None:
        """Take one source."""
        system, owner = layout(found)
        self._collected.systems.append(system)
        owned = []
        for member in found:
            if member.problem == ASTRAY:
                self._leave(member, ASTRAY)
            elif member.path[-1] != METADATA:
                one = owner(member.path)
                if one.is_loose and member.problem != EMPTY and not _is_work(one.file):
                    one = replace(one, students=())  # of a page or a list nobody is the student
                owned.append((member, one))
        newest: dict[str, str] = {}
        for _, one in owned:
            for student in one.students:
                newest[student] = max(newest.get(student, ""), one.time)
        for member, one in owned:
            students = [name for name in one.students if _is_name(name)]
            for student in students:
                self._collected.students.setdefault(student, [])
                if one.late and student not in self._collected.late:
                    self._collected.late.append(student)
            if not students:
                self._leave(member, "whose it is cannot be told")
            elif one.time < newest[students[0]]:
                self._leave(member, "handed in again later")
            else:
                self._take_file(member, one.file, students)
        self._take_others()

    def _take_file(self, member: Member, file: str, students: Sequence[str]) -> None:
        """Take a notebook, or those in a zip."""
        try:
            if is_notebook(file):
                if all(map(self._is_full, students)):
                    raise Unreadable(TOO_MUCH)
                data = member.read()
                for student in students:
                    name = self._place(data, student, file)
                    self._collected.students[student] += filter(None, [name])
            elif _is_zip(file):
                found = _in_zip(member)
                if (system := layout(found)[0]) in PLATFORMS:
                    raise Unreadable(f"looks like a download of {system}; collect it by itself")
                notebooks = [each for each in found if is_notebook(each.path[-1])]
                if not notebooks:
                    raise NoNotebook("a zip without a notebook")
                if len(notebooks) > MOST_NOTEBOOKS:
                    raise Unreadable(f"a zip of {len(notebooks)} notebooks: {TOO_MUCH}")
                for each in notebooks:
                    self._take_file(each, each.path[-1], students)
            elif member.problem:
                raise Unreadable(member.problem)
            else:
                raise NoNotebook("no notebook")
        except NoNotebook as error:
            self._others.append((member, file, students, str(error)))
        except Unreadable as error:
            self._leave(member, str(error))

    def _take_others(self) -> None:
        """Take a few files of whoever has no notebook."""
        instead = self._collected.instead
        for member, file, students, why in self._others:
            lacking = [
                one
                for one in students
                if not self._collected.students[one] and len(instead.get(one, ())) < MOST_OTHERS
            ]
            if not lacking:
                self._leave(member, why)
            try:
                for one in lacking:
                    name = self._place(member.read(), one, file)
                    instead.setdefault(one, []).extend(filter(None, [name]))
            except Unreadable as error:
                self._leave(member, str(error))
        self._others.clear()

    def _place(self, data: bytes, student: str, file: str) -> str:
        """Put a file into its student's folder, under a name that is free; return the name.

        Of a file that lies there already, under this name or another, an empty string.
        """
        taken = self._taken[student]
        file = f"notebook{file}" if file.startswith(".") else file
        stem, dot, ending = file.partition(".ipynb" if is_notebook(file) else ".")
        digest, number, name = hash(data), 1, file
        while taken.get(name.casefold(), digest) != digest:
            number += 1
            name = f"{stem}_{number}{dot}{ending}"
        if name.casefold() in taken:
            return ""
        if self._is_full(student):
            raise Unreadable(TOO_MUCH)
        self._bytes[student] += len(data)
        path = self._out / student / name
        if path.is_symlink() or (path.exists() and path.read_bytes() != data):
            raise ValueError(
                f"{path} is another file than the one to be collected. Collect into a new "
                "folder: `labkit grade` grades only what has changed."
            )
        taken[name.casefold()] = digest
        if self._write:
            write_private(path, data)
        return name

    def _is_full(self, student: str) -> bool:
        return len(self._taken[student]) >= MOST_NOTEBOOKS or self._bytes[student] > MOST_BYTES

    def _leave(self, member: Member, why: str) -> None:
        self._collected.left.append(PassedOver(member.name, why))


def _in_zip(member: Member) -> list[Member]:
    """Return what is in a student's zip; of one that is none, nothing can be told."""
    data = member.read()
    try:
        return inner(data, member.name)
    except Unreadable as error:
        raise NoNotebook(str(error)) from None


def _is_work(file: str) -> bool:
    return is_notebook(file) or _is_zip(file)


def _is_zip(file: str) -> bool:
    return file.casefold().endswith(".zip")


def _is_name(name: str) -> bool:
    """Return whether a name can be a folder's, and is seen there."""
    return bool(name) and not name.startswith(".") and not {"/", "\\", "\0"} & set(name)
