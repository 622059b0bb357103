"""Places in the syntax tree of a function: where a node hangs, and what stands around it."""

import ast
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

LONGEST = 44
# What holds a node: another one, the name of its field, the place in a list; and the node.
Place = tuple[ast.AST, str, int | None, Any]


def places(tree: ast.AST) -> Iterator[Place]:
    """Give every place that holds an expression or a statement."""
    for parent in ast.walk(tree):
        for field, value in ast.iter_fields(parent):
            if field in ("annotation", "returns", "decorator_list", "args") and isinstance(
                parent, ast.FunctionDef | ast.arg
            ):
                continue
            if isinstance(value, ast.expr):
                yield parent, field, None, value
            elif isinstance(value, list):
                for index, item in enumerate(value):
                    if isinstance(item, ast.expr | ast.stmt):
                        yield parent, field, index, item


def is_changed(place: Place) -> bool:
    """Whether a place holds something whose items or attributes get new values."""
    parent, field, _, _ = place
    return field == "value" and isinstance(getattr(parent, "ctx", None), ast.Store)


def now(place: Place) -> Any:
    """Return what a place holds now."""
    parent, field, index, _ = place
    value = getattr(parent, field)
    return value if index is None else value[index]


def put(place: Place, node: ast.AST) -> None:
    """Put a node in a place."""
    parent, field, index, _ = place
    if index is None:
        setattr(parent, field, node)
    else:
        getattr(parent, field)[index] = node


@contextmanager
def holding(place: Place, node: ast.AST) -> Iterator[None]:
    """Have a node in a place for a while."""
    held = now(place)
    put(place, node)
    try:
        yield
    finally:
        put(place, held)


def around(place: Place) -> str:
    """Write what stands around a lone number or name, which says more than it does alone."""
    parent, field, index, node = place
    if not isinstance(node, ast.Constant | ast.Name | ast.Attribute):
        return ""
    if isinstance(parent, ast.keyword):
        return ast.unparse(parent)
    if not isinstance(parent, ast.expr):
        return ""
    whole = ast.unparse(parent)
    if len(whole) > LONGEST and isinstance(parent, ast.Call) and field == "args":
        shown = ast.unparse(parent.args[index or 0])
        return f"{ast.unparse(parent.func)}({'..., ' if index else ''}{shown})"
    return whole if len(whole) <= LONGEST else ""


def short(node: ast.AST) -> str:
    """Write a node as source, cut where it is long."""
    text = ast.unparse(node)
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."
