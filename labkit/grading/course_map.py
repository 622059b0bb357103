"""The map of the course, made from the notebooks and the declared exercises.

`labs/README.md` is for who looks at the folder, `labs/index.ipynb` for who has opened it: it shows
the student's own progress as well.
"""

import re
from collections.abc import Mapping, Sequence

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from labkit.checks import registry
from labkit.checks.plan import minutes

WORDS_PER_MINUTE = 200
NEED = re.compile(r"\*\*You need\*\* (.*?)\. \*\*Lecture")


def reading_minutes(notebook: NotebookNode, leave_out: Sequence[str] = ()) -> int:
    """Return how long the text of a notebook takes, without the sections of some exercises."""
    text = "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    for exercise in leave_out:
        text = re.sub(rf"^## {re.escape(exercise)} .*?(?=^##? |\Z)", "", text, flags=re.M | re.S)
    return round(len(text.split()) / WORDS_PER_MINUTE)


def effort(number: int, notebook: NotebookNode, core: bool = False) -> tuple[int, int]:
    """Return the minutes of exercises and reading, if you know torch and the first time."""
    extras = [e.id for e in registry.exercises(number) if e.extra] if core else []
    reading = reading_minutes(notebook, extras)
    knows_torch, first_time = minutes(number, core)
    return knows_torch + reading, first_time + reading


def needs(notebook: NotebookNode) -> str:
    """Return what a lab says that one needs for it, or ""."""
    found = NEED.search(_prose(notebook))
    return found.group(1) if found else ""


def course_map(labs: Mapping[int, NotebookNode]) -> str:
    """Return the map as Markdown.

    Parameters
    ----------
    labs : mapping of int to NotebookNode
        The released notebooks by number.
    """
    return "\n".join(
        [
            "# The labs",
            "",
            "Take them in this order. [index.ipynb](index.ipynb) shows how far you are in the",
            "course, `lab.progress()` how far you are in a lab.",
            "",
            _table(labs),
            "",
        ]
    )


def index(labs: Mapping[int, NotebookNode], metadata: Mapping[str, object]) -> NotebookNode:
    """Return the notebook to begin with: the map, and a cell that shows the student's progress.

    Parameters
    ----------
    labs : mapping of int to NotebookNode
        The released notebooks by number.
    metadata : mapping
        What all released notebooks say of themselves.
    """
    welcome = (
        "# The labs\n\n"
        "Run the cell below (**Shift + Enter**) to see how far you are and where to go on. Your "
        "points are kept in the folder `.labkit` beside the notebooks, so they outlast a restart."
    )
    cells = [
        new_markdown_cell(welcome, id="index-001"),
        new_code_cell("from labkit import progress\n\nprogress()", id="index-002"),
        new_markdown_cell(_table(labs), id="index-003"),
    ]
    return new_notebook(cells=cells, metadata=dict(metadata))


def _table(labs: Mapping[int, NotebookNode]) -> str:
    return "\n".join(
        [
            "| lab | you write (extras: *italic*) | you need | minutes: core path | all | points |",
            "|---|---|---|---|---|---|",
            *(_row(number, labs[number]) for number in sorted(labs)),
            "",
            "Minutes are for the first time, and in brackets if you know torch. They include",
            f"reading, at {WORDS_PER_MINUTE} words per minute; running the cells comes on top.",
        ]
    )


def _row(number: int, notebook: NotebookNode) -> str:
    exercises = registry.exercises(number)
    core, everything = effort(number, notebook, core=True), effort(number, notebook)
    cells = (
        f"[{number} {registry.title(number)}]({registry.STEMS[number]}.ipynb)",
        " · ".join(f"*{e.title}*" if e.extra else e.title for e in exercises),
        needs(notebook),
        f"{core[1]} ({core[0]})",
        f"{everything[1]} ({everything[0]})",
        str(sum(exercise.points for exercise in exercises)),
    )
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _prose(notebook: NotebookNode) -> str:
    """Return the words of the Markdown cells, separated by single spaces."""
    texts = (cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    return " ".join(" ".join(texts).split())
