"""The cells that students get, of those of a solved notebook: plain JSON in, plain JSON out.

nbformat stays out of here: importing it takes seconds, and grading needs none of what it does.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from labkit.checks import registry
from labkit.grading.releasing import colab
from labkit.grading.releasing.identity import ids, kept_metadata
from labkit.grading.releasing.leaks import SHORTEST, leak, stub_reason
from labkit.grading.releasing.regions import BEGIN_SOLUTION, END_SOLUTION, cut, has_mark

Cell = dict[str, Any]
ANSWER, CHECK = "exercise-", "check-"


def grade_id(cell: Mapping[str, Any]) -> str:
    """Return the nbgrader id of a cell, or an empty string."""
    return str((cell["metadata"].get("nbgrader") or {}).get("grade_id", ""))


def exercise_id(cell: Mapping[str, Any]) -> str:
    """Return "1.3" for a cell with the grade_id "exercise-1-3" or "check-1-3", else ""."""
    name = grade_id(cell)
    for prefix in (ANSWER, CHECK):
        if name.startswith(prefix):
            return name.removeprefix(prefix).replace("-", ".")
    return ""


def student_cells(solved: Sequence[Mapping[str, Any]], name: str) -> list[Cell]:
    """Return the cells that students get, without outputs, one for each solved cell.

    Parameters
    ----------
    solved : sequence of mapping
        The cells of the solved notebook, each with its source as one string.
    name : str
        The lab's stem, for messages and for finding the exercises that it must hold.

    Raises
    ------
    ValueError
        If a part of a solution would be handed out, or the cells do not agree with the exercises of
        the lab.
    """
    _require_exercises(solved, name)
    cells: list[Cell] = []
    for cell, key in zip(solved, ids(solved), strict=True):
        kind, source = cell["cell_type"], cell["source"]
        if kind == "code":
            source = _student_source(cell, key, name)
        elif has_mark(source) or grade_id(cell).startswith(ANSWER):
            raise ValueError(
                f"{_place(cell, key, name)} is no code cell, so nothing would be cut out of it."
            )
        copy = {"id": key, "cell_type": kind, "source": source}
        copy["metadata"] = kept_metadata(cell["metadata"])
        if kind == "code":
            copy |= {"execution_count": None, "outputs": []}
        if "attachments" in cell:
            copy["attachments"] = cell["attachments"]
        cells.append(copy)
    functions = [exercise.function for exercise in registry.exercises(lab_number(name))]
    require_no_leak(cells, name, solutions(solved), functions)
    return cells


def solutions(solved: Sequence[Mapping[str, Any]]) -> dict[str, tuple[str, ...]]:
    """Return what is cut out of each exercise's answer cell."""
    answers = (cell for cell in solved if grade_id(cell).startswith(ANSWER))
    return {exercise_id(cell): cut(cell["source"], "").solutions for cell in answers}


def require_no_leak(
    cells: Sequence[Cell],
    name: str,
    regions: Mapping[str, Sequence[str]],
    functions: Sequence[str] = (),
    shortest: int = SHORTEST,
) -> None:
    """Refuse a lab of which a cell holds a solution.

    Parameters
    ----------
    cells : sequence of dict
        As students get them.
    name : str
        The lab's stem, for messages.
    regions : mapping
        Exercise to what was cut out of its answer cell, of this lab or another one.
    functions, shortest
        As for `leak`.

    Raises
    ------
    ValueError
        If one does.
    """
    if found := leak(cells, regions, functions, shortest):
        raise ValueError(f"{_place(found[0], found[0]['id'], name)} holds {found[1]}.")


def release_mark(cells: Sequence[Cell]) -> str:
    """Return what a release is known by: it changes with the code of its cells.

    Where Colab gets the course from is no part of it.
    """
    sources = [cell["source"] for cell in cells if cell["cell_type"] == "code"]
    code = [source for source in sources if not colab.is_cell(source)]
    return hashlib.sha256(repr(code).encode()).hexdigest()[:12]


def lab_number(stem: str) -> int:
    """Return which lab has this stem.

    Raises
    ------
    ValueError
        If none has.
    """
    for number, known in registry.STEMS.items():
        if known == stem:
            return number
    raise ValueError(f"{stem} is no lab that labkit.checks.registry knows.")


def _student_source(cell: Mapping[str, Any], key: str, name: str) -> str:
    """Return a code cell as students get it."""
    number = exercise_id(cell)
    is_answer = grade_id(cell).startswith(ANSWER)
    try:
        found = cut(cell["source"], f'raise NotImplementedError("Exercise {number}")')
    except ValueError as error:
        raise ValueError(f"{_place(cell, key, name)}: {error}.") from None
    if found.solutions and not is_answer:
        raise ValueError(
            f"{_place(cell, key, name)} holds a solution but no nbgrader grade_id of the form "
            f'"{ANSWER}1-3".'
        )
    if is_answer and (reason := stub_reason(found.source, cell["source"], len(found.solutions))):
        raise ValueError(
            f"{_place(cell, key, name)}: {reason}. Put its solution between {BEGIN_SOLUTION!r} and "
            f"{END_SOLUTION!r}."
        )
    return found.source


def _place(cell: Mapping[str, Any], key: str, name: str) -> str:
    """Say which cell a message is about."""
    number = exercise_id(cell)
    return f"{name}: cell {key}" + (f" (exercise {number})" if number else "")


def _require_exercises(solved: Sequence[Mapping[str, Any]], name: str) -> None:
    """Refuse cells that differ from the declared exercises in number, order or points."""
    number = lab_number(name)
    wanted = [(e.id, e.points) for e in registry.exercises(number)]
    answers = [exercise_id(c) for c in solved if grade_id(c).startswith(ANSWER)]
    checks = [
        (exercise_id(c), c["metadata"]["nbgrader"].get("points"))
        for c in solved
        if grade_id(c).startswith(CHECK)
    ]
    doubled = [key for key, count in Counter(map(grade_id, solved)).items() if key and count > 1]
    if doubled:
        raise ValueError(f"{name}: the grade_id {doubled[0]} stands on more than one cell.")
    if checks != wanted or answers != [key for key, _ in wanted]:
        raise ValueError(
            f"{name}: the notebook has answers {answers} and checks with points {checks}; the "
            f"exercises declared for lab {number} are {wanted}."
        )
