"""The expressions of an answer's code that are watched: a call of the watch in each one's place."""

import ast
import copy
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from labkit.checks.diagnosis.code.slips import called_name

OPERATORS: dict[type[ast.operator], tuple[Callable[..., Any], Callable[..., Any]]] = {
    ast.Add: (operator.add, operator.iadd),
    ast.Sub: (operator.sub, operator.isub),
    ast.Mult: (operator.mul, operator.imul),
    ast.Div: (operator.truediv, operator.itruediv),
    ast.FloorDiv: (operator.floordiv, operator.ifloordiv),
    ast.MatMult: (operator.matmul, operator.imatmul),
    ast.LShift: (operator.lshift, operator.ilshift),
    ast.Pow: (operator.pow, operator.ipow),
}
CONVERTING = {"to", "int", "short", "char", "byte", "type", "astype", "int8", "int16", "int32"}
CONVERTING |= {"uint8", "uint16", "uint32", "int64", "long"}
SHORTENING = {"float", "half", "bfloat16", "float32", "float16", "to", "type", "astype"}
COMPUTING = {
    *("abs", "absolute", "neg", "negative", "sum", "prod", "cumsum", "square", "pow", "power"),
    *("matmul", "mm", "bmm", "mv", "dot", "inner", "outer", "einsum", "tensordot", "linear"),
    *("mul", "multiply", "add", "sub", "subtract", "diff"),
}
WATCH = "_watch_"


@dataclass(frozen=True)
class Spot:
    """An expression that is watched: its source, its line, and its node."""

    source: str
    line: int
    node: ast.AST


def spotted(functions: Sequence[ast.FunctionDef]) -> tuple[list[ast.FunctionDef], list[Spot]]:
    """Return functions with calls of the watch in them, and the places of those.

    Parameters
    ----------
    functions : sequence of ast.FunctionDef
        The code; it stays as it is.
    """
    watching = _Watching()
    changed = [watching.visit(copy.deepcopy(function)) for function in functions]
    return [ast.fix_missing_locations(function) for function in changed], watching.spots


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

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        target = node.targets[0]
        if isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name):
            k = self._spot(node)
            self.generic_visit(node)
            container = ast.Name(target.value.id, ast.Load())
            node.value = self._call("stored", k, container, node.value)
            return node
        return self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        if not isinstance(node.op, ast.USub) or isinstance(node.operand, ast.Constant):
            return self.generic_visit(node)
        k = self._spot(node)
        self.generic_visit(node)
        return self._call("minus", k, node.operand)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if called_name(node) not in CONVERTING | SHORTENING | COMPUTING:
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
