"""A solved lab as a class takes it: with its own exercises, and given what it leaves out."""

import copy
import re
from collections.abc import Mapping, Sequence
from typing import Any

from labkit.checks import own, registry
from labkit.grading.releasing import colab
from labkit.grading.releasing.cells import CHECK, exercise_id, grade_id, lab_number
from labkit.grading.releasing.identity import read_solution
from labkit.grading.releasing.regions import MARKS

LINK = re.compile(r"\[([^\]]+)\]\((lab\d+_\w+)\.ipynb(?:#[^)]*)?\)")
NOTE = "*In this course the function is given: there is nothing to write, read on.*"


def read_taken(text: str, name: str) -> dict[str, Any]:
    """Return a solved notebook as `read_solution`, with what the class takes of it.

    Exercises of the class's own stand behind the last one of the lab, the cell for Colab above the
    first code.

    Raises
    ------
    ValueError
        As `read_solution`, or if an exercise of the class's own has no cells.
    """
    notebook, stem = read_solution(text, name), name.removesuffix(".ipynb")
    added = own_cells(lab_number(stem))
    place = behind_exercises(notebook["cells"])
    notebook["cells"][place:place] = added
    notebook["cells"] = colab.with_cell(taken(notebook["cells"], stem))
    return notebook


def own_cells(lab: int) -> list[dict[str, Any]]:
    """Return the cells of the class's own exercises of a lab; raises as `read_taken`."""
    cells = []
    for exercise, module in own.declared(lab):
        path = module.with_suffix(".ipynb")
        if not path.is_file():
            raise ValueError(f"{path} is missing; it holds the cells of exercise {exercise.id}.")
        found = read_solution(path.read_text("utf-8-sig"), path.name)["cells"]
        headings = [i for i, cell in enumerate(found) if _is_heading(cell)]
        if not headings:
            raise ValueError(f"{path} has no cell that begins with '## {exercise.id} '.")
        cells += found[headings[0] :]
    return cells


def behind_exercises(cells: Sequence[Any]) -> int:
    """Return where a new exercise belongs: behind the last one, above the next heading."""
    checks = [i for i, cell in enumerate(cells) if grade_id(cell).startswith(CHECK)]
    below = range(checks[-1] + 1 if checks else 0, len(cells))
    return next((i for i in below if _is_heading(cells[i])), len(cells))


def _is_heading(cell: Mapping[str, Any]) -> bool:
    is_text = cell["cell_type"] == "markdown"
    return is_text and cell["source"].startswith(("# ", "## "))


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
