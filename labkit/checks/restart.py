"""A name that is missing because its cell has not run, as after a restart of the kernel.

A student who restarts the kernel and goes on where they were meets a NameError about a name that
they see defined on the screen. A card above it says what to run. The cell with ``lab = Lab(1)``
may be the one that has not run, so this is an extension of IPython, which ``etc/ipython`` loads
into every kernel of the environment that labkit is installed in. It must load in no time.
"""

import ast
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from labkit.checks.card import Card, Code, Text, show


def load_ipython_extension(shell: Any, released: Path | None = None) -> None:
    """Show a card above every NameError about a name that a cell of the notebook defines.

    The error itself stays, so that whatever runs the notebook sees that the cell failed.

    Parameters
    ----------
    shell : InteractiveShell
        IPython's.
    released : Path, optional
        The notebook to look at where the front end does not say which one it runs.
    """

    def explain(
        shell: Any,
        kind: type[BaseException],
        error: BaseException,
        trace: TracebackType,
        tb_offset: int | None = None,
    ) -> None:
        name, line = getattr(error, "name", None), None
        notebook = running_notebook() or released
        if kind is NameError and name is not None and notebook is not None:
            line = first_definition(notebook, name)
        if line is not None:
            show(missing_card(str(name), line))
        # With the card, the one line of the error says enough.
        exception_only = line is not None
        shell.showtraceback(
            (kind, error, trace), tb_offset=tb_offset, exception_only=exception_only
        )

    shell.set_custom_exc((NameError,), explain)


def running_notebook() -> Path | None:
    """Return the notebook that this kernel runs, where Jupyter's server or VS Code says so."""
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    names = shell.user_ns if shell is not None else {}
    path = Path(os.environ.get("JPY_SESSION_NAME") or names.get("__vsc_ipynb_file__") or "")
    return path if path.suffix == ".ipynb" and path.is_file() else None


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
    """Return the first line of a lab's code at top level that binds `name`, if any does.

    None as well if `notebook` is no lab, or is just being written.
    """
    import nbformat

    try:
        cells = [c for c in nbformat.read(notebook, as_version=4).cells if c.cell_type == "code"]
    except (OSError, ValueError):
        return None
    if not any("labkit" in cell.source for cell in cells):
        return None
    for cell in cells:
        lines = cell.source.splitlines()
        for statement in _statements(cell.source):
            if name in _bound(statement):
                return lines[statement.lineno - 1]
    return None


def _statements(source: str) -> list[ast.stmt]:
    """Return the statements of a cell; none if it is not finished yet, or holds a magic."""
    try:
        return ast.parse(source).body
    except SyntaxError:
        return []


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
