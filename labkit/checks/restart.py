"""A name that is missing because its cell has not run, as after a restart of the kernel.

A student who restarts the kernel and goes on where they were meets a NameError about a name that
they see defined on the screen. `explain_missing_names` puts a card above it that says what to run.
"""

import ast
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from labkit.checks import registry
from labkit.checks.card import Card, Code, Text, show
from labkit.start import LABS


def explain_missing_names(number: int) -> None:
    """Show a card above every NameError about a name that a cell of lab `number` defines.

    Does nothing outside IPython. The error itself stays, so that whatever runs the notebook sees
    that the cell failed.
    """
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    if shell is None:
        return
    path = LABS / f"{registry.STEMS[number]}.ipynb"

    def explain(
        shell: Any,
        kind: type[BaseException],
        error: BaseException,
        trace: TracebackType,
        tb_offset: int | None = None,
    ) -> None:
        name = getattr(error, "name", None)
        line = first_definition(path, name) if kind is NameError and name else None
        if line is not None:
            show(missing_card(str(name), line))
        # With the card, the one line of the error says enough.
        exception_only = line is not None
        shell.showtraceback(
            (kind, error, trace), tb_offset=tb_offset, exception_only=exception_only
        )

    shell.set_custom_exc((NameError,), explain)


def missing_card(name: str, line: str) -> Card:
    """Build the card about `name`, which a cell of the lab defines in `line`."""
    step = (
        "If you have restarted the kernel, select this cell, choose Run > Run All Above Selected "
        "Cell, and run this one again. Your progress is kept."
    )
    return Card(
        "warn",
        f"○ The cell that makes `{name}` has not run since the kernel started",
        (Code("It is a cell above, with this line:", line), Text(step)),
    )


def first_definition(notebook: Path, name: str) -> str | None:
    """Return the first line of a notebook's code at top level that binds `name`, if any does."""
    if not notebook.is_file():
        return None
    import nbformat

    for cell in nbformat.read(notebook, as_version=4).cells:
        if cell.cell_type != "code":
            continue
        lines = cell.source.splitlines()
        for statement in ast.parse(cell.source).body:
            if name in _bound(statement):
                return lines[statement.lineno - 1]
    return None


def _bound(statement: ast.stmt) -> Iterator[str]:
    """Give the names that a statement at top level binds."""
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        yield statement.name
        return
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.alias):
            yield (node.asname or node.name).split(".")[0]
