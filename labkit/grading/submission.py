"""Reading what students hand in: any bytes become answers and flags, or a reason why not."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from labkit.grading.collecting.handed_out import edits, lines, not_this_lab, same_code
from labkit.grading.collecting.kinds import what_it_is
from labkit.grading.course import Course, Task

LARGEST = 20 << 20  # bytes in a notebook
MOST_VALUES = 1_000_000  # commas and opening brackets: what a parser has to build
LONGEST_ANSWER = 100_000  # characters in an answer cell
MOST_CELLS = 5_000


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


def parse(data: bytes, course: Course) -> Submission:
    """Find the answers of `course` in the bytes of a notebook.

    Answer cells are found by their `grade_id` wherever they stand; a cell that lost its id is found
    by the function that it defines. A cell that was split counts as a whole; of several copies, the
    last one that was changed counts.

    Raises
    ------
    Broken
        If `data` is no notebook, or none of the lab.
    """
    notebook = _notebook(data)
    cells = _code_cells(notebook)
    if reason := not_this_lab(cells, course):
        raise Broken(reason)
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
    metadata = notebook.get("metadata")
    flags += _order(cells, course)
    flags += edits(cells, course, metadata if isinstance(metadata, dict) else {})
    return Submission(answers, tuple(flags), _own(cells, course))


def _notebook(data: bytes) -> dict[str, Any]:
    if not data.strip():
        raise Broken("The notebook is empty.")
    if sum(data.count(mark) for mark in (b",", b"[", b"{")) > MOST_VALUES:
        raise Broken(f"The notebook holds more than {MOST_VALUES} values.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        kind = what_it_is(data) or "not written in UTF-8"
        raise Broken(f"The notebook is {kind}.") from None
    try:
        notebook = json.loads(text)
    except RecursionError:
        raise Broken("The notebook is nested too deeply.") from None
    except ValueError as error:
        kind = what_it_is(data) or f"not valid JSON: {str(error)[:100]}"
        raise Broken(f"The notebook is {kind}.") from None
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
    given = {lines(source) for source in course.given}
    room, own = LONGEST_ANSWER, []
    for source in _strays(cells, course):
        if len(source) <= room and source.strip() and lines(source) not in given:
            room -= len(source)
            own.append(source)
    return tuple(own)


def _order(cells: list[Cell], course: Course) -> list[str]:
    wanted = [task.grade_id for task in course.tasks]
    counts = Counter(cell.grade_id for cell in cells)
    found = [c.grade_id for c in cells if c.grade_id in wanted and counts[c.grade_id] == 1]
    in_order = [key for key in wanted if counts[key] == 1]
    return [] if found == in_order else ["answer cells were moved; the lab's own order counts"]
