"""Cells as Python: what only a notebook understands left out, and what a cell defines."""

import ast

OWN = "<lab"
"""How the names of the lab's own cells begin: their source is not there to be read."""
MOST_MAGICS = 100
"""Lines: each that does not parse costs a parse of the cell."""
DEFINITIONS = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def parse(source: str, name: str = "<cell>") -> ast.Module:
    """Return the syntax tree of a cell, without the lines that only a notebook understands.

    A line counts as one only where Python stumbles: ``% 2`` may also go on with an expression.

    Raises
    ------
    SyntaxError, ValueError, RecursionError, MemoryError
        As `ast.parse`.
    """
    # Not splitlines, which knows more ends of lines than Python.
    lines = source.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for _ in range(MOST_MAGICS):
        try:
            return ast.parse("\n".join(lines), name)
        except SyntaxError as error:
            number = (error.lineno or 0) - 1
            if not 0 <= number < len(lines) or not _is_magic(lines[number]):
                raise
            indent = lines[number][: -len(lines[number].lstrip())]
            lines[number] = f"{indent}pass" if indent else ""
    return ast.parse("\n".join(lines), name)


def _is_magic(line: str) -> bool:
    line = line.strip()
    # %time, !ls, ?torch.round, torch.round? and files = !ls
    return line.startswith(("%", "!", "?")) or line.endswith("?") or "= !" in line or "= %" in line


def definitions(tree: ast.Module, only_literals: bool = True) -> list[ast.stmt]:
    """Return the statements of a cell that answers may build on.

    Parameters
    ----------
    tree : ast.Module
        The cell.
    only_literals : bool
        Keep an assignment only if a constant is assigned; else also what calls no function.
    """
    return [statement for statement in tree.body if _defines(statement, only_literals)]


def _defines(statement: ast.stmt, only_literals: bool) -> bool:
    if not isinstance(statement, ast.Assign) or not all(
        isinstance(target, ast.Name) for target in statement.targets
    ):
        return isinstance(statement, DEFINITIONS)
    if not only_literals:
        return not any(isinstance(node, ast.Call) for node in ast.walk(statement.value))
    try:
        ast.literal_eval(statement.value)
    except ValueError:
        return False
    return True
