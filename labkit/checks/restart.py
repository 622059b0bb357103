"""A name that is missing because its cell has not run, or has ended in an error.

A student who restarts the kernel and goes on where they were meets a NameError about a name that
they see defined on the screen. A card above it says what to run, or what to repair: the cell that
should have made the name may hold a SyntaxError, or give its function another name. The cell with
``lab = Lab(1)`` may be the one that has not run, so this is an extension of IPython, which
``etc/ipython`` loads into every kernel of the environment that labkit is installed in. It must load
in no time.
"""

import ast
import difflib
import os
import re
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from labkit.checks import syntax
from labkit.checks.card import Card, Code, Text, show
from labkit.checks.code_cells import code_cells

MAIN = "__main__"
REMEMBERED = 200  # cells that have run


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
    ran: deque[tuple[str, BaseException | None]] = deque(maxlen=REMEMBERED)

    def remember(result: Any) -> None:
        ran.append((result.info.raw_cell or "", result.error_before_exec or result.error_in_exec))

    def explain(
        shell: Any,
        kind: type[BaseException],
        error: BaseException,
        trace: TracebackType,
        tb_offset: int | None = None,
    ) -> None:
        name, card = getattr(error, "name", None), None
        if kind is NameError and name is not None:
            card = _card(name, ran, shell.user_ns, running_notebook() or released, released)
        if card is not None:
            show(card)
        # With the card, the one line of the error says enough.
        exception_only = card is not None
        shell.showtraceback(
            (kind, error, trace), tb_offset=tb_offset, exception_only=exception_only
        )

    shell.events.register("post_run_cell", remember)
    shell.set_custom_exc((NameError,), explain)


def _card(
    name: str,
    ran: "deque[tuple[str, BaseException | None]]",
    names: dict[str, Any],
    notebook: Path | None,
    released: Path | None,
) -> Card | None:
    """Return the card about a missing name; None if the lab has no part in it."""
    last = next((error for source, error in reversed(ran) if _makes(source, name)), None)
    if last is not None:
        return failed_card(name, last)
    line = first_definition(notebook, name) if notebook is not None else None
    if line is None and released is not None:
        line = first_definition(released, name)
    if line is None:
        return None
    functions = [key for key, value in names.items() if getattr(value, "__module__", "") == MAIN]
    near = difflib.get_close_matches(name, [f for f in functions if callable(names[f])], 1, 0.8)
    if near and released is not None and first_definition(released, near[0]) is None:
        return renamed_card(name, near[0])
    return missing_card(name, line)


def _makes(source: str, name: str) -> bool:
    """Return whether a cell, which need not be Python, defines a name."""
    word = re.escape(name)
    definition = (
        rf"^[ \t]*(?:(?:async )?def|class)[ \t]+{word}\b|^{word}[ \t]*=(?![ \t]*lab\.check|=)"
    )
    return re.search(definition, source, re.MULTILINE) is not None


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


def failed_card(name: str, error: BaseException) -> Card:
    """Build the card about `name`, the cell of which ended in an error before it was there."""
    kind = type(error).__name__
    blocks: list[Code | Text] = []
    if isinstance(error, SyntaxError):
        where = f"Line {error.lineno} of that cell: {error.msg}."
        blocks.append(Code(where, (error.text or "").rstrip("\n")))
    else:
        blocks.append(Text(f"{kind}: {error}"))
    blocks.append(Text("Repair that, run the cell, and then this one again."))
    return Card(
        "warn", f"○ No `{name}` is there: the cell that makes it ended in {kind}", tuple(blocks)
    )


def renamed_card(name: str, near: str) -> Card:
    """Build the card about `name`, in the place of which there is a function of a like name."""
    step = f"Give your function the name `{name}`, run its cell, and then this one again."
    return Card("warn", f"○ No `def {name}` has run, but a `def {near}`", (Text(step),))


def first_definition(notebook: Path, name: str) -> str | None:
    """Return the first line of a lab's code at top level that binds `name`, if any does.

    None as well if `notebook` is no lab, or is just being written.
    """
    cells = code_cells(notebook)
    if not any("labkit" in source for source in cells):
        return None
    for source in cells:
        lines = source.splitlines()
        for statement in _statements(source):
            # `f = lab.check("1.3", f)` needs what it binds.
            if name in _bound(statement) and name not in _used(statement):
                return lines[statement.lineno - 1]
    return None


def _statements(source: str) -> list[ast.stmt]:
    """Return the statements of a cell; none if it is not finished yet, or holds a magic."""
    try:
        return syntax.parse(source).body
    except SyntaxError:
        return []


def _used(statement: ast.stmt) -> set[str]:
    """Return the names that a call of `lab.check` is given."""
    value = statement.value if isinstance(statement, ast.Assign) else None
    if not isinstance(value, ast.Call) or ast.unparse(value.func) != "lab.check":
        return set()
    return {argument.id for argument in value.args if isinstance(argument, ast.Name)}


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
