"""Small changes of a piece of code: the slips of the pen that people make in formulas.

Used in both directions. A change of the *reference* that gives the results of an answer says what
the answer does; a change of the *answer* that makes every call right says where its slip is.
"""

import ast
import copy
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from labkit.checks.diagnosis.code.harmless import (
    allocates,
    exponents,
    grows_what_it_reads,
    is_power,
    may_explode,
    narrow,
)
from labkit.checks.diagnosis.code.insertions import Words, missing
from labkit.checks.diagnosis.code.nudges import nudge
from labkit.checks.diagnosis.code.places import (
    Place,
    around,
    holding,
    is_changed,
    places,
    put,
)
from labkit.checks.diagnosis.code.rarer import neighbourhood, rarer
from labkit.checks.diagnosis.code.slips import Change, changes
from labkit.checks.diagnosis.code.statements import exchanged, parameters

MOST_NAMES = 4
MOST_NAMED = 8
MOST_ALIKE = 4
QUOTED = re.compile(r"`[^`]*`")


@dataclass(eq=False)
class Edit:
    """A change in one place, or the same change in several.

    Attributes
    ----------
    rank : int
        How far-fetched it is; the smallest one that explains wins.
    does : str
        What code does that has the changed form, as in "it ... ".
    tree : ast.FunctionDef
        The code: changed between `put` and `take_back`.
    spots : tuple
        Each place, and what comes there.
    """

    rank: int
    does: str
    tree: ast.FunctionDef
    spots: tuple[tuple[Place, ast.expr | ast.stmt], ...]

    def put(self) -> None:
        """Change the code."""
        for place, new in self.spots:
            put(place, new)

    def take_back(self) -> None:
        """Leave the code as it was."""
        for place, _ in reversed(self.spots):
            put(place, place[3])

    @property
    def line(self) -> int:
        """Where it is, the first place of several."""
        return self.spots[0][0][3].lineno

    @property
    def moves(self) -> bool:
        """Whether it exchanges two statements."""
        return len(self.spots) == 2 and self.spots[0][1] is self.spots[1][0][3]

    def is_far(self, nudges: frozenset[str]) -> bool:
        """Whether it is a nudge that is none of those."""
        given = {nudge(place[3], new) for place, new in self.spots} - {""}
        return bool(given - nudges)

    @property
    def before(self) -> str:
        """The place as source, with what stands around a lone name or number."""
        return self._texts[0]

    @property
    def after(self) -> str:
        """The same as it is when changed."""
        return self._texts[1]

    @cached_property
    def _texts(self) -> tuple[str, str]:
        return self.texts()

    def texts(self, narrow: bool = False) -> tuple[str, str]:
        """Return both as source; `narrow` leaves out what stands around."""
        place, new = self.spots[0]
        old = place[3]
        alone = ast.unparse(old), ast.unparse(new)
        if narrow and isinstance(old, ast.Attribute) and isinstance(new, ast.Attribute):
            return f".{old.attr}", f".{new.attr}"
        if narrow or len(self.spots) > 1:
            return alone
        with holding(place, place[3]):
            before = around(place)
        with holding(place, new):
            return before or alone[0], around(place) or alone[1]


def edits(function: ast.FunctionDef) -> Iterator[Edit]:
    """Give every change of one place of a function, and of all like places together.

    Each is made until the next one is asked for.

    Parameters
    ----------
    function : ast.FunctionDef
        The code.
    """
    copied = copy.deepcopy(function)
    names = parameters(function)
    names += [name for name in _assigned(function) if name not in names][:MOST_NAMES]
    everywhere: dict[tuple[str, str], list[_Found]] = {}
    for found in _sensible(copied, lambda p: changes(p[3], names)):
        same = ast.unparse(found.place[3]), ast.unparse(found.new)
        everywhere.setdefault(same, []).append(found)
        yield from _made(_together(copied, [found]))
    for alike in everywhere.values():
        if len(alike) > 1:  # the same slip wherever the formula has it
            yield from _made(_together(copied, alike))


def _made(edit: Edit) -> Iterator[Edit]:
    edit.put()
    if not grows_what_it_reads(edit.tree):
        yield edit
    edit.take_back()


class _Found(NamedTuple):
    """A slip in a place, the how manieth of those that the place invites."""

    place: Place
    number: int
    rank: int
    does: str
    new: ast.expr | ast.stmt


def _sensible(
    function: ast.FunctionDef, slips: Callable[[Place], Iterator[Change]]
) -> Iterator[_Found]:
    """Give every slip in every place that does not fill the memory."""
    fills, above = allocates(function), exponents(function)
    for place in list(places(function)):
        for number, (rank, does, new) in enumerate(slips(place)):
            if is_changed(place) and not isinstance(new, ast.Name):
                continue  # only a copy would get the new values
            tower = id(place[3]) in above and any(map(is_power, ast.walk(new)))
            if not (tower or (fills and may_explode(place, new))):
                yield _Found(place, number, rank, does, new)


def possible(function: ast.FunctionDef, words: Words) -> Iterator[Edit]:
    """Give every change of what is there that may mend an answer.

    Parameters
    ----------
    function : ast.FunctionDef
        The code. It stays as it is until one of the changes is put.
    words : Words
        What is known of its expressions, and of the numbers of right code.
    """
    names = parameters(function)
    names += [name for name in named(function) if name not in names][:MOST_NAMED]
    known = {n.id: words.kind(n) for n in ast.walk(function) if isinstance(n, ast.Name)}
    near, fixed = neighbourhood(function), narrow(function)

    def slips(place: Place) -> Iterator[Change]:
        node, alike = place[3], names
        if isinstance(node, ast.Name):
            if id(node) in fixed:
                return
            kind = words.kind(node)
            alike = [n for n in names if n == node.id or known.get(n, "") in ("", kind) or not kind]
            if is_power(place[0]):
                alike = [n for n in alike if n == node.id or n in words.counts]
        yield from changes(node, alike)
        if id(node) not in fixed:
            yield from rarer(node, words.numbers, near)

    for rank, does, spots in exchanged(function):
        yield Edit(rank, does, function, spots)
    yield from _all_of(function, slips)


def insertions(function: ast.FunctionDef, words: Words) -> Iterator[Edit]:
    """Give every change that puts in what an answer may be missing, as `possible` does."""
    fixed = narrow(function)

    def slips(place: Place) -> Iterator[Change]:
        if id(place[3]) not in fixed and not is_power(place[0]):
            yield from missing(place, words)

    yield from _all_of(function, slips)


def _all_of(
    function: ast.FunctionDef, slips: Callable[[Place], Iterator[Change]]
) -> Iterator[Edit]:
    """Give changes of one place, and of up to `MOST_ALIKE` places that have the like of it."""
    alike: dict[tuple[str, int], list[_Found]] = {}
    for found in _sensible(function, slips):
        alike.setdefault((_shape(found.place), found.number), []).append(found)
        yield _together(function, [found])
    for several in alike.values():
        same = len({(found.rank, QUOTED.sub("", found.does)) for found in several}) == 1
        if same and 1 < len(several) <= MOST_ALIKE:
            yield _together(function, several)


def _together(function: ast.FunctionDef, alike: list[_Found]) -> Edit:
    """Return the same slip in all places that have the like of it."""
    spots = tuple((found.place, found.new) for found in alike)
    return Edit(alike[0].rank, alike[0].does, function, spots)


def _shape(place: Place) -> str:
    """Write an expression without its names; for a lone name or number what it stands in."""
    parent, field, index, node = place
    if isinstance(node, ast.stmt):
        return ""
    lone = isinstance(node, ast.Name | ast.Constant) and isinstance(parent, ast.expr)
    text = ast.unparse(parent if lone else node)
    return f"{field if lone else ''} {index} {re.sub(r'[A-Za-z_][A-Za-z_0-9]*', '_', text)}"


def _assigned(function: ast.FunctionDef) -> list[str]:
    """Return the names that a function gives to what it computes, each alone on its left."""
    names = [node.targets[0] for node in ast.walk(function) if isinstance(node, ast.Assign)]
    return list(dict.fromkeys(name.id for name in names if isinstance(name, ast.Name)))


def named(function: ast.FunctionDef) -> list[str]:
    """Return all names that a function gives a value, from above to below."""
    stored = [
        node
        for node in ast.walk(function)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    ]
    stored.sort(key=lambda node: (node.lineno, node.col_offset))
    return list(dict.fromkeys(node.id for node in stored))
