"""Reading what students hand in: any bytes become answers and flags, or a reason why not."""

import json
import os
import re
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labkit.grading.course import Course, Task

LARGEST = 20 << 20  # bytes in a notebook
MOST_VALUES = 1_000_000  # commas and opening brackets: what a parser has to build
LONGEST_ANSWER = 100_000  # characters in an answer cell
MOST_CELLS = 5_000
TO_FILL_IN = re.compile(r"\s*\w+ = None( |#|$)")  # a cell that asks for a prediction


class Broken(ValueError):
    """A submission without answers to grade; the message says why."""


@dataclass(frozen=True)
class Cell:
    """What the grader reads of a code cell."""

    grade_id: str
    source: str


@dataclass(frozen=True)
class Submission:
    """One student's answers.

    Attributes
    ----------
    answers : dict
        grade_id of the answer cell to its source; cells that are missing are not in it.
    flags : tuple of str
        What an instructor should know about the notebook.
    own : tuple of str
        Cells that the student added or changed, which may hold what answers build on.
    """

    answers: dict[str, str]
    flags: tuple[str, ...] = ()
    own: tuple[str, ...] = ()


def find_notebook(folder: Path, course: Course) -> tuple[Path, tuple[str, ...]]:
    """Return a student's notebook in their folder, and flags.

    Raises
    ------
    Broken
        If there is none, or none that is clearly meant.
    """
    try:
        # Hidden: what macOS puts beside each file in an archive, for one.
        visible = (name for name in os.listdir(folder) if not name.startswith("."))
        names = sorted(name for name in visible if name.lower().endswith(".ipynb"))
    except OSError as error:
        raise Broken(f"The folder cannot be read ({error.strerror}).") from None
    wanted = f"{course.stem}.ipynb"
    if wanted in names:
        return folder / wanted, ()
    if not names:
        raise Broken("There is no notebook in the folder.")
    if len(names) > 1:
        raise Broken(f"There are {len(names)} notebooks in the folder, none named {wanted}.")
    return folder / names[0], (f"the notebook is not named {wanted}",)


def read_bytes(path: Path) -> bytes:
    """Read a file that a student made: only a regular one, and only up to `LARGEST` bytes.

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
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise Broken(f"The notebook cannot be read ({error.strerror}).") from None
    finally:
        os.close(handle)
    if len(data) > LARGEST:
        raise Broken(f"The notebook is larger than {LARGEST >> 20} MiB.")
    return data


def parse(data: bytes, course: Course) -> Submission:
    """Find the answers of `course` in the bytes of a notebook.

    Answer cells are found by their `grade_id` wherever they stand; a cell that lost its id is found
    by the function that it defines. A cell that was split counts as a whole; of several copies, the
    last one that was changed counts.

    Raises
    ------
    Broken
        If `data` is no notebook.
    """
    cells = _code_cells(_notebook(data))
    flags: list[str] = []
    answers: dict[str, str] = {}
    for task in course.tasks:
        source = _answer(cells, task, course, flags)
        if source is None:
            flags.append(f"{task.exercise.id}: the answer cell is missing")
        elif len(source) > LONGEST_ANSWER:
            flags.append(f"{task.exercise.id}: the answer is longer than {LONGEST_ANSWER} letters")
        else:
            answers[task.grade_id] = source
    flags += _order(cells, course) + _checks(cells, course) + _given(cells, course)
    return Submission(answers, tuple(flags), _own(cells, course))


def _notebook(data: bytes) -> dict[str, Any]:
    if not data.strip():
        raise Broken("The notebook is empty.")
    if sum(data.count(mark) for mark in (b",", b"[", b"{")) > MOST_VALUES:
        raise Broken(f"The notebook holds more than {MOST_VALUES} values.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Broken("The notebook is not written in UTF-8.") from None
    try:
        notebook = json.loads(text)
    except RecursionError:
        raise Broken("The notebook is nested too deeply.") from None
    except ValueError as error:
        raise Broken(f"The notebook is not valid JSON: {str(error)[:100]}.") from None
    if not isinstance(notebook, dict):
        raise Broken("The file is JSON, but no notebook.")
    if "worksheets" in notebook:
        raise Broken("The notebook has an old format; open and save it in a current Jupyter.")
    if not isinstance(notebook.get("cells"), list):
        raise Broken("The notebook has no list of cells.")
    if len(notebook["cells"]) > MOST_CELLS:
        raise Broken(f"The notebook has more than {MOST_CELLS} cells.")
    return notebook


def _code_cells(notebook: dict[str, Any]) -> list[Cell]:
    cells = []
    for cell in notebook["cells"]:
        if not isinstance(cell, dict) or cell.get("cell_type") != "code":
            continue
        metadata = cell.get("metadata")
        nbgrader = metadata.get("nbgrader") if isinstance(metadata, dict) else None
        name = nbgrader.get("grade_id") if isinstance(nbgrader, dict) else None
        cells.append(Cell(name if isinstance(name, str) else "", _text(cell.get("source"))))
    return cells


def _text(source: object) -> str:
    """Return the source of a cell, a string or a list of lines, as text that can be written."""
    if isinstance(source, list):
        source = "".join(line for line in source if isinstance(line, str))
    if not isinstance(source, str):
        return ""
    # Half of a surrogate pair is valid in JSON and in nothing else. Of what is too long to be an
    # answer, no more is kept than tells that it is.
    return source[: LONGEST_ANSWER + 1].encode("utf-8", "replace").decode("utf-8")


def _answer(cells: list[Cell], task: Task, course: Course, flags: list[str]) -> str | None:
    number, function = task.exercise.id, task.exercise.function
    named = [cell.source for cell in cells if cell.grade_id == task.grade_id]
    if len(named) > 1:
        flags.append(f"{number}: the answer cell is there {len(named)} times")
    if not named:
        strays, all_cells = _strays(cells, course), (cell.source for cell in cells)
        for sources in (strays, all_cells):
            named = named or [source for source in sources if _defines(source, function)]
        if named:
            flags.append(f"{number}: the answer was found by the name of its function")
    changed = [source for source in named if not same_code(source, task.stub)]
    if sum(_defines(source, function) for source in changed) == 1:
        # Jupyter gives both halves of a split cell the same id.
        return "\n".join(changed)
    chosen = (changed or named)[-1:]
    return chosen[0] if chosen else None


def _strays(cells: list[Cell], course: Course) -> Iterator[str]:
    """Yield the cells that are neither an answer nor a check."""
    known = {key for task in course.tasks for key in (task.grade_id, task.check_id)}
    return (cell.source for cell in cells if cell.grade_id not in known)


def _defines(source: str, function: str) -> bool:
    # A search for the name alone is quick where there are millions of lines.
    name = re.escape(function)
    definition = rf"^(def|class)[ \t]+{name}\b|^{name}[ \t]*(:[^\n=]*)?=(?![ \t]*lab\.check|=)"
    return function in source and re.search(definition, source, re.MULTILINE) is not None


def _own(cells: list[Cell], course: Course) -> tuple[str, ...]:
    """Return the cells that are not the course's, as many as an answer may be long."""
    given = {_lines(source) for source in course.given}
    room, own = LONGEST_ANSWER, []
    for source in _strays(cells, course):
        if len(source) <= room and source.strip() and _lines(source) not in given:
            room -= len(source)
            own.append(source)
    return tuple(own)


def _order(cells: list[Cell], course: Course) -> list[str]:
    wanted = [task.grade_id for task in course.tasks]
    counts = Counter(cell.grade_id for cell in cells)
    found = [c.grade_id for c in cells if c.grade_id in wanted and counts[c.grade_id] == 1]
    in_order = [key for key in wanted if counts[key] == 1]
    return [] if found == in_order else ["answer cells were moved; the lab's own order counts"]


def _checks(cells: list[Cell], course: Course) -> list[str]:
    flags = []
    sources = {cell.grade_id: cell.source for cell in cells}
    for task in course.tasks:
        source = sources.get(task.check_id)
        if source is None:
            flags.append(f"{task.exercise.id}: the check cell is missing; the lab's own was used")
        elif not same_code(source, task.check_source):
            flags.append(f"{task.exercise.id}: the check cell was edited; the lab's own was used")
    return flags


def _given(cells: list[Cell], course: Course) -> list[str]:
    """Point out the given cells that are not there as they were handed out."""
    sources = {_lines(cell.source) for cell in cells}
    changed = [
        source.strip().splitlines()[0]
        for source in course.given
        if source.strip() and not TO_FILL_IN.match(source) and _lines(source) not in sources
    ]
    if not changed:
        return []
    first = changed[0] if len(changed[0]) <= 60 else changed[0][:60] + "..."
    more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
    return [f"given cells were edited or removed: {first!r}{more}; the lab's own were used"]


def same_code(one: str, other: str) -> bool:
    """Return whether two cells hold the same text, but for white space at the ends of lines."""
    return _lines(one) == _lines(other)


def _lines(source: str) -> tuple[str, ...]:
    return tuple(line.rstrip() for line in source.strip().splitlines())
