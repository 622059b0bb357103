"""Slopes that get lost on the way: `x + (round(x) - x)`, without its `.detach()`."""

import ast
from collections.abc import Iterator, Mapping
from itertools import product
from typing import NamedTuple

from labkit.checks.diagnosis.code.places import short

DIFFERENTIATE = {"backward", "grad", "requires_grad", "requires_grad_", "Parameter"}
INSTEAD = (
    "Detach the difference and nothing else: `x + (round(x) - x).detach()` has the slope of x."
)


class _Term(NamedTuple):
    """One of the terms of a sum: its sign, whether no slope goes through it, and what it is."""

    sign: int
    detached: bool
    node: ast.expr


def lost_slopes(function: ast.FunctionDef) -> Iterator[tuple[str, str, bool]]:
    """Give key and words of sums in which a slope cancels or is turned round; they are sure.

    Parameters
    ----------
    function : ast.FunctionDef
        The code. If it asks for no gradient, such a sum is harmless.
    """
    names = {getattr(n, "attr", getattr(n, "arg", "")) for n in ast.walk(function)}
    if not names & DIFFERENTIATE:
        return
    made = _made_once(function)
    for node in _with_slopes(function):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
            terms = [t for t in _terms(node, made) if not isinstance(t.node, ast.Constant)]
            for one, other in product(terms, terms):
                if one.sign > 0 > other.sign and ast.dump(one.node) == ast.dump(other.node):
                    yield from _said(node, one, other, terms)


def _said(
    node: ast.BinOp, added: _Term, taken: _Term, terms: list[_Term]
) -> Iterator[tuple[str, str, bool]]:
    where = f"In line {node.lineno} of the cell, `{short(node)}`"
    name = short(added.node)
    if not (added.detached or taken.detached):
        rest = [t for t in terms if t is not added and t is not taken]
        left = f"`{short(rest[0].node)}`" if len(rest) == 1 else "the rest"
        yield (
            "slopes cancel",
            f"{where} adds `{name}` and takes it away again, slope and all: what is left is the "
            f"slope of {left}, and that of a rounding is 0. {INSTEAD}",
            True,
        )
    elif added.detached and not taken.detached:
        yield (
            "slope turned round",
            f"{where} has the slope -1 with `{name}`: it is detached where it is added, and not "
            f"where it is taken away. {INSTEAD}",
            True,
        )


def _with_slopes(node: ast.AST) -> Iterator[ast.AST]:
    """Give what stands outside of `with torch.no_grad()`, of sums the whole ones alone."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.With) and "no_grad" in ast.unparse(child.items[0]):
            continue
        yield child
        inner = isinstance(child, ast.BinOp) and isinstance(child.op, ast.Add | ast.Sub)
        yield from () if inner else _with_slopes(child)


def _made_once(function: ast.FunctionDef) -> dict[str, ast.expr]:
    """Return the names that get a value once, in a line of their own, with that value."""
    made: dict[str, list[ast.expr]] = {}
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            made.setdefault(node.targets[0].id, []).append(node.value)
    return {name: values[0] for name, values in made.items() if len(values) == 1}


def _terms(
    node: ast.expr, made: Mapping[str, ast.expr], sign: int = 1, detached: bool = False
) -> Iterator[_Term]:
    """Give the terms of a sum, also of one that a name stands for."""
    value = made.get(node.id) if isinstance(node, ast.Name) else None
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
        yield from _terms(node.left, made, sign, detached)
        other = -sign if isinstance(node.op, ast.Sub) else sign
        yield from _terms(node.right, made, other, detached)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield from _terms(node.operand, made, -sign, detached)
    elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".detach"):
        yield from _terms(node.func.value, made, sign, True)  # type: ignore[attr-defined]
    elif isinstance(value, ast.BinOp) and isinstance(value.op, ast.Add | ast.Sub):
        others = {name: one for name, one in made.items() if one is not value}
        yield from _terms(value, others, sign, detached)
    else:
        yield _Term(sign, detached, node)
