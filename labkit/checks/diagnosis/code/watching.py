"""The code of an answer, watched while its calls run.

Some things go wrong without a word: whole numbers that wrap round in a narrow dtype, a slice that
ends at -0, a `sum` of nothing. Each expression in which one may happen is watched, and can be done
as it was meant, which tells whether that is why calls go wrong.
"""

import ast
import builtins
import copy
import operator
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from labkit.checks.diagnosis.code.slips import called_name

OPERATORS: dict[type[ast.operator], tuple[Callable[..., Any], Callable[..., Any]]] = {
    ast.Add: (operator.add, operator.iadd),
    ast.Sub: (operator.sub, operator.isub),
    ast.Mult: (operator.mul, operator.imul),
    ast.MatMult: (operator.matmul, operator.imatmul),
    ast.LShift: (operator.lshift, operator.ilshift),
    ast.Pow: (operator.pow, operator.ipow),
}
CONVERTING = {"to", "int", "short", "char", "byte", "type", "astype", "int8", "int16", "int32"}
CONVERTING |= {"uint8", "uint16", "uint32"}
COMPUTING = {
    *("abs", "absolute", "neg", "negative", "sum", "prod", "cumsum", "square", "pow", "power"),
    *("matmul", "mm", "bmm", "mv", "dot", "inner", "outer", "einsum", "tensordot", "linear"),
    *("mul", "multiply", "add", "sub", "subtract", "diff"),
}
NARROW = (torch.uint8, torch.int8, torch.int16, torch.int32)
WATCH = "_watch_"

WRAPS, CUT, ENDS_AT_ZERO, BEGINS_AT_ZERO, OF_NOTHING = (
    "wraps",
    "does not fit",
    "ends at -0",
    "begins at -0",
    "of nothing",
)


@dataclass(frozen=True)
class Happening:
    """Something that happened in an expression.

    Attributes
    ----------
    kind : str
        One of those above.
    dtype : str
        Where numbers wrapped: the dtype.
    meant, came : object
        One number as it would be in a wide dtype, and as it is.
    """

    kind: str
    dtype: str = ""
    meant: Any = None
    came: Any = None


@dataclass(frozen=True)
class Spot:
    """An expression that is watched: its source, its line, and its node."""

    source: str
    line: int
    node: ast.AST


@dataclass
class Watch:
    """What happens in the expressions of a function, by their places in `spots`.

    Attributes
    ----------
    spots : list of Spot
        What is watched.
    seen : dict
        What has happened since it was emptied, the first of each spot.
    as_meant : set of int
        The spots in which the result is the one that was meant.
    """

    spots: list[Spot]
    seen: dict[int, Happening] = field(default_factory=dict)
    as_meant: set[int] = field(default_factory=set)

    def names(self) -> dict[str, Callable[..., Any]]:
        """Return what watched code calls, by the names that it uses."""
        watches = (self.binary, self.augmented, self.minus, self.call, self.end, self.start)
        return {WATCH + watch.__name__: watch for watch in watches}

    def binary(self, k: int, left: Any, right: Any) -> Any:
        """Return what an operator gives."""
        compute = OPERATORS[type(self.spots[k].node.op)][0]  # type: ignore[attr-defined]
        return self._computed(k, compute(left, right), compute, left, right)

    def augmented(self, k: int, left: Any, right: Any) -> Any:
        """Return what an operator gives that changes what stands on its left."""
        compute, in_place = OPERATORS[type(self.spots[k].node.op)]  # type: ignore[attr-defined]
        given = (_wide(left), _wide(right)) if _is_narrow(left) else (left, right)
        return self._computed(k, in_place(left, right), compute, *given)

    def minus(self, k: int, value: Any) -> Any:
        """Return a number with its sign turned round."""
        return self._computed(k, -value, operator.neg, value)

    def call(self, k: int, function: Callable[..., Any], *args: Any, **named: Any) -> Any:
        """Return what a function gives."""
        if function is builtins.sum and len(args) == 1:
            args = (list(args[0]),)
            if not args[0]:
                self.seen.setdefault(k, Happening(OF_NOTHING))
        result = function(*args, **named)
        owner = getattr(function, "__self__", None)
        on = (owner,) if isinstance(owner, torch.Tensor | np.ndarray | np.generic) else ()
        name = called_name(self.spots[k].node)  # type: ignore[arg-type]
        if not _is_narrow(result) or "out" in named:
            return result
        if name in CONVERTING:
            return self._converted(k, result, (*on, *args)[0])
        named.pop("dtype", None)
        method = (lambda first, *rest: getattr(first, name)(*rest, **named)) if on else None
        compute = method or (lambda *given: function(*given, **named))
        return self._computed(k, result, compute, *on, *args)

    def end(self, k: int, value: Any) -> Any:
        """Return minus a number, behind the colon of a slice."""
        if type(value) is int and value == 0:
            self.seen.setdefault(k, Happening(ENDS_AT_ZERO))
            return None if k in self.as_meant else 0
        return -value

    def start(self, k: int, value: Any) -> Any:
        """Return minus a number, before the colon of a slice."""
        if type(value) is int and value == 0:
            self.seen.setdefault(k, Happening(BEGINS_AT_ZERO))
            return sys.maxsize if k in self.as_meant else 0
        return -value

    def _computed(self, k: int, result: Any, compute: Callable[..., Any], *given: Any) -> Any:
        """Return a result; in int64 where it wraps and was not meant to."""
        if not _is_narrow(result):
            return result
        try:
            wide = compute(*map(_wide, given))
        except Exception:
            return result  # a function that takes this dtype alone
        return self._compared(k, WRAPS, result, wide)

    def _converted(self, k: int, result: Any, given: Any) -> Any:
        if isinstance(given, torch.Tensor):
            return self._compared(k, CUT, result, given.nan_to_num().double().trunc().long())
        if isinstance(given, np.ndarray | np.generic):
            wide = np.trunc(np.nan_to_num(given.astype(np.float64))).astype(np.int64)
            return self._compared(k, CUT, result, wide)
        return result

    def _compared(self, k: int, kind: str, result: Any, wide: Any) -> Any:
        came, meant = np.asarray(_wide(result)), np.asarray(wide)
        if came.shape != meant.shape or meant.dtype.kind not in "iu" or (came == meant).all():
            return result
        where = came != meant
        dtype = str(result.dtype).removeprefix("torch.")
        self.seen.setdefault(k, Happening(kind, dtype, int(meant[where][0]), int(came[where][0])))
        return wide if k in self.as_meant else result


def watched(functions: Sequence[ast.FunctionDef]) -> tuple[list[ast.FunctionDef], Watch]:
    """Return functions that are watched, and what watches them.

    Parameters
    ----------
    functions : sequence of ast.FunctionDef
        The code; it stays as it is.
    """
    watching = _Watching()
    changed = [watching.visit(copy.deepcopy(function)) for function in functions]
    return [ast.fix_missing_locations(function) for function in changed], Watch(watching.spots)


class _Watching(ast.NodeTransformer):
    """Puts a call of the watch in the place of each expression that is watched."""

    def __init__(self) -> None:
        self.spots: list[Spot] = []

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        if type(node.op) not in OPERATORS:
            return self.generic_visit(node)
        k = self._spot(node)
        self.generic_visit(node)
        return self._call("binary", k, node.left, node.right)

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST:
        if type(node.op) not in OPERATORS or not isinstance(node.target, ast.Name):
            return self.generic_visit(node)
        k = self._spot(node)
        self.generic_visit(node)
        name = ast.Name(node.target.id, ast.Load())
        made = ast.Assign([node.target], self._call("augmented", k, name, node.value))
        return ast.copy_location(made, node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        if not isinstance(node.op, ast.USub) or isinstance(node.operand, ast.Constant):
            return self.generic_visit(node)
        k = self._spot(node)
        self.generic_visit(node)
        return self._call("minus", k, node.operand)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if called_name(node) not in CONVERTING | COMPUTING:
            return self.generic_visit(node)
        k = self._spot(node)
        self.generic_visit(node)
        made = self._call("call", k, node.func, *node.args)
        made.keywords = node.keywords
        return made

    def visit_Slice(self, node: ast.Slice) -> ast.AST:
        for name, side in ("start", "lower"), ("end", "upper"):
            value = getattr(node, side)
            minus = isinstance(value, ast.UnaryOp) and isinstance(value.op, ast.USub)
            if minus and not isinstance(value.operand, ast.Constant):
                k = self._spot(node)
                setattr(node, side, self._call(name, k, self.visit(value.operand)))
            elif value is not None:
                setattr(node, side, self.visit(value))
        return node

    def visit_MatchValue(self, node: ast.MatchValue) -> ast.AST:
        return node

    def _spot(self, node: ast.AST) -> int:
        line = node.lineno  # type: ignore[attr-defined]
        self.spots.append(Spot(ast.unparse(node), line, copy.copy(node)))
        return len(self.spots) - 1

    def _call(self, watch: str, k: int, *args: ast.expr) -> ast.Call:
        name = ast.Name(WATCH + watch, ast.Load())
        call = ast.Call(name, [ast.Constant(k), *args], [])
        return ast.copy_location(call, self.spots[k].node)


def _is_narrow(value: Any) -> bool:
    """Whether something holds whole numbers of 32 bits or fewer."""
    if isinstance(value, torch.Tensor):
        return value.dtype in NARROW
    array = isinstance(value, np.ndarray | np.generic)
    return array and value.dtype.kind in "iu" and value.dtype.itemsize < 8


def _wide(value: Any) -> Any:
    """Return the same whole numbers with 64 bits; anything else as it is."""
    if isinstance(value, list | tuple):
        return type(value)(map(_wide, value))
    if not _is_narrow(value):
        return value
    return value.long() if isinstance(value, torch.Tensor) else value.astype(np.int64)
