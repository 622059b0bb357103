"""What is wrong with a piece of code at a glance, whatever its calls give."""

import ast
from collections.abc import Iterator

from labkit.checks.diagnosis.code.brackets import BITS
from labkit.checks.diagnosis.code.rarer import looked_up_late
from labkit.checks.diagnosis.code.slips import called_name
from labkit.checks.diagnosis.code.slopes import lost_slopes
from labkit.checks.diagnosis.code.statements import loaded, parameters, stored, thrown_away
from labkit.checks.values import shortened

LONGEST = 60
CUTTING = {"split", "rsplit", "partition", "rpartition"}
COLLECTORS = {"append", "extend", "add", "insert"}

Sign = tuple[str, str, bool]


def signs(function: ast.FunctionDef) -> Iterator[Sign]:
    """Give key and words of what no right code has, and whether that is sure; the surest first.

    Parameters
    ----------
    function : ast.FunctionDef
        The code.
    """
    for statement, kept in thrown_away(function):
        yield (
            "throws away a value",
            f"Line {statement.lineno} of the cell computes {_code(statement)} and keeps it "
            f"nowhere: such a function gives a new tensor and leaves the old one as it was. Keep "
            f"what it returns: {_code(kept)}.",
            True,
        )
    for node in ast.walk(function):
        if isinstance(node, ast.Compare) and _mixed(node):
            yield (
                "no brackets around a comparison",
                f"In line {node.lineno} of the cell, {_code(node)} is read otherwise than it "
                "looks: in Python `&` and `|` go before `==`, `<` and `>`. Put each comparison "
                "into brackets of its own.",
                True,
            )
        elif isinstance(node, ast.UnaryOp) and _minus_one_to(node):
            yield (
                "no brackets around -1",
                f"In line {node.lineno} of the cell, {_code(node)} is -1 whatever the exponent: a "
                "power goes before the minus. Put brackets around the -1.",
                True,
            )
        elif isinstance(node, ast.For):
            yield from _loop(function, node)
    yield from lost_slopes(function)
    yield from _overwritten(function)
    yield from _bound_late(function)
    yield from _dotted(function)


def _mixed(node: ast.Compare) -> bool:
    """Whether & or | joins a comparison with a part of another one."""
    for side in (node.left, *node.comparators):
        while isinstance(side, ast.BinOp) and isinstance(side.op, BITS):
            if isinstance(side.left, ast.Compare) or isinstance(side.right, ast.Compare):
                return True
            if len(node.ops) > 1 and ast.dump(side.right) == ast.dump(node.left):
                return True  # x < b | x > c is x < (b | x) > c
            side = side.left
    return False


def _minus_one_to(node: ast.UnaryOp) -> bool:
    power = node.operand
    return (
        isinstance(node.op, ast.USub)
        and isinstance(power, ast.BinOp)
        and isinstance(power.op, ast.Pow)
        and isinstance(power.left, ast.Constant)
        and power.left.value == 1
    )


def _loop(function: ast.FunctionDef, loop: ast.For) -> Iterator[Sign]:
    """Say that a loop forgets what its earlier rounds have found."""
    later = set[str]()
    for node in function.body[_position(function, loop) + 1 :]:
        later |= loaded(node)
    for statement in loop.body:
        made = stored(statement) if isinstance(statement, ast.Assign) else set[str]()
        rest = [other for other in loop.body if other is not statement]
        collected = {name for other in rest for name in _collected(other)}
        read = set[str]().union(*(loaded(o) - set(_collected(o)) for o in rest), loaded(statement))
        for name in sorted(made & later - read):
            if name in collected:
                yield (
                    "begins anew in each round",
                    f"Line {statement.lineno} of the cell empties `{name}` in each round of the "
                    "loop, and what earlier rounds have collected is lost: it belongs before the "
                    "`for`.",
                    True,
                )
            elif stored(loop.target) & loaded(statement):
                yield (
                    "overwrites in each round",
                    f"Line {statement.lineno} of the cell gives `{name}` a new value in each round "
                    "of the loop, so that only that of the last round is left. Should it collect "
                    "them?",
                    False,
                )


def _bound_late(function: ast.FunctionDef) -> Iterator[Sign]:
    """Say that a function which is kept in a loop reads what the loop's last round leaves."""
    for loop in ast.walk(function):
        if not isinstance(loop, ast.For):
            continue
        kept = [
            step.value
            for step in ast.walk(loop)
            if isinstance(step, ast.Assign)
            and isinstance(step.value, ast.Lambda)
            and isinstance(step.targets[0], ast.Attribute | ast.Subscript)
        ]
        for late in kept:
            for name in sorted(looked_up_late(late) & stored(loop)):
                yield (
                    f"reads {name} late",
                    f"In line {late.lineno} of the cell, {_code(late)} looks `{name}` up when it "
                    "is called, after the loop, and finds the value of the last round there.",
                    False,
                )


def _dotted(function: ast.FunctionDef) -> Iterator[Sign]:
    """Say that `setattr` is given the names of modules at any depth."""
    for loop in ast.walk(function):
        if not isinstance(loop, ast.For) or "named_modules(" not in ast.unparse(loop.iter):
            continue
        for call in ast.walk(loop):
            if isinstance(call, ast.Call) and called_name(call) == "setattr" and call.args[1:]:
                name = call.args[1]
                if isinstance(name, ast.Name) and name.id in stored(loop.target):
                    yield (
                        "sets a dotted name",
                        f"In line {call.lineno} of the cell, `{name.id}` is a name such as "
                        '"1.0", and setattr adds a new module of that name, which runs last, in '
                        "the place of swapping the one inside of a block: `set_submodule("
                        f"{name.id}, ...)` swaps it.",
                        True,
                    )


def first_digits(function: ast.FunctionDef) -> Iterator[ast.Call]:
    """Give the places that make a number of one character of a text: `int(s.split("(")[1][0])`."""
    for node in ast.walk(function):
        number = isinstance(node, ast.Call) and called_name(node) in ("int", "float") and node.args
        character = node.args[0] if isinstance(node, ast.Call) and number else None
        part = _item_of(character)
        text = _item_of(part)
        cut = isinstance(text, ast.Call) and called_name(text) in CUTTING
        if isinstance(node, ast.Call) and cut:
            yield node


def _item_of(node: ast.AST | None) -> ast.expr | None:
    """Return what a node is one item of, as x of `x[1]`."""
    one = isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant | ast.UnaryOp)
    return node.value if isinstance(node, ast.Subscript) and one else None


def _position(function: ast.FunctionDef, loop: ast.For) -> int:
    """Return which statement of a function a loop is; one inside of another counts as the last."""
    return function.body.index(loop) if loop in function.body else len(function.body)


def _collected(statement: ast.stmt) -> Iterator[str]:
    """Give the names that a statement adds to, and whose value it does not use otherwise."""
    if isinstance(statement, ast.AugAssign) and isinstance(statement.target, ast.Name):
        yield statement.target.id
    call = statement.value if isinstance(statement, ast.Expr) else None
    func = call.func if isinstance(call, ast.Call) else None
    if isinstance(func, ast.Attribute) and func.attr in COLLECTORS:
        yield from loaded(func.value)


def _overwritten(function: ast.FunctionDef) -> Iterator[Sign]:
    """Say that an argument is overwritten before anything reads it."""
    unread = set(parameters(function))
    for statement in function.body:
        if not isinstance(statement, ast.Assign | ast.Expr):
            return
        unread -= loaded(statement)
        for name in sorted(unread & stored(statement)):
            yield (
                f"overwrites {name}",
                f"Line {statement.lineno} of the cell overwrites the argument `{name}` before "
                "anything has read it: what was passed is lost.",
                True,
            )


def _code(node: ast.AST) -> str:
    return f"`{shortened(ast.unparse(node), LONGEST)}`"
