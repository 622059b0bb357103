"""Which of a student's notebooks is graded: of several of the lab, the one with most answers."""

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from labkit.grading.collecting.archive import members
from labkit.grading.collecting.students import is_notebook, notebooks, others, parts
from labkit.grading.course import Course
from labkit.grading.kinds import what_a_file_is
from labkit.grading.submission.handed_out import same_code
from labkit.grading.submission.outputs import TooLarge, without_outputs
from labkit.grading.submission.reading import Broken, parse

MOST_NOTEBOOKS = 30
"""Notebooks in one student's folder that are opened."""
MOST_NAMED = 3
"""Other files that are named where there is no notebook."""
MOST_READ = 16 << 20


@dataclass(frozen=True)
class Candidate:
    """A notebook that may be the one.

    Attributes
    ----------
    name : str
        Its path in the student's folder.
    data : bytes
        What it holds.
    answered : int
        Exercises whose stub was changed.
    """

    name: str
    data: bytes
    answered: int


def choose(places: Sequence[Path], course: Course) -> tuple[bytes, tuple[str, ...]]:
    """Return a student's notebook, and what an instructor should know about the choice.

    Parameters
    ----------
    places : sequence of Path
        The student's folder, or loose files.
    course : Course
        The lab.

    Raises
    ------
    Broken
        If there is no notebook of the lab, or it cannot be read.
    """
    found = {_name(path, place): path for place in places for path in notebooks(place)}
    if not found:
        raise Broken(_instead(places[0], course))
    if len(found) > MOST_NOTEBOOKS:
        raise Broken(f"There are {len(found)} notebooks; up to {MOST_NOTEBOOKS} are looked at.")
    if len(found) == 1:
        ((name, path),) = found.items()
        return read_bytes(path), _named(name, course)
    candidates, reasons = [], []
    for name, path in found.items():
        try:
            candidates.append(_candidate(name, path, course))
        except Broken as error:
            reasons.append(f"{name}: {error}")
    if not candidates:
        shown = " ".join([*reasons[:5], *(["..."] if reasons[5:] else [])])
        raise Broken(f"There are {len(found)} notebooks, and none can be graded. {shown}")
    best = max(candidates, key=lambda one: (one.answered, _is_lab(one.name, course)))
    return best.data, (*_named(best.name, course), *_others(best, candidates))


def read_bytes(path: Path) -> bytes:
    """Read a notebook without its outputs from a file that a student made: a regular one only.

    Raises
    ------
    Broken
        If it is a link, a pipe or a device, too large, or cannot be read.
    """
    try:
        # Not through a link, and without waiting for a writer if it is a named pipe.
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise Broken(f"The notebook cannot be read ({error.strerror}).") from None
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise Broken("The notebook is not a regular file.")
        with os.fdopen(handle, "rb", closefd=False) as file:
            return without_outputs(file)
    except TooLarge as error:
        raise Broken(str(error)) from None
    except OSError as error:
        raise Broken(f"The notebook cannot be read ({error.strerror}).") from None
    finally:
        os.close(handle)


def _candidate(name: str, path: Path, course: Course) -> Candidate:
    data = read_bytes(path)
    answers = parse(data, course).answers
    stubs = {task.grade_id: task for task in course.tasks}
    answered = sum(
        bool(source.strip())
        and not same_code(source, stubs[key].stub)
        # The stub of an older release may read otherwise.
        and f'NotImplementedError("Exercise {stubs[key].exercise.id}")' not in source
        for key, source in answers.items()
    )
    return Candidate(name, data, answered)


def _name(path: Path, place: Path) -> str:
    """Return the path of a notebook in its student's folder."""
    if path == place:
        return "/".join(parts(path.name)[1:]) or path.name
    return path.relative_to(place).as_posix()


def _is_lab(name: str, course: Course) -> bool:
    return parts(name)[-1] == f"{course.stem}.ipynb"


def _named(name: str, course: Course) -> tuple[str, ...]:
    folders = parts(name)[:-1]
    flags = [] if _is_lab(name, course) else [f"the notebook is not named {course.stem}.ipynb"]
    flags += [f"the notebook lies in {'/'.join(folders)}"] if folders else []
    return tuple(flags)


def _others(best: Candidate, candidates: Sequence[Candidate]) -> list[str]:
    others = [one for one in candidates if one is not best and one.data != best.data]
    if not others:
        return []
    left = ", ".join(f"{one.name} ({one.answered})" for one in others)
    return [
        f"more than one notebook of the lab: {best.name} was graded ({best.answered} exercises "
        f"answered), not {left}"
    ]


def _instead(place: Path, course: Course) -> str:
    """Say what is there where no notebook is, for whoever handed it in."""
    wanted = f"What counts is the notebook itself: {course.stem}.ipynb."
    if found := others(place):
        names = {path.relative_to(place).as_posix(): path for path in found[:MOST_NAMED]}
        sentences = [f"{name} is {_kind(path)}." for name, path in names.items()]
        more = len(found) - len(names)
        sentences += [f"There {'is' if more == 1 else 'are'} {more} more."] if more else []
        if any(name.casefold().endswith(".zip") for name in names):
            wanted += " (For instructors: `labkit collect` unpacks a zip.)"
        return " ".join(["There is no notebook.", *sentences, wanted])
    hidden = os.listdir(place)
    if placeholders := [name for name in hidden if name.endswith(".icloud")]:
        return f"There is no notebook: {placeholders[0]} stands for one in iCloud. {wanted}"
    if ".ipynb_checkpoints" in hidden:
        return (
            "There is no notebook, only the copies that Jupyter keeps for itself "
            f"(.ipynb_checkpoints). {wanted}"
        )
    return f"There is no notebook, and nothing else either. {wanted}"


def _kind(path: Path) -> str:
    """Return what a file is that should be a notebook."""
    if path.suffix.casefold() == ".zip":
        try:
            with members(path) as found:
                if not any(is_notebook(member.path[-1]) for member in found):
                    return "a zip archive without a notebook"
        except ValueError:
            return "a damaged zip archive"
    with path.open("rb") as file:
        return what_a_file_is(path.name, file.read(MOST_READ))
