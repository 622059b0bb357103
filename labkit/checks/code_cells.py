"""The code of a notebook, for checks: nbformat takes over a second to import."""

import json
from pathlib import Path


def code_cells(notebook: Path) -> list[str]:
    """Return the sources of a notebook's code cells.

    None of them if it is no notebook, is not there, or is just being written.
    """
    try:
        cells = json.loads(notebook.read_text("utf-8"))["cells"]
        return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    except (OSError, ValueError, LookupError, TypeError):
        return []
