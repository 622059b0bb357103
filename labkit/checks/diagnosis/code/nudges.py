"""Nudges: one more, a sign, a factor of two. They mend calls by chance sooner than by sense."""

import ast
from collections.abc import Iterable

from labkit.checks.diagnosis.code.brackets import SHIFTS, SUMS
from labkit.checks.diagnosis.code.harmless import is_power

FACTORS = (ast.Mult, ast.Div, ast.FloorDiv)
ONE, TWO, HUNDRED, SIGN, REST, UPSIDE_DOWN = "one", "two", "hundred", "sign", "rest", "upside down"


def nudge(old: ast.AST, new: ast.AST) -> str:
    """Return which nudge a change gives to a piece of code; "" if it is none."""
    if isinstance(new, ast.UnaryOp) and isinstance(new.op, ast.USub) and new.operand is old:
        return SIGN
    if isinstance(new, ast.BinOp) and old in (new.left, new.right):
        beside = new.right if new.left is old else new.left
        number = beside.value if isinstance(beside, ast.Constant) else None
        kinds = [] if is_power(old) and isinstance(new.op, ast.Sub) else _kinds(new)  # a mask
        if type(number) in (int, float) and kinds:
            return kinds[0]
    return ""


def nudges_of(nodes: Iterable[ast.AST]) -> frozenset[str]:
    """Return the nudges that a piece of code has itself: there they are no chance."""
    found = set[str]()
    for node in nodes:
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            found.add(SIGN)
        elif isinstance(node, ast.BinOp):
            found |= set(_kinds(node))
            found |= {SIGN} if isinstance(node.op, ast.Sub) else set()
            found |= {UPSIDE_DOWN} if isinstance(node.op, ast.Div) else set()
        elif isinstance(node, ast.AugAssign):
            found |= set(_kinds(ast.BinOp(node.target, node.op, node.value)))
    return frozenset(found)


def _kinds(node: ast.BinOp) -> list[str]:
    """Return which nudges an operator gives to one of its sides."""
    left, right = (
        side.value if isinstance(side, ast.Constant) else None for side in (node.left, node.right)
    )
    found = []
    if isinstance(node.op, ast.Sub) and left == 1:
        found.append(REST)
    elif isinstance(node.op, SUMS) and 1 in (left, right):
        found.append(ONE)
    if isinstance(node.op, ast.Div) and left == 1:
        found.append(UPSIDE_DOWN)
    if isinstance(node.op, FACTORS) and ({2, 0.5} & {left, right}):
        found.append(TWO)
    if isinstance(node.op, SHIFTS) and right == 1:
        found.append(TWO)
    if isinstance(node.op, FACTORS) and ({100, 0.01} & {left, right}):
        found.append(HUNDRED)
    return found
