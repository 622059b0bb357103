"""A solved, executed notebook as a page: with its pictures, without its answers."""

import base64
import hashlib
import re
from html import escape
from pathlib import Path

from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell, new_output

from labkit.grading.releasing import colab
from labkit.grading.releasing.release import ANSWER, CHECK, grade_id, release_notebook

PICTURES = "_static/pictures"
DOOR = "open-it"  # the cell that leads from a page to its lab
# Where a prediction is answered. Who reads the page may predict, too.
REVEAL = "lab.reveal("
TITLE = re.compile(r"^# ", re.MULTILINE)


def page(solution: NotebookNode, stem: str, folder: Path) -> NotebookNode:
    """Return the page of a lab; its pictures are written as files.

    Parameters
    ----------
    solution : NotebookNode
        The notebook from `solutions/`, executed.
    stem : str
        Its name, such as "lab1_linear".
    folder : Path
        The site's source folder, which receives `_static/pictures`.

    Returns
    -------
    NotebookNode
        Answer cells hold the stub and show nothing. What answers a prediction is folded.
    """
    released = release_notebook(solution, stem)
    for solved, cell in zip(solution.cells, released.cells, strict=True):
        if cell.cell_type != "code":
            cell.source = cell.source.replace("(index.ipynb)", "(index.md)")
            continue
        cell.execution_count = None
        if not grade_id(solved).startswith(ANSWER):
            cell.outputs = [_shown(output, folder) for output in solved.outputs]
        cell.metadata = NotebookNode(tags=_tags(cell), place=grade_id(solved))
    released.cells = [cell for cell in released.cells if cell.id != colab.ID]
    title, *texts = [cell for cell in released.cells if cell.cell_type == "markdown"]
    for text in texts:
        text.source = TITLE.sub("## ", text.source)  # a page has one title
    place = released.cells.index(title) + 1
    released.cells.insert(place, new_markdown_cell(_door(stem), id=DOOR))
    return released


def _tags(cell: NotebookNode) -> list[str]:
    if REVEAL in cell.source and not grade_id(cell).startswith(CHECK):
        return ["hide-output"]
    return []


def _door(stem: str) -> str:
    return f"""```{{note}}
This page is for reading. In the lab itself you write each function, and have it checked.
[Install the course](start.md) and open `{stem}.ipynb`.
```"""


def _shown(output: NotebookNode, folder: Path) -> NotebookNode:
    data = output.get("data", {})
    if "image/png" not in data:
        return output
    image = base64.b64decode(data["image/png"])
    name = f"{hashlib.sha256(image).hexdigest()[:16]}.png"
    target = folder / PICTURES / name
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(image)
    html = f'<img src="{PICTURES}/{name}" alt="{escape(data["text/plain"])}" loading="lazy">'
    return new_output(
        "display_data", {"text/html": html}, metadata={"picture": name, "words": data["text/plain"]}
    )
