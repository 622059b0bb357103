"""Which cell is which, and what is said of it: all that a released cell has beside its text.

Editors differ in what they keep. Colab drops the ids of cells and adds the names of people, VS Code
drops ids and keeps the format that requires them. What is missing is made from the text, so that it
is the same at each release; what nobody asked for is left out.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from labkit.grading.kinds import what_it_is

ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
# What a released cell says of itself; None stands for any value, else these keys of it are kept.
KEPT: dict[str, tuple[str, ...] | None] = {
    "nbgrader": ("schema_version", "grade_id", "grade", "solution", "locked", "points", "task"),
    "tags": None,
    "editable": None,
    "deletable": None,
    "slideshow": ("slide_type",),
    "jupyter": ("source_hidden",),
}


def read_solution(text: str, name: str) -> dict[str, Any]:
    """Return a solved notebook as JSON, its cells with ids and with sources in one string.

    Parameters
    ----------
    text : str
        The file.
    name : str
        Its name, for messages.

    Raises
    ------
    ValueError
        If it is no notebook.
    """
    try:
        notebook = json.loads(text)
        if notebook["nbformat"] != 4:
            notebook = _converted(text)
        for cell in notebook["cells"]:
            cell["source"] = "".join(cell["source"])
            cell.setdefault("metadata", {})
        for cell, key in zip(notebook["cells"], ids(notebook["cells"]), strict=True):
            cell["id"] = key
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        kind = what_it_is(text.encode("utf-8", "replace")) or f"not one ({str(error)[:100]})"
        raise ValueError(f"{name} cannot be read as a notebook: it is {kind}.") from None
    return notebook


def _converted(text: str) -> dict[str, Any]:
    """Return a notebook of an older format in the one that all current programs write."""
    import nbformat

    return json.loads(nbformat.writes(nbformat.reads(text, as_version=4)))


def ids(cells: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return an id for each cell: its own, else its grade_id, else one made from its text."""
    taken: set[str] = set()
    found: list[str] = []
    for cell in cells:
        metadata = cell.get("metadata", {})
        text = "".join(cell.get("source", "")) + str(cell.get("cell_type"))
        made = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:8]
        wanted = (cell.get("id"), (metadata.get("nbgrader") or {}).get("grade_id"), made)
        usable = [key for key in wanted if isinstance(key, str) and ID.fullmatch(key)]
        free = [key for key in usable if key not in taken]
        key = free[0] if free else _numbered(usable[-1], taken)
        taken.add(key)
        found.append(key)
    return found


def kept_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return what students get of a cell's metadata."""
    found = {}
    for key, inner in KEPT.items():
        value = metadata.get(key)
        if inner is not None:
            value = {name: value[name] for name in inner if name in value} if value else None
        if value is not None and value != {}:
            found[key] = value
    return found


def _numbered(key: str, taken: set[str]) -> str:
    number = 2
    while f"{key}-{number}" in taken:
        number += 1
    return f"{key}-{number}"
