"""A solved lab as a class takes it: what `course.toml` leaves out of it is given there."""

import copy
import re
from collections.abc import Mapping, Sequence
from typing import Any

from labkit.checks import registry
from labkit.grading.releasing.cells import CHECK, exercise_id, grade_id, lab_number
from labkit.grading.releasing.identity import read_solution
from labkit.grading.releasing.regions import MARKS

LINK = re.compile(r"\[([^\]]+)\]\((lab\d+_\w+)\.ipynb(?:#[^)]*)?\)")
NOTE = "*In this course the function is given: there is nothing to write, read on.*"


def read_taken(text: str, name: str) -> dict[str, Any]:
    """Return a solved notebook as `read_solution`, with what the class takes of it."""
    notebook = read_solution(text, name)
    notebook["cells"] = taken(notebook["cells"], name.removesuffix(".ipynb"))
    return notebook


def taken(cells: Sequence[Any], stem: str) -> list[Any]:
    """Return the cells of a solved lab as the class takes it.

    Of an exercise that is left out the solution stands in a given cell, and there is no check.
    Links to labs that the class does not take are words.

    Parameters
    ----------
    cells : sequence of dict
        With sources in one string; not changed.
    stem : str
        The lab's stem.
    """
    chosen = registry.selected(lab_number(stem))
    points = {exercise.id: exercise.points for exercise in registry.exercises(lab_number(stem))}
    found = []
    for cell in cells:
        number, new = exercise_id(cell), copy.copy(cell)
        if cell["cell_type"] == "markdown":
            new["source"] = _text(cell["source"], chosen.leave_out)
        elif number in chosen.leave_out:
            if grade_id(cell).startswith(CHECK):
                continue
            lines = cell["source"].split("\n")
            new["source"] = "\n".join(line for line in lines if line.strip() not in MARKS)
            new["metadata"] = _of_its_own(cell)
            del new["metadata"]["nbgrader"]
        elif number in chosen.points and grade_id(cell).startswith(CHECK):
            new["metadata"] = _of_its_own(cell)
            new["metadata"]["nbgrader"] |= {"points": points[number]}
        found.append(new)
    return found


def _of_its_own(cell: Mapping[str, Any]) -> Any:
    """Return the metadata of a cell, to be changed."""
    return copy.deepcopy(cell["metadata"])


def _text(source: str, left_out: Sequence[str]) -> str:
    for number in left_out:
        heading = rf"^(## {re.escape(number)} .*)$"
        source = re.sub(heading, rf"\1\n\n{NOTE}", source, flags=re.MULTILINE)
    stems = set(registry.STEMS.values())
    return LINK.sub(lambda found: found[0] if found[2] in stems else found[1], source)
