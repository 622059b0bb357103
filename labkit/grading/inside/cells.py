"""Cells as Python: what IPython makes of them, and what they define."""

import ast

from labkit.checks import syntax

OWN = "<lab"
"""How the names of the lab's own cells begin: their source is not there to be read."""
DEFINITIONS = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def translated(source: str) -> str:
    """Return a cell as Python, its magics and shell commands as the calls that IPython makes them.

    A cell that is Python already stays as it is: ``% 2`` may also go on with an expression.

    Raises
    ------
    SyntaxError, ValueError, RecursionError, MemoryError
        As `ast.parse`.
    """
    try:
        syntax.parse(source)
        return source
    except SyntaxError as error:
        from IPython.core.inputtransformer2 import TransformerManager  # half a second

        try:
            return TransformerManager().transform_cell(source)
        except RuntimeError:  # magics by the hundred
            raise error from None


def parse(source: str, name: str = "<cell>") -> ast.Module:
    """Return the syntax tree of a cell as IPython runs it; raises as `translated`."""
    return syntax.parse(translated(source), name)


def definitions(tree: ast.Module, only_literals: bool = True) -> list[ast.stmt]:
    """Return the imports, functions, classes and constants of a cell.

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
