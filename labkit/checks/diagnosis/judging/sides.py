"""Where the two sides of a comparison in a learner's code differ."""

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from labkit.checks.diagnosis.code.slips import called_name
from labkit.checks.diagnosis.judging.recording import Call, plain_or_none, value_of
from labkit.checks.values import as_array, number, shortened

LONGEST_LINE = 120
PLAIN = {"float", "item", "bool", "int"}
EXTREMES = {"max": np.argmax, "amax": np.argmax, "min": np.argmin, "amin": np.argmin}


@dataclass(frozen=True)
class Difference:
    """Two sides that a comparison finds apart, and where they are furthest so.

    Attributes
    ----------
    left, right : str
        Both as they are written.
    found, asked : str
        What they are there.
    where : str
        " at [2], for 0.7"; "" for a single number.
    noise : bool
        Whether they differ in the last digits only.
    plain : bool
        Whether the right one is written as a number.
    place : tuple of int, optional
        Where that is in the first argument of the call, if that has such a place.
    """

    left: str
    right: str
    found: str
    asked: str
    where: str
    noise: bool
    plain: bool
    place: tuple[int, ...] | None

    def __str__(self) -> str:
        """Say both sides."""
        beside = (
            f", against `{self.right}`" if self.plain else f", and `{self.right}` is {self.asked}"
        )
        return f"`{self.left}` is {self.found}{self.where}{beside}"


def differences(node: ast.AST, call: Call, accepts: bool = True) -> Iterator[Difference]:
    """Give the comparisons of a condition that keep it from being what it is asked to be.

    Parameters
    ----------
    node : AST
        A condition, or a statement with one.
    call : Call
        Where its values are looked up.
    accepts : bool
        Whether the code goes on where the condition is true, or where it is false.
    """
    for left, right, holds in comparisons(node, accepts):
        one, other = value_of(left, call), value_of(right, call)
        if one is None or other is None:
            continue
        try:
            one, other = np.broadcast_arrays(one, other)
        except ValueError:  # shapes that do not line up
            continue
        off = ~holds(one, other)
        if off.any():
            yield _difference(left, right, (one, other), off, holds in CLOSE, call)


def _difference(
    left: ast.expr,
    right: ast.expr,
    sides: tuple[np.ndarray, np.ndarray],
    off: np.ndarray,
    furthest: bool,
    call: Call,
) -> Difference:
    one, other = sides
    away = off.astype(float)
    if furthest:
        away *= 1 + np.nan_to_num(np.abs(one.astype(float) - other.astype(float)))
    place = tuple(int(i) for i in np.unravel_index(np.argmax(away), one.shape))
    first = as_array(plain_or_none(call.args[0])) if call.args else None
    whole, spot = _unmasked(left, one, place, call) if place else _reduced(left, call)
    known = first is not None and bool(spot) and first.shape == whole.shape
    at = f", for {number(first[spot].item())}" if known and first is not None else ""
    found, asked = shown(one[place]), shown(other[place])
    noise = one.dtype.kind == "f" and bool(
        np.isclose(one[place], other[place], rtol=1e-4, atol=1e-5)
    )
    if found == asked:
        found, asked = repr(one[place].item()), repr(other[place].item())
    return Difference(
        source(left),
        source(right),
        found,
        asked,
        (f" at {list(spot)}" if spot else "") + at,
        noise,
        isinstance(right, ast.Constant),
        spot if known else None,
    )


def _unmasked(
    node: ast.expr, value: np.ndarray, place: tuple[int, ...], call: Call
) -> tuple[np.ndarray, tuple[int, ...]]:
    """Return a place among the values that a mask has picked as one among all of them."""
    if not isinstance(node, ast.Subscript):
        return value, place
    everything, mask = value_of(node.value, call), value_of(node.slice, call)
    if everything is None or mask is None or mask.dtype.kind != "b":
        return value, place
    if mask.shape != everything.shape or value.shape != (mask.sum(),):
        return value, place
    return everything, tuple(int(i) for i in np.argwhere(mask)[place[0]])


def _reduced(node: ast.expr, call: Call) -> tuple[np.ndarray, tuple[int, ...]]:
    """Return of what an expression is the largest or smallest value, and where that stands."""
    if isinstance(node, ast.Call) and len(node.args) == 1 and called_name(node) in PLAIN:
        return _reduced(node.args[0], call)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        name, of = node.func.attr, node.args[0] if node.args else node.func.value
        if name in PLAIN:
            return _reduced(of, call)
        whole = value_of(of, call) if name in EXTREMES and not node.keywords else None
        if whole is not None and whole.size:
            spot = np.unravel_index(EXTREMES[name](whole), whole.shape)
            return whole, tuple(int(i) for i in spot)
    return np.zeros(()), ()


def comparisons(
    node: ast.AST, asked: bool
) -> Iterator[tuple[ast.expr, ast.expr, Callable[[np.ndarray, np.ndarray], np.ndarray]]]:
    """Give both sides of what is compared, and how numbers are compared that the code accepts.

    `asked` says whether the code accepts what makes `node` true.
    """
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.Invert):
        asked = not asked
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        holds, fails = ORDERS.get(type(node.ops[0]), (None, None))
        if holds is not None and fails is not None:
            yield node.left, node.comparators[0], holds if asked else fails
    elif isinstance(node, ast.Call) and len(node.args) > 1:
        name = called_name(node)
        if name in SAME:
            yield node.args[0], node.args[1], SAME[name]
    for child in ast.iter_child_nodes(node):
        yield from comparisons(child, asked)


def _close(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    if one.dtype.kind in "iub" and other.dtype.kind in "iub":
        return np.equal(one, other)  # float64 would not tell large ones apart
    return np.isclose(one, other, rtol=1e-4, atol=1e-6)


def _equal(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.equal(one, other)


def source(node: ast.AST) -> str:
    """Return a piece of code as one short line."""
    return shortened(ast.unparse(node), LONGEST_LINE)


def shown(value: np.generic) -> str:
    """Return a number in words; -0 as 0."""
    return "0" if value.dtype.kind == "f" and value == 0 else number(value.item())


ORDERS: dict[type[ast.cmpop], tuple[Callable[..., Any], Callable[..., Any]]] = {
    ast.Eq: (np.equal, np.equal),
    ast.NotEq: (np.equal, np.equal),
    ast.Lt: (np.less, np.greater_equal),
    ast.LtE: (np.less_equal, np.greater),
    ast.Gt: (np.greater, np.less_equal),
    ast.GtE: (np.greater_equal, np.less),
}
SAME: dict[str, Callable[..., Any]] = {
    "equal": _equal,
    "array_equal": _equal,
    "allclose": _close,
    "isclose": _close,
    "assert_close": _close,
    "assert_allclose": _close,
}
CLOSE = {_close, _equal}
