"""The map of the course, `labs/README.md`, made from the notebooks and the declared exercises."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from nbformat import NotebookNode

from labkit.checks import registry

WORDS_PER_MINUTE = 200
NEED = re.compile(r"\*\*You need\*\* (.*?)\. \*\*Time")
EXERCISE_MINUTES = re.compile(r"(\d+) minutes?\. Done")


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


def course_map(labs: Mapping[int, NotebookNode]) -> str:
    """Return the map as Markdown.

    Parameters
    ----------
    labs : mapping of int to NotebookNode
        The released notebooks by number.
    """
    rows = [_row(number, labs[number]) for number in sorted(labs)]
    return "\n".join(
        [
            "# The labs",
            "",
            "Take them in this order. `lab.progress()` in a lab shows how far you are in it, and",
            '`lab.page("my_results.html")` makes one page of all of them.',
            "",
            "| lab | you write | you need | minutes: reading + exercises | points |",
            "|---|---|---|---|---|",
            *rows,
            "",
            f"Reading is counted at {WORDS_PER_MINUTE} words a minute; running the cells and",
            "playing with them come on top.",
            "",
        ]
    )


def _row(number: int, notebook: NotebookNode) -> str:
    exercises = registry.exercises(number)
    found = NEED.search(_prose(notebook))
    effort = Effort.of(notebook)
    cells = (
        f"[{number} {registry.title(number)}]({registry.STEMS[number]}.ipynb)",
        " · ".join(exercise.title for exercise in exercises),
        found.group(1) if found else "",
        f"{effort.total}: {effort.reading} + {effort.exercises}",
        str(sum(exercise.points for exercise in exercises)),
    )
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _prose(notebook: NotebookNode) -> str:
    """Return the words of the Markdown cells, separated by single spaces."""
    texts = (cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    return " ".join(" ".join(texts).split())
