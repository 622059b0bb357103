"""The cell that brings the course to Colab, above the first code of each lab."""

from collections.abc import Sequence
from typing import Any

from labkit.checks import selection

ID = "colab"
ZIP = "students.zip"
"""What `labkit release --bundle` made, where `course.toml` names no address."""
UPLOADED = f"# Drag the course's {ZIP} into Files (the folder at the left) first.\n"
# `--no-deps`: pip would fetch another torch than the one that Colab has, gigabytes of it.
FIRST_LINE = (
    "# Only on Colab does this cell do anything: it installs the course beside Colab's own torch.\n"
)
CELL = """\
{first}{note}import sys

if "google.colab" in sys.modules:
    get_ipython().run_line_magic("pip", 'install --quiet --no-deps "{address}"')"""


def with_cell(cells: Sequence[Any]) -> list[Any]:
    """Return the cells of a solved lab with the one for Colab.

    It counts as executed: anywhere else it does nothing.
    """
    address = selection.colab()
    note = "" if address else UPLOADED
    source = CELL.format(first=FIRST_LINE, note=note, address=address or ZIP)
    new: dict[str, Any] = {"id": ID, "cell_type": "code", "source": source, "metadata": {}}
    new |= {"execution_count": 0, "outputs": []}
    place = next((i for i, cell in enumerate(cells) if cell["cell_type"] == "code"), len(cells))
    return [*cells[:place], new, *cells[place:]]


def is_cell(source: str) -> bool:
    """Whether a cell is that one, whatever it installs."""
    return source.startswith(FIRST_LINE)
