"""Slips that are rarer, looked for in an answer's own code alone.

A formula that is read as if it had other brackets, a step on the wrong side of a function, numbers
that the right code has and this one has not.
"""

import ast
import copy
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import partial

from labkit.checks.diagnosis.code.brackets import BITS, FACTORS
from labkit.checks.diagnosis.code.places import LONGEST, short
from labkit.checks.diagnosis.code.slips import MODULES, WRAPPERS, Change, called_name
from labkit.checks.diagnosis.code.statements import loaded, stored

STEPS = (ast.Add, ast.Sub, ast.Mult, ast.Div)
# Functions that give something else when an operator comes before them instead of after.
CROSSED = {
    *("max", "min", "maximum", "minimum", "round", "floor", "ceil", "trunc", "abs", "clamp"),
    *("amax", "amin", "mean", "sum", "log", "log2", "log10", "sqrt", "square", "int", "len"),
}
BETWEEN = {"quantile", "percentile", "nanquantile", "nanpercentile"}
RULES = ("interpolation", "method")
"""What torch and numpy call the rule for what lies between two values."""

WITHOUT_NAN = {"sum": "nansum", "mean": "nanmean"}


@dataclass(frozen=True)
class Neighbourhood:
    """What stands elsewhere in the same function, and may be missing here.

    Attributes
    ----------
    around : mapping
        For a name, the expressions in which it stands: "mine & filled" for "filled".
    bounds : tuple
        The ends of its clamps.
    of_rounds : set of str
        The names that get a new value in each round of a loop.
    """

    around: Mapping[str, Sequence[ast.expr]]
    bounds: tuple[ast.expr, ...]
    of_rounds: Set[str]


def neighbourhood(function: ast.FunctionDef) -> Neighbourhood:
    """Return what stands in a function."""
    around: dict[str, dict[str, ast.expr]] = {}
    bounds: dict[str, ast.expr] = {}
    for node in ast.walk(function):
        if isinstance(node, ast.BinOp | ast.Subscript) and isinstance(
            getattr(node, "ctx", ast.Load()), ast.Load
        ):
            for name in ast.iter_child_nodes(node):
                if isinstance(name, ast.Name) and len(ast.unparse(node)) <= LONGEST:
                    around.setdefault(name.id, {})[ast.unparse(node)] = node
        if isinstance(node, ast.Call) and called_name(node) in ("clamp", "clip"):
            ends = [*node.args, *(keyword.value for keyword in node.keywords)]
            bounds |= {ast.unparse(end): end for end in ends[_on_method(node) is None :]}
    lists = {name: tuple(found.values()) for name, found in around.items()}
    loops = [node for node in ast.walk(function) if isinstance(node, ast.For | ast.While)]
    of_rounds = {name for loop in loops for name in stored(loop)}
    return Neighbourhood(lists, tuple(bounds.values()), of_rounds)


def rarer(node: ast.AST, numbers: Sequence[int | float], near: Neighbourhood) -> Iterator[Change]:
    """Give every rarer slip that a node of a formula invites.

    Parameters
    ----------
    node : ast.AST
        The piece of the formula.
    numbers : sequence
        Those that may be meant where another one stands.
    near : Neighbourhood
        What stands elsewhere in the function.
    """
    made: Iterator[Change] = iter(())
    if isinstance(node, ast.BinOp):
        made = _operators(node)
    elif isinstance(node, ast.Call):
        made = _calls(node, near)
    elif isinstance(node, ast.Lambda | ast.FunctionDef):
        made = _bound_early(node, near.of_rounds)
    elif isinstance(node, ast.Compare) and len(node.ops) == 1:
        made = _compared(node)
    elif isinstance(node, ast.Attribute) and node.attr in WITHOUT_NAN:
        name = WITHOUT_NAN[node.attr]
        made = iter([(5, "leaves NaN out", ast.Attribute(node.value, name, ast.Load()))])
    elif isinstance(node, ast.Constant) and type(node.value) in (int, float):
        others = [n for n in numbers if type(n) is type(node.value) and n != node.value]
        made = iter([(4, f"has {n} there", ast.Constant(n)) for n in others])
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        beside = [copy.deepcopy(other) for other in near.around.get(node.id, ())]
        made = iter([(5, f"has `{short(other)}` there", other) for other in beside])
    for rank, does, new in made:
        ast.copy_location(new, node)
        yield rank, does, ast.fix_missing_locations(new)


def _operators(node: ast.BinOp) -> Iterator[Change]:
    left, right, op = node.left, node.right, node.op
    if isinstance(op, ast.Mult):
        yield 3, "multiplies as matrices, with `@`", ast.BinOp(left, ast.MatMult(), right)
    if isinstance(op, ast.MatMult):
        yield 3, "multiplies number by number, with `*`", ast.BinOp(left, ast.Mult(), right)
        yield 3, "has the two sides exchanged", ast.BinOp(right, op, left)
    if isinstance(op, FACTORS) and isinstance(left, ast.BinOp) and isinstance(left.op, ast.Mult):
        inner = left.right
        if isinstance(inner, ast.BinOp) and isinstance(inner.op, ast.Add | ast.Sub):
            # s * (1 + m) / d as s * (1 + m / d)
            late = ast.BinOp(inner.left, inner.op, ast.BinOp(inner.right, op, right))
            yield 1, "has its brackets elsewhere", ast.BinOp(left.left, left.op, late)
    if isinstance(op, ast.Pow) and isinstance(left, ast.Constant):
        yield 2, "subtracts 1", ast.BinOp(node, ast.Sub(), ast.Constant(1))
    yield from _moved_in(node)


def _calls(node: ast.Call, near: Neighbourhood) -> Iterator[Change]:
    yield from _moved_out(node)
    yield from _chains(node)
    if called_name(node) in ("clamp", "clip"):
        yield from _ends(node, near)
    if interpolates(node):
        for rule in "higher", "lower", "nearest":
            module = node.func.value if isinstance(node.func, ast.Attribute) else None
            name = RULES[isinstance(module, ast.Name) and module.id == "np"]
            given = [*node.keywords, ast.keyword(name, ast.Constant(rule))]
            does = f"takes a value that is there: `{called_name(node)}` alone interpolates"
            yield 4, does, ast.Call(node.func, node.args, given)
    if called_name(node) == "range" and len(node.args) > 1:
        start, end, *step = node.args
        more = ast.BinOp(end, ast.Add(), ast.Constant(1))
        fewer = ast.BinOp(end, ast.Sub(), ast.Constant(1))
        yield 2, "goes one round too far", ast.Call(node.func, [start, more, *step], [])
        yield 2, "stops one round too early", ast.Call(node.func, [start, fewer, *step], [])


def interpolates(node: ast.AST) -> bool:
    """Whether a call computes something between two values, where neither is asked for."""
    return (
        isinstance(node, ast.Call)
        and called_name(node) in BETWEEN
        and not {keyword.arg for keyword in node.keywords} & set(RULES)
    )


def _bound_early(node: ast.Lambda | ast.FunctionDef, of_rounds: Set[str]) -> Iterator[Change]:
    """Give a function that keeps what it reads of its round of a loop."""
    late = sorted(looked_up_late(node) & of_rounds)
    if late:
        names = " and ".join(f"`{name}`" for name in late)
        given = copy.deepcopy(node.args)
        (given.kwonlyargs if given.vararg else given.args).extend(map(ast.arg, late))
        defaults = [ast.Name(name, ast.Load()) for name in late]
        (given.kw_defaults if given.vararg else given.defaults).extend(defaults)
        new = copy.copy(node)
        new.args = given
        does = f"keeps {names} of its own round"
        yield 0, f"{does}: a function looks names up when it is called, after the loop", new


def looked_up_late(node: ast.Lambda | ast.FunctionDef) -> set[str]:
    """Return the names that a function finds outside of itself when it is called."""
    own = {argument.arg for argument in ast.walk(node.args) if isinstance(argument, ast.arg)}
    body = node.body if isinstance(node.body, list) else [node.body]
    read = {name for part in body for name in loaded(part)}
    return read - own - {name for part in body for name in stored(part)}


def _ends(node: ast.Call, near: Neighbourhood) -> Iterator[Change]:
    """Give a clamp at one end the other end of another clamp."""
    inner = [] if _on_method(node) else node.args[:1]
    given = node.args[len(inner) :]
    ends = {keyword.arg: keyword.value for keyword in node.keywords}
    for other in near.bounds if len(given) + len(ends) == 1 else ():
        for missing, there in (("max", "min"), ("min", "max")):
            known = ends.get(there) or (given[0] if given and there == "min" else None)
            if known is not None and ast.dump(known) != ast.dump(other):
                both = [known, other] if missing == "max" else [other, known]
                yield 3, "clamps at both ends", ast.Call(node.func, [*inner, *both], [])


def _chains(node: ast.Call) -> Iterator[Change]:
    """Give `w` for `w.mean().item()`: steps at the end of a chain left out."""
    inner: ast.expr = node
    steps = 0
    while isinstance(inner, ast.Call) and isinstance(inner.func, ast.Attribute):
        below = inner.func.value
        if isinstance(below, ast.Name) and below.id in MODULES:
            return
        steps += 1
        if steps > 1 or called_name(node) not in WRAPPERS:
            rest = ast.unparse(node)[len(ast.unparse(below)) :]
            yield 2 + steps, f"leaves out `{rest}`", below
        inner = below


def _compared(node: ast.Compare) -> Iterator[Change]:
    """Give `a & (b == c)` for `a & b == c`, which Python reads as `(a & b) == c`."""
    does = "reads as if brackets were missing: & and | go before comparisons"
    for rest, rebuilt in _last_of(node.left):
        yield 0, does, rebuilt(ast.Compare(rest, node.ops, node.comparators))


def _last_of(node: ast.expr) -> Iterator[tuple[ast.expr, Callable[[ast.expr], ast.expr]]]:
    """Give what stands to the right of each & or |, and what puts something else there."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, BITS):
        left, op = node.left, node.op
        yield node.right, lambda new: ast.BinOp(left, op, new)
        for rest, rebuilt in _last_of(node.right):
            yield rest, partial(_beside, left, op, rebuilt)


def _beside(
    left: ast.expr, op: ast.operator, rebuilt: Callable[[ast.expr], ast.expr], new: ast.expr
) -> ast.expr:
    return ast.BinOp(left, op, rebuilt(new))


def _on_method(call: ast.Call) -> ast.Attribute | None:
    """Return the function of `x.round()`, not of `torch.round(x)`."""
    func = call.func
    if not isinstance(func, ast.Attribute):
        return None
    module = isinstance(func.value, ast.Name) and func.value.id in MODULES
    return None if module else func


def _moved_in(node: ast.BinOp) -> Iterator[Change]:
    """Give `round(x / s + z)` for `round(x / s) + z`: the operator before the function."""
    call, op = node.left, node.op
    if not isinstance(call, ast.Call) or called_name(call) not in CROSSED:
        return
    if not isinstance(op, STEPS):
        return
    does = f"takes the step before `{called_name(call)}`"
    method = _on_method(call)
    if method is not None:
        inner = ast.BinOp(method.value, op, node.right)
        func = ast.Attribute(inner, method.attr, ast.Load())
        yield 3, does, ast.Call(func, call.args, call.keywords)
        return
    for k, argument in enumerate(call.args[:2]):
        inner = ast.BinOp(argument, op, node.right)
        yield 3, does, ast.Call(call.func, [*call.args[:k], inner, *call.args[k + 1 :]], [])


def _moved_out(call: ast.Call) -> Iterator[Change]:
    """Give `round(x / s) + z` for `round(x / s + z)`: the operator after the function."""
    if called_name(call) not in CROSSED:
        return
    does = f"takes the step after `{called_name(call)}`"
    method = _on_method(call)
    if method is not None:
        inner = method.value
        if isinstance(inner, ast.BinOp) and isinstance(inner.op, STEPS):
            func = ast.Attribute(inner.left, method.attr, ast.Load())
            outer = ast.Call(func, call.args, call.keywords)
            yield 3, does, ast.BinOp(outer, inner.op, inner.right)
        return
    for k, argument in enumerate(call.args[:2]):
        if isinstance(argument, ast.BinOp) and isinstance(argument.op, STEPS):
            rest = [*call.args[:k], argument.left, *call.args[k + 1 :]]
            outer = ast.Call(call.func, rest, call.keywords)
            yield 3, does, ast.BinOp(outer, argument.op, argument.right)
