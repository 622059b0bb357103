"""What may be missing around an expression: a step of one call, a sign, a one, an argument."""

import ast
import copy
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache

from labkit.checks import syntax
from labkit.checks.diagnosis.code.places import Place, places, put
from labkit.checks.diagnosis.code.slips import MODULES, Change, called_name

# What one step may be missing of a number, of a tensor, and of either.
OF_NUMBERS = ("round({e})", "min(0.0, {e})", "max(0.0, {e})", "math.floor({e})", "({e} or 1)")
OF_TENSORS = (
    *("torch.round({e})", "{e}.sum()", "{e}.to(torch.int64)", "{e}.double()", "{e}.flatten()"),
    *(
        "{e}.t()",
        "{e}[:, None]",
        "torch.floor({e})",
        "torch.nan_to_num({e}, posinf=torch.inf)",
    ),
    *("torch.where({e} == 0, 1, {e})",),
)
OF_BOTH = (
    *("abs({e})", "-{e}", "{e} + 1", "{e} - 1", "{e} / 100", "2 * {e}", "{e} / 2", "1 - {e}"),
    *("1 / {e}",),
)
MISSING = {
    "number": (*OF_BOTH, *OF_NUMBERS),
    "tensor": ("{e}.clone()", *OF_BOTH, *OF_TENSORS),  # abs copies, too, and says less
    "other": (),
    "": (*OF_BOTH, *OF_NUMBERS, *OF_TENSORS),
}
HOLE = "expression_"
DOES = {"torch.where({e} == 0, 1, {e})": "has 1 wherever this is 0"}
TAKEN = re.compile(r"(?:^leaves out `(\w+)`|where `(\w+)` belongs)$")
POWERS_OF_TWO = ("2 ** {e}", "2 ** {e} - 1", "2 ** ({e} - 1)", "2 ** ({e} - 1) - 1")
WITH_COUNT = ("{e}[:{p}]", "{e} & 2 ** {p} - 1")
WITH_ARGUMENT = ("{e} - {p}", "{e} + {p}", "{e} * {p}", "{e} / {p}")


@dataclass(frozen=True)
class Words:
    """What code may be missing that another answer to the same exercise has.

    Attributes
    ----------
    numbers : tuple
        Numbers that stand in the reference.
    unread : tuple of str
        Arguments that the code never reads, and that are numbers.
    scalars : tuple of str
        Its other arguments that are numbers.
    counts : tuple of str
        Those of them that are small integers in every call.
    kinds : mapping
        For expressions, by where they stand: "tensor", "number" or "other".
    rounding : Call, optional
        Where it rounds, if that is one place, and as the other answer does.
    same_rounding : bool
        Whether it rounds the same there, word for word.
    nudges : frozenset of str
        The nudges that the other answer has.
    """

    numbers: tuple[int | float, ...] = ()
    unread: tuple[str, ...] = ()
    scalars: tuple[str, ...] = ()
    counts: tuple[str, ...] = ()
    kinds: Mapping[tuple[int, int, int, int], str] = field(default_factory=dict)
    rounding: ast.Call | None = None
    same_rounding: bool = False
    nudges: frozenset[str] = frozenset()

    def kind(self, node: ast.expr) -> str:
        """Return what an expression has been; "" if it is not known."""
        where = node.lineno, node.col_offset, node.end_lineno or 0, node.end_col_offset or 0
        return self.kinds.get(where, "")

    def spoils_rounding(self, place: ast.AST, does: str) -> bool:
        """Whether a change would take away, or replace, a rounding that must be there."""
        if self.rounding is None:
            return False
        if self.same_rounding and any(node is place for node in ast.walk(self.rounding)):
            return True
        taken = TAKEN.search(does)
        return taken is not None and called_name(self.rounding) in taken.groups()


def insertable(place: Place) -> bool:
    """Whether a place holds an expression around which something may be missing."""
    parent, field, _, node = place
    if not isinstance(node, ast.Name | ast.Call | ast.BinOp | ast.Subscript | ast.Attribute):
        return False
    if field == "func" or not isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
        return False
    module = isinstance(node, ast.Name) and node.id in MODULES
    return not (isinstance(parent, ast.Attribute) and module)


def missing(place: Place, words: Words) -> Iterator[Change]:
    """Give what may be missing around an expression, as its slips are given.

    Parameters
    ----------
    place : Place
        Where it stands.
    words : Words
        What the code may be missing.
    """
    node = place[3]
    kind = words.kind(node)
    if not insertable(place) or kind == "other":
        return
    if isinstance(node, ast.Call):
        given = {keyword.arg for keyword in node.keywords}
        if "dim" in given and "keepdim" not in given:
            keep = ast.keyword("keepdim", ast.Constant(True))
            new = ast.Call(node.func, node.args, [*node.keywords, keep])
            yield _placed(4, "keeps the dimension", new, node)
    # A name is changed sooner than what is made of it.
    rank = 6 - isinstance(node, ast.Name)
    for pattern in MISSING[kind]:
        yield _made(rank, pattern, node)
    if isinstance(node, ast.Name) and node.id in words.counts:
        for pattern in POWERS_OF_TWO:
            yield _made(4, pattern, node)
    for name in (*words.unread, *words.scalars):
        if name not in {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}:
            for pattern in WITH_ARGUMENT:
                yield _made(rank - 2 * (name in words.unread), pattern.replace("{p}", name), node)
    for name in words.counts if kind != "number" else ():
        for pattern in WITH_COUNT:
            yield _made(rank - 2 * (name in words.unread), pattern.replace("{p}", name), node)


def _made(rank: int, pattern: str, node: ast.expr) -> Change:
    tree = copy.deepcopy(_parsed(pattern))
    for place in list(places(tree)):
        if isinstance(place[3], ast.Name) and place[3].id == HOLE:
            put(place, node)
    does = DOES.get(pattern, f"has `{pattern.format(e='...')}` there")
    return _placed(rank, does, tree.body, node)


@cache
def _parsed(pattern: str) -> ast.Expression:
    tree: ast.Expression = syntax.parse(pattern.format(e=HOLE), mode="eval")
    return tree


def _placed(rank: int, does: str, new: ast.expr, node: ast.AST) -> Change:
    ast.copy_location(new, node)
    return rank, does, ast.fix_missing_locations(new)
