"""What keeps changed code from filling the memory, and from computing for ever.

Some changes are not made at all: those that decide how much memory is asked for, and those that
make a loop go over what it adds to. What is made has small exponents only, and no loop that never
ends.
"""

import ast
from collections.abc import Callable, Iterator
from itertools import count
from types import CodeType
from typing import Any

from labkit.checks.diagnosis.code.places import Place
from labkit.checks.diagnosis.code.slips import called_name

# Functions that take as much memory as a number in their arguments says.
ALLOCATING = {"bincount", "zeros", "ones", "empty", "full", "arange", "eye", "linspace"}
GROWING = {"append", "extend", "insert", "add", "update", "setdefault"}
POWERS = (ast.Pow, ast.LShift)
SHRINKING = (ast.RShift, ast.FloorDiv, ast.Mod, ast.BitAnd)
LARGEST = 4096
"""Far more bits than a number of any exercise has."""

ROUNDS = 2000
"""More than all calls of an exercise take in a `while` loop."""

GUARD, COUNTER = "_of_few_bits", "_for_few_rounds"


def is_power(node: ast.AST) -> bool:
    """Whether a node is a power, or a shift to the left."""
    return isinstance(node, ast.BinOp) and isinstance(node.op, POWERS)


def allocates(node: ast.AST) -> bool:
    """Whether a node, or one below it, asks for as much memory as a number says."""
    calls = (below for below in ast.walk(node) if isinstance(below, ast.Call))
    return any(called_name(call) in ALLOCATING for call in calls)


def narrow(function: ast.FunctionDef) -> set[int]:
    """Return what decides how much memory a function takes: nothing much may be changed there."""
    if not allocates(function):
        return set()
    inner = [
        node
        for node in ast.walk(function)
        if (isinstance(node, ast.Call) and called_name(node) in ALLOCATING)
        or (isinstance(node, ast.BinOp) and isinstance(node.op, POWERS + SHRINKING))
    ]
    return {id(below) for node in inner for below in ast.walk(node)}


def exponents(function: ast.FunctionDef) -> set[int]:
    """Return what stands in exponents. A power there, as in 2 ** 2 ** 30, takes seconds alone."""
    powers = [n for n in ast.walk(function) if isinstance(n, ast.BinOp) and is_power(n)]
    return {id(below) for power in powers for below in ast.walk(power.right)}


def may_explode(place: Place, new: ast.AST) -> bool:
    """Whether a change may make a number so large that as many items fill the memory.

    That is so where a power gets other parts, and where what makes a number small is left out.
    """
    parent, _, _, node = place
    if is_power(parent):
        return True
    outer = isinstance(node, ast.BinOp) and isinstance(node.op, SHRINKING)
    kept = isinstance(new, ast.BinOp) and isinstance(new.op, (*SHRINKING, ast.Div))
    return outer and not kept


def grows_what_it_reads(function: ast.FunctionDef) -> bool:
    """Whether a loop may go over what it adds to, also by another name: it would never end."""
    nodes = list(ast.walk(function))
    same = [
        {node.targets[0].id, node.value.id}
        for node in nodes
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Name)
    ]
    for loop in (node for node in nodes if isinstance(node, ast.For)):
        read = {node.id for node in ast.walk(loop.iter) if isinstance(node, ast.Name)}
        for pair in same * len(same):
            read |= pair if read & pair else set()
        if read & {name for step in loop.body for node in ast.walk(step) for name in _grown(node)}:
            return True
    return False


def _grown(node: ast.AST) -> Iterator[str]:
    """Give the list that a call or a statement adds to."""
    owner = node.value if isinstance(node, ast.Attribute) and node.attr in GROWING else None
    if isinstance(node, ast.AugAssign) and isinstance(node.value, ast.List):
        owner = node.target
    if isinstance(owner, ast.Name):
        yield owner.id


def of_few_bits(exponent: Any) -> Any:
    """Return an exponent or a shift, refused if it makes a number of thousands of bits.

    2 ** 95_000_000_000 takes all memory, and nothing stops it.

    Raises
    ------
    OverflowError
        If it is a whole number above `LARGEST`.
    """
    if isinstance(exponent, int) and exponent > LARGEST:
        raise OverflowError(f"a number of {exponent} bits; expected {LARGEST} at most")
    return exponent


def for_few_rounds() -> Callable[[Any], Any]:
    """Return what gives back the condition of a loop, as long as that is not asked for ever.

    The loop may stand in code that is not changed, and get another argument from code that is.
    """
    rounds = count()

    def condition(value: Any) -> Any:
        if next(rounds) > ROUNDS:
            raise RecursionError(f"a loop of more than {ROUNDS} rounds")
        return value

    return condition


def compiled(nodes: list[Any], source: str, space: dict[str, Any]) -> CodeType:
    """Compile statements to be run in `space`, guarded; the nodes stay as they are.

    Raises
    ------
    SyntaxError, ValueError, TypeError
        If they do not compile.
    """
    space |= {GUARD: of_few_bits, COUNTER: for_few_rounds()}
    places = [place for statement in nodes for place in _guarded(statement)]
    given = [getattr(node, field) for node, field, _ in places]
    try:
        for (node, field, name), value in zip(places, given, strict=True):
            guard = ast.copy_location(ast.Name(name, ast.Load()), value)
            setattr(node, field, ast.copy_location(ast.Call(guard, [value], []), value))
        return compile(ast.Module(nodes, []), source, "exec")
    finally:
        for (node, field, _), value in zip(places, given, strict=True):
            setattr(node, field, value)


def _guarded(statement: ast.AST) -> Iterator[tuple[ast.AST, str, str]]:
    """Give each exponent and each condition of a loop: its node, its field, and its guard."""
    for node in ast.walk(statement):
        if isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, POWERS):
            field = "right" if isinstance(node, ast.BinOp) else "value"
            if not isinstance(getattr(node, field), ast.Constant):
                yield node, field, GUARD
        elif isinstance(node, ast.While):
            yield node, "test", COUNTER
