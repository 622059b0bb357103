"""Changed code with small exponents: 2 ** 95_000_000_000 takes all memory, and nothing stops it."""

import ast
from types import CodeType
from typing import Any

LARGEST = 4096
"""Far more bits than a number of any exercise has."""

NAME = "_of_few_bits"


def of_few_bits(exponent: Any) -> Any:
    """Return an exponent or a shift, refused if it makes a number of thousands of bits.

    Raises
    ------
    OverflowError
        If it is a whole number above `LARGEST`.
    """
    if isinstance(exponent, int) and exponent > LARGEST:
        raise OverflowError(f"a number of {exponent} bits; expected {LARGEST} at most")
    return exponent


def compiled(nodes: list[Any], source: str, space: dict[str, Any]) -> CodeType:
    """Compile statements to be run in `space`, their exponents guarded; the nodes stay as they are.

    Raises
    ------
    SyntaxError, ValueError, TypeError
        If they do not compile.
    """
    space[NAME] = of_few_bits
    powers = [
        (node, "right" if isinstance(node, ast.BinOp) else "value")
        for statement in nodes
        for node in ast.walk(statement)
        if isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Pow | ast.LShift)
    ]
    given = [getattr(node, field) for node, field in powers]
    try:
        for (node, field), exponent in zip(powers, given, strict=True):
            if not isinstance(exponent, ast.Constant):
                guard = ast.copy_location(ast.Name(NAME, ast.Load()), exponent)
                setattr(node, field, ast.copy_location(ast.Call(guard, [exponent], []), exponent))
        return compile(ast.Module(nodes, []), source, "exec")
    finally:
        for (node, field), exponent in zip(powers, given, strict=True):
            setattr(node, field, exponent)
