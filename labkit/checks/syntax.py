"""Source as a syntax tree, also where several threads ask for one."""

import ast
import threading
from typing import Any

# Python counts the depth of all trees under way in one place (3.11, 3.12: gh-106905). A switch of
# threads within a tree makes it raise "AST constructor recursion depth mismatch" for good source.
_ONE_TREE = threading.RLock()


def parse(source: str, name: str = "<unknown>", mode: str = "exec") -> Any:
    """Return the syntax tree of source, as `ast.parse`, one tree at a time.

    Raises
    ------
    SyntaxError, ValueError, RecursionError, MemoryError
        As `ast.parse`.
    """
    with _ONE_TREE:
        return ast.parse(source, name, mode)
