"""Where the two sides of a comparison in a learner's test differ."""

import ast
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from labkit.checks.diagnosis.judging.recording import Call, plain_or_none, value_of
from labkit.checks.values import as_array, number, shortened

LONGEST_LINE = 120


def disagreements(statement: ast.AST, call: Call) -> Iterator[str]:
    """Say where the two sides of a comparison of the test differ."""
    for left, right, holds in _comparisons(statement, isinstance(statement, ast.stmt)):
        one, other = value_of(left, call), value_of(right, call)
        if one is None or other is None or (other.ndim and one.shape != other.shape):
            continue
        beside = np.broadcast_to(other, one.shape)
        off = ~holds(one, beside)
        if not off.any():
            continue
        away = np.abs(one.astype(float) - beside.astype(float)) if holds is _close else off
        place = tuple(int(i) for i in np.unravel_index(np.argmax(away), one.shape))
        where = f" at {list(place)}" if place else ""
        first = as_array(plain_or_none(call.args[0])) if call.args else None
        known = first is not None and first.shape == one.shape and bool(place)
        at = f", for {number(first[place].item())}" if known and first is not None else ""
        found, asked = number(one[place].item()), number(beside[place].item())
        noise = one.dtype.kind == "f" and bool(
            np.isclose(one[place], beside[place], rtol=1e-4, atol=1e-5)
        )
        if found == asked:
            found, asked = repr(one[place].item()), repr(beside[place].item())
        plainly = isinstance(right, ast.Constant)
        compared, told = (", against", "") if plainly else (", and", f" is {asked}")
        yield (
            f"There `{_source(left)}` is {found}{where}{at}{compared} `{_source(right)}`{told}. "
            + ("That is rounding noise: allow for it, as torch.allclose does. " if noise else "")
            + "The implementation is right, so it is the test that errs."
        )


def _comparisons(
    node: ast.AST, asked: bool
) -> Iterator[tuple[ast.expr, ast.expr, Callable[[np.ndarray, np.ndarray], np.ndarray]]]:
    """Give both sides of what is compared, and how numbers are compared that the test accepts.

    `asked` says whether the test accepts what makes `node` true.
    """
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.Invert):
        asked = not asked
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        holds, fails = ORDERS.get(type(node.ops[0]), (None, None))
        if holds is not None and fails is not None:
            yield node.left, node.comparators[0], holds if asked else fails
    elif isinstance(node, ast.Call) and len(node.args) > 1:
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        if name in SAME:
            yield node.args[0], node.args[1], _close
    for child in ast.iter_child_nodes(node):
        yield from _comparisons(child, asked)


def _close(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    if one.dtype.kind in "iub" and other.dtype.kind in "iub":
        return np.equal(one, other)  # float64 would not tell large ones apart
    return np.isclose(one, other, rtol=1e-4, atol=1e-6)


ORDERS: dict[type[ast.cmpop], tuple[Callable[..., Any], Callable[..., Any]]] = {
    ast.Eq: (np.equal, np.equal),
    ast.NotEq: (np.equal, np.equal),
    ast.Lt: (np.less, np.greater_equal),
    ast.LtE: (np.less_equal, np.greater),
    ast.Gt: (np.greater, np.less_equal),
    ast.GtE: (np.greater_equal, np.less),
}
SAME = {"equal", "allclose", "isclose", "array_equal", "assert_close", "assert_allclose"}


def _source(node: ast.AST) -> str:
    return shortened(ast.unparse(node), LONGEST_LINE)
