"""Labs as a student leaves them who solved some exercises, got some wrong and left some out."""

import re
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from labkit.checks import registry
from labkit.grading.releasing.release import ANSWER, exercise_id, grade_id

ROOT = Path(__file__).parents[1]
WRONG = "    return None"
STATES = {"solved": "✓ Passed", "wrong": "✗ Not yet", "unsolved": "○ Not started"}


def half_solved(number: int) -> tuple[NotebookNode, dict[str, str]]:
    """Return a lab with right, wrong and no answers in turn, and what each card is to say."""
    lab, solution = (
        nbformat.read(ROOT / folder / f"{registry.STEMS[number]}.ipynb", as_version=4)
        for folder in ("labs", "solutions")
    )
    expected = {}
    for position, (stub, answer) in enumerate(zip(_answers(lab), _answers(solution), strict=True)):
        kind = tuple(STATES)[position % 3]
        if kind == "solved":
            stub.source = answer.source
        elif kind == "wrong":
            stub.source = re.sub(r"^ *raise NotImplementedError.*$", WRONG, stub.source, flags=re.M)
        expected[exercise_id(stub)] = STATES[kind]
    return lab, expected


def _answers(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if grade_id(cell).startswith(ANSWER)]
