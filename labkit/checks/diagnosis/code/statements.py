"""Slips in whole statements: two in the wrong order, a value that is thrown away or overwritten."""

import ast
import copy
from collections.abc import Iterator

from labkit.checks.diagnosis.code.places import Place, short

Spots = tuple[tuple[Place, ast.stmt], ...]
SIMPLE = (ast.Assign, ast.AugAssign, ast.Expr, ast.If)


def exchanged(function: ast.FunctionDef) -> Iterator[tuple[int, str, Spots]]:
    """Give what comes of two neighbouring statements in the other order, and of kept values.

    Parameters
    ----------
    function : ast.FunctionDef
        The code.
    """
    for block, statements in _blocks(function):
        for k, statement in enumerate(statements):
            place: Place = (block[0], block[1], k, statement)
            kept = _kept(statement)
            if kept is not None:
                yield 0, "throws away what it computes", ((place, kept),)
            collected = _collected(statement) if isinstance(block[0], ast.For) else None
            if collected is not None:
                yield 3, "adds up the values of all rounds", ((place, collected),)
            after = statements[k + 1] if k + 1 < len(statements) else None
            if after is not None and _depend(statement, after):
                below: Place = (block[0], block[1], k + 1, after)
                yield 3, "has two lines in the wrong order", ((place, after), (below, statement))


def of_statement(node: ast.stmt) -> Iterator[tuple[int, str, ast.stmt]]:
    """Give every slip that a statement by itself invites."""
    if isinstance(node, ast.If):
        condition = short(node.test)
        other: ast.stmt = ast.If(ast.Constant(False), node.body, node.orelse)
        yield 1, f"does not treat the case `{condition}` apart", other
        other = ast.If(ast.Constant(True), node.body, node.orelse)
        yield 1, f"treats every case like `{condition}`", other
    elif isinstance(node, ast.For):
        once = ast.For(node.target, node.iter, [*node.body, ast.Break()], [])
        yield 2, f"goes through the loop over `{short(node.iter)}` only once", once
    elif isinstance(node, ast.AugAssign):
        target = copy.deepcopy(node.target)
        yield 2, f"overwrites `{short(target)}` in each round", ast.Assign([target], node.value)
        yield 1, f"leaves out the step `{short(node)}`", ast.Pass()
    elif isinstance(node, ast.Assign) and (_redefines(node) or _changes(node)):
        yield 1, f"leaves out the step `{short(node)}`", ast.Pass()


def _redefines(node: ast.Assign) -> bool:
    """Whether a name gets a new value made from its old one."""
    targets = {n.id for t in node.targets for n in ast.walk(t) if isinstance(n, ast.Name)}
    return bool(targets & {n.id for n in ast.walk(node.value) if isinstance(n, ast.Name)})


def _changes(node: ast.Assign) -> bool:
    """Whether items of something that is there already get new values."""
    return isinstance(node.targets[0], ast.Subscript)


def thrown_away(function: ast.FunctionDef) -> Iterator[tuple[ast.stmt, ast.Assign]]:
    """Give the statements that compute a new value and keep it nowhere, and how they should be."""
    for _, statements in _blocks(function):
        for statement in statements:
            kept = _kept(statement)
            if kept is not None:
                yield statement, kept


def _blocks(
    function: ast.FunctionDef,
) -> Iterator[tuple[tuple[ast.AST, str], list[ast.stmt]]]:
    for node in ast.walk(function):
        for field in "body", "orelse":
            statements = getattr(node, field, None)
            if isinstance(statements, list):
                yield (node, field), statements


# Methods of tensors that give a new one; those that end in _ change their own.
NEW = {
    *("clamp", "clip", "round", "floor", "ceil", "trunc", "abs", "neg", "int", "long", "reshape"),
    *("view", "flatten", "t", "transpose", "permute", "unsqueeze", "squeeze", "sqrt", "square"),
    *("log", "log2", "log10", "exp", "relu", "detach", "clone", "contiguous", "masked_fill"),
    *("where", "minimum", "maximum", "movedim", "sum", "mean"),
}


def _kept(statement: ast.stmt) -> ast.Assign | None:
    """Return `x = x.clamp(...)` for `x.clamp(...)` alone on its line."""
    call = statement.value if isinstance(statement, ast.Expr) else None
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
        return None
    target = call.func.value
    if isinstance(target, ast.Name) and target.id in ("torch", "np", "F") and call.args:
        target = call.args[0]
    in_place = any(keyword.arg in ("out", "inplace") for keyword in call.keywords)
    if call.func.attr not in NEW or not isinstance(target, ast.Name) or in_place:
        return None
    new = ast.Assign([ast.Name(target.id, ast.Store())], call)
    return ast.fix_missing_locations(ast.copy_location(new, statement))


def _collected(statement: ast.stmt) -> ast.AugAssign | None:
    """Return `x += value` for `x = value` in a loop, where the value does not come from `x`."""
    target = statement.targets[0] if isinstance(statement, ast.Assign) else None
    if not isinstance(statement, ast.Assign) or not isinstance(target, ast.Name):
        return None
    if target.id in loaded(statement.value):
        return None
    new = ast.AugAssign(ast.Name(target.id, ast.Store()), ast.Add(), statement.value)
    return ast.fix_missing_locations(ast.copy_location(new, statement))


def _depend(first: ast.stmt, second: ast.stmt) -> bool:
    """Whether the order of two statements matters."""
    if not isinstance(first, SIMPLE) or not isinstance(second, SIMPLE):
        return False
    made, needed = stored(first), stored(second)
    return bool(made & loaded(second) | needed & loaded(first) | made & needed)


def parameters(function: ast.FunctionDef) -> list[str]:
    """Return the names of the arguments that a function takes by their places."""
    return [argument.arg for argument in (*function.args.posonlyargs, *function.args.args)]


def stored(tree: ast.AST) -> set[str]:
    """Return the names that a statement gives values, also to their items."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
            found |= loaded(node.value)
    return found


def loaded(tree: ast.AST) -> set[str]:
    """Return the names that code reads."""
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    return {node.id for node in nodes if isinstance(node.ctx, ast.Load)}
