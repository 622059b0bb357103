"""One page of names: what each lab has learners write, and what libraries call it."""

from collections.abc import Mapping

from nbformat import NotebookNode

from labkit.checks import registry

HEADING = "## What others call it"


def names_page(labs: Mapping[int, NotebookNode]) -> str:
    """Return the tables that the labs end with, below one another, in MyST.

    Parameters
    ----------
    labs : mapping of int to NotebookNode
        The labs' pages by number.
    """
    parts = ["# What others call it", "What you wrote in each lab, and its name elsewhere."]
    for number in sorted(labs):
        texts = [c.source for c in labs[number].cells if c.cell_type == "markdown"]
        for text in (text for text in texts if text.startswith(HEADING)):
            parts += [f"## {number} {registry.title(number)}", text.removeprefix(HEADING).strip()]
    return "\n\n".join(parts) + "\n"
