"""`labkit slides`: a lecture of a lab's pictures, with its predictions as questions to the room.

What stands on a slide is the lab's own: headings with goal and formula, each prediction and below
it, one step later, what was measured, each picture with what one sees in it, and why it matters.
No answer to an exercise is on any.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from labkit.checks import registry
from labkit.files import write_whole
from labkit.grading.releasing.release import ANSWER, CHECK, grade_id, read_lab
from labkit.teaching.slide_page import TALLEST, slide_page

FOLDED = re.compile(r"<details>.*?</details>", re.DOTALL)
GOAL, PREDICT, SEEN, WHY = "**Goal:**", "**Predict:**", "*What you see:*", "**Why it matters.**"
DONE = re.compile(r"\s*\*Done .*?\*(?=\s|$)", re.DOTALL)
MOST_WORDS = 110  # on a slide
MEASURED = re.compile(r"^ *measured +(.+?) *$", re.MULTILINE)


@dataclass
class _Deck:
    """Slides as they are made: each a list of cells, the first on the screen before the others."""

    slides: list[list[NotebookNode]] = field(default_factory=list)
    waiting: list[list[NotebookNode]] = field(default_factory=list)
    """Questions without an answer so far."""

    def add(self, cell: NotebookNode) -> list[NotebookNode]:
        self.slides.append([cell])
        return self.slides[-1]

    def add_below(self, cell: NotebookNode) -> None:
        """Add words to the last slide, or to one of their own where they would not fit."""
        words = (c.source for c in [*self.slides[-1], cell] if c.cell_type == "markdown")
        if len(" ".join(words).split()) > MOST_WORDS:
            self.add(cell)
        else:
            self.slides[-1].append(cell)

    def cells(self) -> Iterator[NotebookNode]:
        for slide, following in zip(self.slides, [*self.slides[1:], None], strict=True):
            # A heading for nothing but text.
            if _is_bare(slide) and (following is None or _is_heading(following)):
                continue
            for position, cell in enumerate(slide):
                cell.metadata["slideshow"] = {"slide_type": "fragment" if position else "slide"}
                yield cell


def _is_heading(slide: list[NotebookNode]) -> bool:
    return slide[0].source.startswith("## ")


def _is_bare(slide: list[NotebookNode]) -> bool:
    return _is_heading(slide) and len(slide) == 1 and "\n" not in slide[0].source


def write_slides(root: Path, lab: int, out: Path) -> list[Path]:
    """Write the slides of a lab as a notebook, to be changed, and as a page; return both.

    Parameters
    ----------
    root : Path
        The project's folder, with `solutions/`.
    lab : int
        Which lab.
    out : Path
        Where to.

    Raises
    ------
    ValueError
        If there is no such lab, or the extra ``site`` is not installed.
    """
    registry.module(lab)
    stem = registry.STEMS[lab]
    path = root / "solutions" / f"{stem}.ipynb"
    if not path.is_file():
        raise ValueError(f"{path} is missing; run this in the project's folder.")
    slides = slides_of(read_lab(path))
    pages = [out / f"{stem}_slides.ipynb", out / f"{stem}.slides.html"]
    write_whole(pages[0], nbformat.writes(slides) + "\n")
    write_whole(pages[1], slide_page(slides))
    return pages


def slides_of(solved: NotebookNode) -> NotebookNode:
    """Return a solved, executed lab as a notebook of slides."""
    deck = _Deck()
    for cell in solved.cells:
        if cell.cell_type == "markdown":
            _add_words(deck, cell.source)
        elif not grade_id(cell).startswith((ANSWER, CHECK)):
            for output in cell.outputs:
                _add_output(deck, cell.source, output)
    notebook = new_notebook(cells=list(deck.cells()), metadata=dict(solved.metadata))
    for number, cell in enumerate(notebook.cells, 1):
        cell.id = f"slide-{number:03}"  # the same at each run
    return notebook


def _add_words(deck: _Deck, source: str) -> None:
    """Add what of a text belongs on slides."""
    paragraphs = [part.strip() for part in re.split(r"\n\s*\n", FOLDED.sub("", source))]
    heading = False
    for position, part in enumerate(filter(None, paragraphs)):
        if part.startswith(("# ", "## ")):
            deck.add(new_markdown_cell(part))
            heading = True
        elif heading and (part.startswith(("$$", GOAL)) or (position == 1 and source[1] == " ")):
            words = DONE.sub("", part.removeprefix(GOAL)).strip()
            deck.slides[-1][0].source += f"\n\n{_sentence(words)}"
        elif part.startswith(PREDICT):
            text = f"### What do you expect?\n\n{_sentence(part.removeprefix(PREDICT))}"
            deck.waiting.append(deck.add(new_markdown_cell(text)))
        elif part.startswith(SEEN) and deck.slides:
            deck.add_below(new_markdown_cell(_sentence(part.removeprefix(SEEN))))
        elif part.startswith(WHY):
            deck.add(new_markdown_cell(f"### Why it matters\n\n{part.removeprefix(WHY).strip()}"))


def _add_output(deck: _Deck, source: str, output: Mapping[str, Any]) -> None:
    """Add a picture, or the answer to the question that has waited longest."""
    data = output.get("data", {})
    if "image/png" in data:
        picture = {"height": TALLEST, "alt": data["text/plain"].strip("[]\"'")}
        shown = new_output(
            "display_data", {"image/png": data["image/png"]}, metadata={"image/png": picture}
        )
        deck.add(new_code_cell(source, outputs=[shown], execution_count=1))
    elif deck.waiting and (found := MEASURED.search(data.get("text/plain", ""))):
        what = data["text/plain"].split("\n")[0]
        deck.waiting.pop(0).append(new_markdown_cell(f"**{_sentence(what)}: {found[1]}**"))


def _sentence(words: str) -> str:
    """Return words as a sentence begins."""
    words = words.strip()
    return words[:1].upper() + words[1:]
