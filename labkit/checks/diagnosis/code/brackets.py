"""What comes of a formula whose brackets are missing or stand elsewhere."""

import ast
from collections.abc import Iterator

BITS = (ast.BitAnd, ast.BitOr, ast.BitXor)
SHIFTS = (ast.LShift, ast.RShift)
SUMS = (ast.Add, ast.Sub)
TIGHTER = (ast.Mult, ast.Div, ast.FloorDiv, ast.Pow, ast.LShift, ast.RShift)

FACTORS = (ast.Mult, ast.Div)

Regrouped = tuple[int, str, ast.expr]


def regrouped(node: ast.BinOp) -> Iterator[Regrouped]:
    """Give the rank, the words and the result of every other way to bracket two operators."""
    yield from _other_groups(node)
    left, right, op = node.left, node.right, node.op
    brackets = "reads as if brackets were missing: * and / go before + and -"
    if isinstance(op, SHIFTS):
        brackets = "reads as if brackets were missing: + and - go before << and >>"
    for inner, outer in ((left, right), (right, left)):
        if not (isinstance(inner, ast.BinOp) and isinstance(op, TIGHTER)):
            continue
        if inner is left and not isinstance(inner.op, TIGHTER):
            # (a + b) * c as a + b * c, and as a * c + b
            yield 0, brackets, ast.BinOp(inner.left, inner.op, ast.BinOp(inner.right, op, outer))
            early = ast.BinOp(ast.BinOp(inner.left, op, outer), inner.op, inner.right)
            yield 1, f"adds or takes away `{ast.unparse(inner.right)}` too late", early
        elif inner is right:
            # c * (a + b) as c * a + b, and c / (a * b) as c / a * b
            does = (
                brackets
                if not isinstance(inner.op, TIGHTER)
                else (
                    "reads as if brackets were missing: x / a * b divides by a and multiplies by b"
                )
            )
            yield 0, does, ast.BinOp(ast.BinOp(outer, op, inner.left), inner.op, inner.right)
    if isinstance(op, SUMS) and isinstance(left, ast.BinOp) and isinstance(left.op, FACTORS):
        # a / c + b as (a + b) / c
        early = ast.BinOp(ast.BinOp(left.left, op, right), left.op, left.right)
        yield 1, f"adds or takes away `{ast.unparse(right)}` too early", early
    if isinstance(right, ast.BinOp):
        # a - (b + c) as a - b + c, and a - b / c as (a - b) / c
        taken = ast.BinOp(ast.BinOp(left, op, right.left), right.op, right.right)
        if isinstance(op, ast.Sub) and isinstance(right.op, ast.Add | ast.Sub):
            yield 0, brackets, taken
        if isinstance(op, ast.Sub | ast.Add) and isinstance(right.op, ast.Div | ast.Mult):
            yield 1, "reads as if there were brackets that do not belong there", taken


def _other_groups(node: ast.BinOp) -> Iterator[Regrouped]:
    """Give what comes of & and | beside a shift, and of // beside *, with other brackets."""
    left, right, op = node.left, node.right, node.op
    does = "reads as if brackets stood elsewhere: a shift goes before & and |"
    bitwise = (*BITS, *SHIFTS)
    if isinstance(op, bitwise) and isinstance(left, ast.BinOp) and isinstance(left.op, bitwise):
        if type(left.op) is not type(op):
            yield 3, does, ast.BinOp(left.left, left.op, ast.BinOp(left.right, op, right))
        if isinstance(op, BITS):  # (p >> n) & m as p & m >> n
            yield 3, does, ast.BinOp(left.left, op, ast.BinOp(right, left.op, left.right))
    early = "reads as if brackets were missing: + and - go before &, | and ^"
    if isinstance(op, BITS) and isinstance(right, ast.BinOp) and isinstance(right.op, SUMS):
        # p ^ m + 1 as (p ^ m) + 1
        yield 0, early, ast.BinOp(ast.BinOp(left, op, right.left), right.op, right.right)
    if isinstance(op, BITS) and isinstance(left, ast.BinOp) and isinstance(left.op, SUMS):
        # 1 + p & m as 1 + (p & m)
        yield 0, early, ast.BinOp(left.left, left.op, ast.BinOp(left.right, op, right))
    if isinstance(op, BITS) and isinstance(right, ast.BinOp) and isinstance(right.op, SHIFTS):
        # p & m >> n as (p >> n) & m, and p & m << n as (p & m) << n
        yield 3, does, ast.BinOp(ast.BinOp(left, right.op, right.right), op, right.left)
        yield 3, does, ast.BinOp(ast.BinOp(left, op, right.left), right.op, right.right)
    product = isinstance(left, ast.BinOp) and isinstance(left.op, ast.Mult)
    if isinstance(op, ast.FloorDiv) and isinstance(left, ast.BinOp) and product:
        first = ast.BinOp(left.left, left.op, ast.BinOp(left.right, op, right))
        yield 1, "divides with `//` before it multiplies", first
