"""Source as a syntax tree, also where several threads ask for one; which names it binds."""

import ast
import threading
from typing import Any

# Python counts the depth of all trees under way in one place (3.11, 3.12: gh-106905). A switch of
# threads within a tree makes it raise "AST constructor recursion depth mismatch" for good source.
_ONE_TREE = threading.RLock()

SCOPES = (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
"""Expressions whose names are their own."""


def parse(source: str, name: str = "<unknown>", mode: str = "exec") -> Any:
    """Return the syntax tree of source, as `ast.parse`, one tree at a time.

    Raises
    ------
    SyntaxError, ValueError, RecursionError, MemoryError
        As `ast.parse`.
    """
    with _ONE_TREE:
        return ast.parse(source, name, mode)


def bound(tree: ast.AST) -> set[str]:
    """Return the names that code binds where it stands, not inside its functions and classes."""
    names: set[str] = set()
    todo = [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
            continue
        if isinstance(node, SCOPES):
            continue
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.alias):
            names.add((node.asname or node.name).split(".")[0])
        todo.extend(ast.iter_child_nodes(node))
    return names
