"""The map of the course, made from the notebooks and the declared exercises.

`labs/README.md` is for who looks at the folder, `labs/index.ipynb` for who has opened it: it shows
the student's own progress as well.
"""

import base64
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from labkit.checks import registry
from labkit.checks.plan import minutes

WORDS_PER_MINUTE = 200
WORDS_OF_TIME = (
    "Minutes are for the first time, and in brackets if you know torch. They include\n"
    f"reading, at {WORDS_PER_MINUTE} words per minute; running the cells comes on top."
)
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


def course_map(labs: Mapping[int, NotebookNode], shown: Collection[str] = ()) -> str:
    """Return the map as Markdown.

    Parameters
    ----------
    labs : mapping of int to NotebookNode
        The released notebooks by number.
    shown : collection of str
        The files that `pictures` gives.
    """
    start = (
        "# The labs\n\n"
        "Take them in this order. [index.ipynb](index.ipynb) shows how far you are in the\n"
        "course, `lab.progress()` how far you are in a lab. [The calls that they\n"
        "need](cheatsheet.md) stand on a page of their own, each with what it gives."
    )
    return "\n\n".join((start, _table(labs, shown), WORDS_OF_TIME, _lists(labs))) + "\n"


def index(
    labs: Mapping[int, NotebookNode], metadata: Mapping[str, object], shown: Collection[str] = ()
) -> NotebookNode:
    """Return the notebook to begin with: the map, and a cell that shows the student's progress.

    Parameters
    ----------
    labs : mapping of int to NotebookNode
        The released notebooks by number.
    metadata : mapping
        What all released notebooks say of themselves.
    shown : collection of str
        The files that `pictures` gives.
    """
    welcome = (
        "# The labs\n\n"
        "Run the cell below (**Shift + Enter**) to see how far you are and where to go on. Your "
        "points are kept in the folder `.labkit` beside the notebooks, so they outlast a restart. "
        "[The calls that the labs need](cheatsheet.md) stand on a page of their own."
    )
    cells = [
        new_markdown_cell(welcome, id="index-001"),
        new_code_cell("from labkit import progress\n\nprogress()", id="index-002"),
        new_markdown_cell(f"{_table(labs, shown)}\n\n{WORDS_OF_TIME}", id="index-003"),
        new_markdown_cell(_lists(labs), id="index-004"),
    ]
    return new_notebook(cells=cells, metadata=dict(metadata))


def pictures(solved: Mapping[int, Mapping[str, Any]]) -> dict[str, bytes]:
    """Return the picture of each lab that has one, by the name of its file beside the map.

    Parameters
    ----------
    solved : mapping of int to mapping
        The executed notebooks with solutions, by number.
    """
    found = {number: _image(registry.picture(number), solved[number]) for number in sorted(solved)}
    return {_picture(number): image for number, image in found.items() if image}


def _picture(number: int) -> str:
    return f"pictures/{registry.STEMS[number]}.png"


def _image(words: str, notebook: Mapping[str, Any]) -> bytes:
    """Return the picture that is described with these words, if there is one."""
    for cell in notebook["cells"]:
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            if "image/png" in data and words in "".join(data.get("text/plain", "")):
                return base64.b64decode(data["image/png"])
    return b""


def _table(labs: Mapping[int, NotebookNode], shown: Collection[str]) -> str:
    rows = [_row(number, labs[number], _picture(number) in shown) for number in sorted(labs)]
    return "\n".join(("| picture | lab | core path | with extras |", "|---|---|---|---|", *rows))


def _row(number: int, notebook: NotebookNode, has_picture: bool) -> str:
    core, everything = effort(number, notebook, core=True), effort(number, notebook)
    name, link = f"{number} {registry.title(number)}", f"{registry.STEMS[number]}.ipynb"
    words = [f"**[{name}]({link})**", registry.sentence(number)]
    if need := needs(notebook):
        words.append(f"*You need* {need}.")
    cells = (
        f'<img src="{_picture(number)}" alt="" width="180">' if has_picture else "",
        "<br>".join(words),
        f"{core[1]} min ({core[0]})",
        f"{everything[1]} min ({everything[0]})",
    )
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _lists(labs: Mapping[int, NotebookNode]) -> str:
    """Return what one writes in each lab, folded."""
    lines = []
    for number in sorted(labs):
        exercises = registry.exercises(number)
        titles = " · ".join(f"*{e.title}*" if e.extra else e.title for e in exercises)
        points = sum(exercise.points for exercise in exercises)
        due = registry.selected(number).due
        when = f", due {due}" if due else ""
        lines.append(f"- **{number} {registry.title(number)}** ({points} points{when}): {titles}")
    summary = "<summary>What you write in each lab (extras in italics)</summary>"
    return "\n".join(("<details>", summary, "", *lines, "", "</details>"))


def _prose(notebook: NotebookNode) -> str:
    """Return the words of the Markdown cells, separated by single spaces."""
    texts = (cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    return " ".join(" ".join(texts).split())
