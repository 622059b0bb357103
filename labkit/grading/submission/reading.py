"""Reading what students hand in: any bytes become cells and flags, or a reason why not."""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from labkit.grading.course import Course, Task
from labkit.grading.kinds import what_it_is
from labkit.grading.submission.handed_out import edits, lines, not_this_lab
from labkit.grading.submission.outputs import MOST_VALUES
from labkit.grading.submission.rule import Arrangement, Cell

LONGEST_ANSWER = 100_000  # characters in an answer cell
MOST_CELLS = 5_000
TOO_MUCH = f"cells of one's own beyond {LONGEST_ANSWER} letters were left out"
IMPORT = re.compile(r"^[ \t]*(?:import[ \t]+([\w.]+)|from[ \t]+([\w.]+)[ \t]+import\b)", re.M)
PYTHON = re.compile(r"(\d{1,2}\.\d{1,3})\b")
INDENTED = re.compile(r"\s*^[ \t]+\S", re.MULTILINE).match


class Broken(ValueError):
    """A submission without answers to grade; the message says why."""


class Submission:
    """One student's cells, each with its part, and what an instructor should know about them.

    Attributes
    ----------
    arrangement : Arrangement
        Which cells count, and in which order.
    flags : tuple of str
        What an instructor should know about the notebook.
    python : str
        The version of Python that the notebook says it was written with, or an empty string.
    """

    def __init__(
        self, cells: Sequence[Cell], course: Course, flags: Sequence[str] = (), python: str = ""
    ) -> None:
        self.arrangement = Arrangement(cells, course)
        self.flags = tuple(flags)
        self.python = python
        answers = {task.grade_id: self.arrangement.answer(task) for task in course.tasks}
        self.answers = {key: source for key, source in answers.items() if source}

    @classmethod
    def of(cls, course: Course, answers: Mapping[str, str]) -> "Submission":
        """Return a notebook that holds these answers, by their grade_id, in the lab's order."""
        cells: list[Cell] = []
        for task in course.tasks:
            pair = ((task.grade_id, answers.get(task.grade_id, task.stub)),)
            for key, source in (*pair, (task.check_id, task.check_source)):
                cells.append(Cell(len(cells) + 1, source, key))
        return cls(cells, course)

    @property
    def written(self) -> tuple[str, ...]:
        """What the student wrote or changed, from top to bottom."""
        return tuple(self.arrangement.cells[i].source for i in self.arrangement.written())

    @property
    def imports(self) -> tuple[str, ...]:
        """The modules that the student's cells name in an import, each once."""
        found = (name for source in self.written for name in IMPORT.findall(source))
        return tuple(dict.fromkeys(name for pair in found for name in pair if name))


def parse(data: bytes, course: Course) -> Submission:
    """Read the bytes of a notebook; which of its cells count, `submission.rule` says.

    Raises
    ------
    Broken
        If `data` is no notebook, or none of the lab.
    """
    notebook = _notebook(data)
    flags: list[str] = []
    found = _cells(notebook, course, flags)
    cells = _within_limits(found, course, flags)
    if reason := not_this_lab([cell for cell in found if cell.is_code], course):
        raise Broken(reason)
    submission = Submission(cells, course, python=_python(notebook))
    flags += _answer_flags(submission.arrangement, course)
    metadata = notebook.get("metadata")
    flags += _order(found, course)
    flags += edits(found, course, metadata if isinstance(metadata, dict) else {})
    submission.flags = tuple(flags)
    return submission


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


def _cells(notebook: dict[str, Any], course: Course, flags: list[str]) -> list[Cell]:
    """Return the cells; one that goes on where one of the same answer was split is joined to it."""
    answers = {task.grade_id: task.exercise.id for task in course.tasks}
    cells: list[Cell] = []
    number = 0
    for cell in notebook["cells"]:
        if not isinstance(cell, dict):
            continue
        metadata = cell.get("metadata")
        nbgrader = metadata.get("nbgrader") if isinstance(metadata, dict) else None
        name = nbgrader.get("grade_id") if isinstance(nbgrader, dict) else None
        key, source = name if isinstance(name, str) else "", _text(cell.get("source"))
        is_code = cell.get("cell_type") == "code"
        number += is_code
        before = cells[-1] if cells else None
        if before and is_code and key in answers and key == before.grade_id and INDENTED(source):
            joined = f"{before.source}\n{source}"[: LONGEST_ANSWER + 1]
            cells[-1] = replace(before, source=joined)
            flags.append(f"{answers[key]}: the answer was split inside its function and joined")
        elif is_code or key in answers:
            cells.append(Cell(number, source, key, is_code))
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


def _within_limits(cells: list[Cell], course: Course, flags: list[str]) -> list[Cell]:
    """Empty the cells that are too long to run, and say so."""
    answers = {task.grade_id: task.exercise.id for task in course.tasks}
    room, kept = LONGEST_ANSWER, []
    given = {lines(source) for source in course.given}
    for cell in cells:
        exercise = answers.get(cell.grade_id)
        own = exercise is None and bool(cell.source.strip()) and lines(cell.source) not in given
        room -= len(cell.source) if own else 0
        if len(cell.source) > LONGEST_ANSWER and exercise is not None:
            flags.append(f"{exercise}: the answer is longer than {LONGEST_ANSWER} letters")
            cell = replace(cell, source="")
        elif own and room < 0:
            room += len(cell.source)
            cell = replace(cell, source="")
            flags += [] if TOO_MUCH in flags else [TOO_MUCH]
        kept.append(cell)
    return kept


def _answer_flags(arrangement: Arrangement, course: Course) -> list[str]:
    """Point out answers that do not stand where they were asked for, each remark once."""
    exercises: dict[str, list[str]] = {}
    for task in course.tasks:
        for remark in _remarks(arrangement, task):
            exercises.setdefault(remark, []).append(task.exercise.id)
    return [f"{', '.join(numbers)}: {remark}" for remark, numbers in exercises.items()]


def _remarks(arrangement: Arrangement, task: Task) -> list[str]:
    """Say how the answer to an exercise does not stand where it was asked for."""
    place = arrangement.places[task.exercise.id]
    by_id = [cell for cell in arrangement.cells if cell.grade_id == task.grade_id]
    chosen = [arrangement.cells[position] for position in place.answers]
    remarks = []
    if sum(cell.is_code for cell in by_id) > 1:
        remarks.append(f"the answer cell is there {len(by_id)} times")
    if place.is_below:
        remarks.append("the answer stands below its check; it was taken all the same")
    elif chosen and all(cell.grade_id != task.grade_id for cell in chosen):
        remarks.append("the answer was found by the name of its function")
    if chosen and any(not cell.is_code for cell in chosen):
        remarks.append("the answer cell is no code cell; it was run as code")
    if place.again:
        remarks.append("what makes the function again, below its check, did not count")
    if not chosen and not by_id:
        remarks.append("the answer cell is missing")
    if not chosen and any(c.grade_id == task.grade_id for c in arrangement.cells[place.check :]):
        remarks.append("its check stands above its answer cell, which holds no answer")
    return remarks


def _python(notebook: dict[str, Any]) -> str:
    """Return the version of Python that wrote a notebook, "3.13", or an empty string."""
    try:
        version = notebook["metadata"]["language_info"]["version"]
        found = PYTHON.match(version)
    except (KeyError, TypeError):
        return ""
    return found[1] if found else ""


def _order(cells: list[Cell], course: Course) -> list[str]:
    wanted = [task.grade_id for task in course.tasks]
    counts = Counter(cell.grade_id for cell in cells)
    found = [c.grade_id for c in cells if c.grade_id in wanted and counts[c.grade_id] == 1]
    in_order = [key for key in wanted if counts[key] == 1]
    return [] if found == in_order else ["answer cells were moved; the lab's own order counts"]
