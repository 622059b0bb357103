"""Which slips of the pen one piece of a formula invites: another operator, a step left out.

Each is a rank (how far-fetched it is), what code with it does, and the piece as it then is.
"""

import ast
from collections.abc import Iterator

from labkit.checks import syntax
from labkit.checks.diagnosis.code.brackets import regrouped
from labkit.checks.diagnosis.code.functions import NAMES, TAKEN
from labkit.checks.diagnosis.code.places import short
from labkit.checks.diagnosis.code.statements import of_statement

OPERATORS: dict[type[ast.operator], tuple[tuple[type[ast.operator], str], ...]] = {
    ast.Add: ((ast.Sub, "subtracts"), (ast.Mult, "multiplies")),
    ast.Sub: ((ast.Add, "adds"),),
    ast.Mult: ((ast.Div, "divides"), (ast.Add, "adds")),
    ast.Div: (
        (ast.Mult, "multiplies"),
        (ast.FloorDiv, "divides with `//`, which drops the remainder"),
    ),
    ast.FloorDiv: ((ast.Div, "divides to a real number"), (ast.Mod, "takes the remainder")),
    ast.Mod: ((ast.FloorDiv, "divides"),),
    ast.Pow: ((ast.Mult, "multiplies"),),
    ast.LShift: ((ast.RShift, "shifts right"),),
    ast.RShift: ((ast.LShift, "shifts left"),),
    ast.BitAnd: ((ast.BitOr, "combines with |"),),
    ast.BitOr: ((ast.BitAnd, "combines with &"), (ast.Add, "adds")),
}
COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.GtE),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.LtE),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
}
# A function of one thing, whose call may be forgotten or be there for nothing.
WRAPPERS = {
    *("abs", "sqrt", "round", "floor", "ceil", "trunc", "int", "square", "flatten", "clamp"),
    *("relu", "log", "log2", "log10", "exp", "t", "double", "long", "detach", "sign", "to"),
}
SIGNS = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.BitAnd: "&",
    ast.BitOr: "|",
    ast.LShift: "<<",
    ast.RShift: ">>",
}
MODULES = ("torch", "math", "np", "F", "nn")

Change = tuple[int, str, ast.expr | ast.stmt]


def changes(node: ast.AST, parameters: list[str]) -> Iterator[Change]:
    """Give every slip that a node of a formula invites."""
    made: Iterator[Change] = iter(())
    if isinstance(node, ast.BinOp):
        made = _binary(node)
    elif isinstance(node, ast.Call):
        made = _calls(node)
    elif isinstance(node, ast.BoolOp):
        made = _conditions(node)
    elif isinstance(node, ast.Compare) and len(node.ops) == 1:
        made = _comparisons(node)
    elif isinstance(node, ast.Constant):
        made = _constants(node)
    elif isinstance(node, ast.UnaryOp):
        made = _signs(node)
    elif isinstance(node, ast.IfExp):
        made = _branches(node)
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        made = _names(node, parameters)
    elif isinstance(node, ast.Attribute):
        made = _attributes(node)
    elif isinstance(node, ast.Tuple) and isinstance(node.ctx, ast.Load) and len(node.elts) == 2:
        turned = ast.Tuple(node.elts[::-1], ast.Load())
        made = iter([(3, "has the two in the other order", turned)])
    elif isinstance(node, ast.If | ast.For | ast.AugAssign | ast.Assign):
        made = of_statement(node)
    for rank, does, new in made:
        ast.copy_location(new, node)
        yield rank, does, ast.fix_missing_locations(new)


def _binary(node: ast.BinOp) -> Iterator[Change]:
    left, right, op = node.left, node.right, node.op
    for other, does in OPERATORS.get(type(op), ()):
        yield 2, does, ast.BinOp(left, other(), right)
    # Not with shifts, nor with a power of a variable: 2 ** pattern would fill the memory.
    small_power = isinstance(op, ast.Pow) and isinstance(left, ast.Constant)
    if isinstance(op, ast.Sub | ast.Div | ast.FloorDiv) or small_power:
        yield 2, "has the two sides exchanged", ast.BinOp(right, op, left)
    if isinstance(op, ast.Pow):
        yield 3, "leaves out the power", left
        yield 3, "leaves out the power", right
    else:
        yield 1, f"leaves out `{SIGNS.get(type(op), '')} {short(right)}`", left
        if not isinstance(op, ast.Sub | ast.Div | ast.FloorDiv | ast.LShift | ast.RShift | ast.Mod):
            yield 1, f"leaves out `{short(left)}`", right
        elif isinstance(op, ast.Sub):
            yield 3, f"leaves out `{short(left)}`", ast.UnaryOp(ast.USub(), right)
    if isinstance(op, ast.Mult | ast.Div):
        yield 5, "adds 1", ast.BinOp(ast.Constant(1), ast.Add(), node)
        yield 5, "subtracts 1", ast.BinOp(node, ast.Sub(), ast.Constant(1))
    yield from regrouped(node)


def _conditions(node: ast.BoolOp) -> Iterator[Change]:
    """Give `a and b` with one of its conditions left out, and with `or`."""
    for k, value in enumerate(node.values):
        rest = node.values[:k] + node.values[k + 1 :]
        left = rest[0] if len(rest) == 1 else ast.BoolOp(node.op, rest)
        yield 1, f"leaves out the condition `{short(value)}`", left
    other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
    word = "or" if isinstance(node.op, ast.And) else "and"
    yield 2, f"has `{word}` between its conditions", ast.BoolOp(other, node.values)


def _calls(node: ast.Call) -> Iterator[Change]:
    name = called_name(node)
    if name in WRAPPERS:
        inner = node.func.value if isinstance(node.func, ast.Attribute) else None
        if isinstance(inner, ast.Name) and inner.id in MODULES[:4]:
            inner = None
        first = inner if inner is not None else (node.args[0] if node.args else None)
        if first is not None:
            yield 1, f"leaves out `{name}`", first
    if len(node.args) == 2:
        swapped = ast.Call(node.func, node.args[::-1], node.keywords)
        yield 2, f"has the arguments of `{name}` exchanged", swapped
    if name in ("max", "min", "maximum", "minimum") and len(node.args) == 2:
        for kept, left in (node.args, node.args[::-1]):
            yield 1, f"leaves out `{short(left)}` in `{name}`", kept
    if name == "where" and len(node.args) == 3:
        yield 1, "does not tell the two cases of `where` apart", node.args[1]
        yield 1, "does not tell the two cases of `where` apart", node.args[2]
        swapped = ast.Call(node.func, [node.args[0], node.args[2], node.args[1]], node.keywords)
        yield 2, "has the two cases of `where` exchanged", swapped
    if name == "clamp" and len(node.args) == 2:
        none = ast.Constant(None)
        low = ast.Call(node.func, [node.args[0], none], node.keywords)
        high = ast.Call(node.func, [none, node.args[1]], node.keywords)
        yield 1, "clamps at the lower end only", low
        yield 1, "clamps at the upper end only", high
    if name == "range" and len(node.args) == 1:
        more = ast.BinOp(node.args[0], ast.Add(), ast.Constant(1))
        fewer = ast.BinOp(node.args[0], ast.Sub(), ast.Constant(1))
        from_one = [ast.Constant(1), node.args[0]]
        yield 2, "goes one round too far", ast.Call(node.func, [more], [])
        yield 2, "stops one round too early", ast.Call(node.func, [fewer], [])
        yield 2, "begins at 1 instead of 0", ast.Call(node.func, from_one, [])
    for k, keyword in enumerate(node.keywords):
        if keyword.arg is not None:
            rest = node.keywords[:k] + node.keywords[k + 1 :]
            text = f"leaves out `{keyword.arg}={short(keyword.value)}`"
            yield 2, text, ast.Call(node.func, node.args, rest)


def called_name(node: ast.Call) -> str:
    """Return the last name of what is called: "round" of `torch.round(x)`."""
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    return node.func.id if isinstance(node.func, ast.Name) else ""


def _comparisons(node: ast.Compare) -> Iterator[Change]:
    for other in COMPARISONS.get(type(node.ops[0]), ()):
        new = ast.Compare(node.left, [other()], node.comparators)
        yield 3, f"compares with `{ast.unparse(new)}`", new


def _constants(node: ast.Constant) -> Iterator[Change]:
    value = node.value
    if isinstance(value, bool):
        yield 4, f"has `{not value}` in the place of `{value}`", ast.Constant(not value)
    elif isinstance(value, int | float):
        others = [value + 1, value - 1, 2 * value, 0 * value, 10 * value]
        others += [10] if value == 2 else []
        others += [value // 2 if isinstance(value, int) else value / 2, value * value]
        if isinstance(value, int) and value >= 255 and not value & (value + 1):
            others += [2**bits - 1 for bits in (4, 7, 8, 15, 16, 23, 24, 31)]  # another mask
        for rank, other in enumerate(others):
            if other != value:
                other = type(value)(other) if other == int(other) else other
                yield 4 + (rank > 1), f"has {other} in the place of {value}", ast.Constant(other)


def _signs(node: ast.UnaryOp) -> Iterator[Change]:
    if isinstance(node.op, ast.USub):
        yield 2, "has a sign turned round", node.operand
        if isinstance(node.operand, ast.BinOp) and isinstance(node.operand.op, ast.Pow):
            base = ast.UnaryOp(ast.USub(), node.operand.left)
            inside = ast.BinOp(base, ast.Pow(), node.operand.right)
            yield 1, "takes the power of the negative number", inside
    if isinstance(node.op, ast.Not | ast.Invert):
        yield 2, "takes a condition the wrong way round", node.operand


def _branches(node: ast.IfExp) -> Iterator[Change]:
    condition = short(node.test)
    yield 1, f"does not treat the case `{condition}` apart", node.orelse
    yield 1, f"treats every case like `{condition}`", node.body
    swapped = ast.IfExp(node.test, node.orelse, node.body)
    yield 2, f"has the two cases of `{condition}` exchanged", swapped


def _names(node: ast.Name, parameters: list[str]) -> Iterator[Change]:
    for other in NAMES.get(node.id, ()):
        yield 1, _taken(other, node.id), syntax.parse(other, mode="eval").body
    if node.id in parameters:
        for other in parameters:
            if other != node.id:
                does = f"uses `{other}` where `{node.id}` belongs"
                yield 4, does, ast.Name(other, ast.Load())
        yield 3, f"has the sign of `{node.id}` turned round", ast.UnaryOp(ast.USub(), node)
        one = ast.Constant(1)
        yield 4, f"has `{node.id} - 1` for `{node.id}`", ast.BinOp(node, ast.Sub(), one)
        yield 4, f"has `{node.id} + 1` for `{node.id}`", ast.BinOp(node, ast.Add(), one)


def _attributes(node: ast.Attribute) -> Iterator[Change]:
    for other in NAMES.get(node.attr, ()):
        if other == "len" or "." in other:
            continue
        in_python = (
            other == "round" and isinstance(node.value, ast.Name) and node.value.id != "torch"
        )
        named: ast.expr = ast.Attribute(node.value, other, ast.Load())
        yield 1, _taken(other, node.attr), ast.Name(other, ast.Load()) if in_python else named


def _taken(name: str, instead_of: str) -> str:
    return f"{TAKEN.get(name, f'uses `{name}`')} where `{instead_of}` belongs"
