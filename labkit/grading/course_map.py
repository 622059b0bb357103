"""The map of the course, made from the notebooks and the declared exercises.

`labs/README.md` is for who looks at the folder, `labs/index.ipynb` for who has opened it: it shows
the student's own progress as well.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from labkit.checks import registry

WORDS_PER_MINUTE = 200
NEED = re.compile(r"\*\*You need\*\* (.*?)\. \*\*Time")
EXERCISE_MINUTES = re.compile(r"\*(\d+) minutes?\. (?:Done|Open)")


@dataclass(frozen=True)
class Effort:
    """How long a lab takes, in minutes.

    Attributes
    ----------
    reading : int
        The words of its text at 200 a minute.
    exercises : int
        The sum of what its exercises say of themselves.
    """

    reading: int
    exercises: int

    @classmethod
    def of(cls, notebook: NotebookNode) -> "Effort":
        """Measure a notebook."""
        text = _prose(notebook)
        minutes = EXERCISE_MINUTES.findall(text)
        return cls(round(len(text.split()) / WORDS_PER_MINUTE), sum(map(int, minutes)))

    @property
    def total(self) -> int:
        """Reading and exercises."""
        return self.reading + self.exercises


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
            "| lab | you write | you need | minutes: reading + exercises | points |",
            "|---|---|---|---|---|",
            *(_row(number, labs[number]) for number in sorted(labs)),
            "",
            f"Reading is counted at {WORDS_PER_MINUTE} words a minute; running the cells and",
            "playing with them come on top.",
        ]
    )


def _row(number: int, notebook: NotebookNode) -> str:
    exercises = registry.exercises(number)
    effort = Effort.of(notebook)
    cells = (
        f"[{number} {registry.title(number)}]({registry.STEMS[number]}.ipynb)",
        " · ".join(exercise.title for exercise in exercises),
        needs(notebook),
        f"{effort.total}: {effort.reading} + {effort.exercises}",
        str(sum(exercise.points for exercise in exercises)),
    )
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _prose(notebook: NotebookNode) -> str:
    """Return the words of the Markdown cells, separated by single spaces."""
    texts = (cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    return " ".join(" ".join(texts).split())
