"""One page of names: what each lab has learners write, and what libraries call it."""

import re
from collections.abc import Mapping

from nbformat import NotebookNode

from labkit.checks import registry

SECTION = re.compile(r"^## What others call it\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)


def names_page(labs: Mapping[int, NotebookNode]) -> str:
    """Return the tables that the labs end with, below one another, in MyST.

    Parameters
    ----------
    labs : mapping of int to NotebookNode
        The labs' pages by number.
    """
    parts = ["# What others call it", "What you wrote in each lab, and its name elsewhere."]
    for number in sorted(labs):
        text = "\n\n".join(c.source for c in labs[number].cells if c.cell_type == "markdown")
        for section in SECTION.findall(text):
            parts += [f"## {number} {registry.title(number)}", section.strip()]
    return "\n\n".join(parts) + "\n"
