"""Small changes of a piece of code: the slips of the pen that people make in formulas.

Used in both directions. A change of the *reference* that gives the results of an answer says what
the answer does; a change of the *answer* that makes every call right says where its slip is.
"""

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass

from labkit.checks import syntax
from labkit.checks.diagnosis.code.slips import LONGEST, Change, changes

MODULES = {"torch", "math", "np", "F", "nn"}
# Functions that take as much memory as a number in their arguments says.
ALLOCATING = {"bincount", "zeros", "ones", "empty", "full", "arange", "eye", "linspace"}
MOST_NAMES = 4
POWERS = (ast.Pow, ast.LShift)
SHRINKING = (ast.RShift, ast.FloorDiv, ast.Mod, ast.BitAnd)
MISSING = (
    *("abs({e})", "-{e}", "{e} + 1", "{e} - 1", "torch.round({e})", "round({e})", "{e}.sum()"),
    *("{e}.to(torch.int64)", "{e}.double()", "{e}.flatten()", "{e}.t()", "{e}[:, None]"),
    *("{e}.clone()", "min(0.0, {e})", "max(0.0, {e})", "math.floor({e})", "torch.floor({e})"),
    *("{e} / 100", "2 * {e}", "{e} / 2"),
)


@dataclass(frozen=True)
class Edit:
    """A change in one place.

    Attributes
    ----------
    rank : int
        How far-fetched it is; the smallest one that explains wins.
    does : str
        What code does that has the changed form, as in "it ... ".
    before, after : str
        The place, as source.
    line : int
        Where.
    tree : ast.FunctionDef
        The changed code, until the next one is asked for.
    """

    rank: int
    does: str
    before: str
    after: str
    line: int
    tree: ast.FunctionDef


def edits(function: ast.FunctionDef, insert: bool = False) -> Iterator[Edit]:
    """Give every change of one place of a function, and of all like places together.

    Parameters
    ----------
    function : ast.FunctionDef
        The code.
    insert : bool
        Put in what may be missing, instead of changing what is there.
    """
    parameters = [a.arg for a in (*function.args.posonlyargs, *function.args.args)]
    parameters += [name for name in _made(function) if name not in parameters][:MOST_NAMES]
    copied = copy.deepcopy(function)
    allocates = any(_name(node) in ALLOCATING for node in ast.walk(copied))
    everywhere: dict[tuple[str, str], list[tuple[_Place, ast.expr | ast.stmt, int, str]]] = {}
    for place in list(_places(copied)):
        found = changes(place[3], parameters)
        for rank, does, new in _insertions(place) if insert else found:
            if allocates and _may_explode(place, new):
                continue
            before, after = ast.unparse(place[3]), ast.unparse(new)
            everywhere.setdefault((before, after), []).append((place, new, rank, does))
            wider = _around(place) or before
            _put(place, new)
            changed = _around(place) or after
            yield Edit(rank, does, wider, changed, place[3].lineno, copied)
            _put(place, place[3])
    for (before, after), alike in everywhere.items():
        if len(alike) > 1:  # the same slip wherever the formula has it
            for place, new, _, _ in alike:
                _put(place, new)
            place, _, rank, does = alike[0]
            yield Edit(rank, does, before, after, place[3].lineno, copied)
            for place, _, _, _ in reversed(alike):
                _put(place, place[3])


def _made(function: ast.FunctionDef) -> list[str]:
    """Return the names that a function gives to what it computes."""
    names = [node.targets[0] for node in ast.walk(function) if isinstance(node, ast.Assign)]
    return list(dict.fromkeys(name.id for name in names if isinstance(name, ast.Name)))


def _name(node: ast.AST) -> str:
    called = node.func if isinstance(node, ast.Call) else None
    return getattr(called, "attr", getattr(called, "id", ""))


def _may_explode(place: "_Place", new: ast.AST) -> bool:
    """Whether a change may make a number so large that as many items fill the memory.

    That is so where a power gets other parts, and where what makes a number small is left out.
    """
    parent, _, _, node = place
    if isinstance(parent, ast.BinOp) and isinstance(parent.op, POWERS):
        return True
    outer = isinstance(node, ast.BinOp) and isinstance(node.op, SHRINKING)
    kept = isinstance(new, ast.BinOp) and isinstance(new.op, SHRINKING)
    return outer and not kept


_Place = tuple[ast.AST, str, int | None, ast.expr | ast.stmt]


def _places(tree: ast.AST) -> Iterator[_Place]:
    for parent in ast.walk(tree):
        for field, value in ast.iter_fields(parent):
            if field in ("annotation", "returns", "decorator_list", "args") and isinstance(
                parent, ast.FunctionDef | ast.arg
            ):
                continue
            if isinstance(value, ast.expr):
                yield parent, field, None, value
            elif isinstance(value, list):
                for index, item in enumerate(value):
                    if isinstance(item, ast.expr | ast.stmt):
                        yield parent, field, index, item


def _around(place: _Place) -> str:
    """Write what stands around a lone number or name, which says more than it does alone."""
    parent, field, index, node = place
    if not isinstance(node, ast.Constant | ast.Name | ast.Attribute):
        return ""
    if isinstance(parent, ast.keyword):
        return ast.unparse(parent)
    if not isinstance(parent, ast.expr):
        return ""
    whole = ast.unparse(parent)
    if len(whole) > LONGEST and isinstance(parent, ast.Call) and field == "args":
        now = ast.unparse(parent.args[index or 0])
        return f"{ast.unparse(parent.func)}({'..., ' if index else ''}{now})"
    return whole if len(whole) <= LONGEST else ""


def _put(place: _Place, node: ast.AST) -> None:
    parent, field, index, _ = place
    if index is None:
        setattr(parent, field, node)
    else:
        getattr(parent, field)[index] = node


def _insertions(place: _Place) -> Iterator[Change]:
    """Give what may be missing around an expression: a step of one call, a sign, a one."""
    parent, field, _, node = place
    if not isinstance(node, ast.Name | ast.Call | ast.BinOp | ast.Subscript | ast.Attribute):
        return
    if field == "func" or not isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
        return
    if isinstance(parent, ast.Attribute) and isinstance(node, ast.Name) and node.id in MODULES:
        return
    text = ast.unparse(node)
    if isinstance(node, ast.Call) and "keepdim" not in text and "dim" in text:
        keep = ast.keyword("keepdim", ast.Constant(True))
        yield _placed(
            4, "keeps the dimension", ast.Call(node.func, node.args, [*node.keywords, keep]), node
        )
    for pattern in MISSING if _stands_alone(text) else ():
        new = syntax.parse(pattern.format(e=f"({text})"), mode="eval").body
        # A name is changed sooner than what is made of it.
        rank = 6 - isinstance(node, ast.Name)
        yield _placed(rank, f"has `{pattern.format(e='...')}` there", new, node)


def _stands_alone(text: str) -> bool:
    try:
        syntax.parse(f"({text})", mode="eval")
    except SyntaxError:
        return False
    return True


def _placed(rank: int, does: str, new: ast.expr, node: ast.AST) -> Change:
    ast.copy_location(new, node)
    return rank, does, ast.fix_missing_locations(new)
