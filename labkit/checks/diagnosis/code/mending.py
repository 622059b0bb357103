"""Which change of an answer's code would make its calls right.

One change that mends every call says where the slip is; two of them, where each mends some calls
and spoils none, are two slips. A change that mends most of the wrong calls is still the cause of
those, and the card says which calls it leaves.
"""

import ast
import copy
import inspect
import math
import re
import time
import types
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np

from labkit.checks import syntax
from labkit.checks.calling import call_all
from labkit.checks.diagnosis.code.answer import Remark, cell_of, definition_in
from labkit.checks.diagnosis.code.edits import Edit, edits
from labkit.checks.diagnosis.evidence import Evidence, Raised
from labkit.checks.diagnosis.explanations.arguments import called, copied
from labkit.checks.exercise import Case
from labkit.checks.rules import Codes, Rule
from labkit.checks.values import Plain, as_array, input_size, shortened

MOST_EDITS = 600
SECOND_EDITS = 400
FIRST_STEPS = 4
LONGEST = 5.0
LONGEST_PLACE = 60
SLOW = 0.02
WAIT = 0.5
FAR_FETCHED = 4
FIRST_LOOK = 3
SEVERAL = 2
SEVERAL_OF = 3  # a third of them
MOST_LABELS = 2
SPACE = "<repair>"
# What mends some calls by chance sooner than by sense.
FAR = re.compile(r"^has `(?:min\(|max\(|\.\.\. / 100|2 \* \.\.\.|\.\.\. / 2)")


@dataclass(frozen=True)
class _Step:
    """A change that mends some of the wrong calls and spoils none of the right ones."""

    edit: Edit
    mended: tuple[int, ...]

    @property
    def order(self) -> tuple[int, int]:
        """Those that mend most come first, then those that are least far-fetched."""
        return -len(self.mended), self.edit.rank


@dataclass
class _Search:
    """The search for such changes, in the cell of one answer."""

    function: types.FunctionType
    evidence: Evidence
    wrong: list[int]
    tree: ast.Module
    all_or_none: bool
    whole: list[Edit] = field(default_factory=list)
    pairs: list[tuple[Edit, Edit]] = field(default_factory=list)
    steps: list[_Step] = field(default_factory=list)

    def run(self) -> None:
        """Try every change of one place, then two changes after one another."""
        for edit, changed in islice(self._changed(self.tree), MOST_EDITS):
            mended = self._mended(changed)
            if len(mended) == len(self.wrong):
                if edit.rank < self._most and not self._answers_alone(edit):
                    self.whole.append(edit)
            elif mended and not self.all_or_none and not FAR.search(edit.does):
                self.steps.append(_Step(_kept(edit), mended))
        self.steps.sort(key=lambda step: step.order)
        for step in self.steps[:FIRST_STEPS] if self.evidence.exact and not self.whole else []:
            tree = _with(self.tree, step.edit.tree)
            left = [i for i in self.wrong if i not in step.mended]
            for edit, changed in islice(self._changed(tree), SECOND_EDITS // FIRST_STEPS):
                if _apart(step.edit, edit) and all(
                    self._right(changed, i) for i in (*left, *self._calls)
                ):
                    self.pairs.append((step.edit, _kept(edit)))
                    return

    def remark(self) -> Remark | None:
        """Return what is to be said."""
        if self.whole:
            return _remark(min(self.whole, key=lambda edit: edit.rank))
        if self.pairs:
            return _two(*self.pairs[0])
        best = next((step for step in self.steps if self._tells(step)), None)
        return self._partly(best) if best else None

    @cached_property
    def _calls(self) -> list[int]:
        """All calls, those that go wrong first and the small ones first among them."""
        size = [input_size(case.args) for case in self.evidence.cases]
        return sorted(range(len(size)), key=lambda i: (i not in self.wrong, size[i], i))

    @property
    def _most(self) -> int:
        """How far-fetched a change may be."""
        return 99 if self.evidence.exact else FAR_FETCHED

    def _mended(self, changed: Callable[..., Any]) -> tuple[int, ...]:
        """Return which wrong calls a change makes right; none if it spoils a right one."""
        mended: list[int] = []
        for k, i in enumerate(self._calls):
            right = self._right(changed, i)
            if i not in self.wrong and not right:
                return ()
            if i in self.wrong and right:
                mended.append(i)
            if not mended and k + 1 >= min(FIRST_LOOK, len(self.wrong)):
                return ()
        return tuple(mended)

    def _tells(self, step: _Step) -> bool:
        """Whether what a change mends is no chance: a good part of the wrong calls, and several."""
        return (
            self.evidence.exact
            and len(step.mended) >= max(SEVERAL, len(self.wrong) / SEVERAL_OF)
            and not self._answers_alone(step.edit)
            and not any(map(self._answers, _calls_in(step.edit.after)))
        )

    def _right(self, changed: Callable[..., Any], i: int) -> bool:
        return _gives_right(changed, self.evidence, i)

    def _changed(self, tree: ast.Module) -> Iterator[tuple[Edit, Callable[..., Any]]]:
        """Give every change of the functions of a cell, with the answer that comes of it."""
        for insert in False, True:
            for position, node in enumerate(tree.body):
                if isinstance(node, ast.FunctionDef):
                    for edit in edits(node, insert):
                        body = [*tree.body[:position], edit.tree, *tree.body[position + 1 :]]
                        changed = _compiled(body, self.function)
                        if changed is not None:
                            yield edit, changed

    def _answers_alone(self, edit: Edit) -> bool:
        """Whether what is put in is the whole answer: that mends no slip, it goes round it."""
        shorter = len(edit.after) < len(ast.unparse(ast.Module(edit.tree.body, []))) / 2
        return shorter and self._answers(edit.after)

    def _answers(self, source: str) -> bool:
        """Whether an expression of the arguments gives the right result of every call."""
        names = ", ".join(inspect.signature(self.function).parameters)
        try:
            alone = eval(f"lambda {names}: ({source})", dict(self.function.__globals__))
        except SyntaxError:
            return False  # a statement
        return all(self._right(alone, i) for i in range(len(self.evidence.cases)))

    def _partly(self, step: _Step) -> Remark:
        left = [i for i in self.wrong if i not in step.mended]
        labels = list(dict.fromkeys(self.evidence.cases[i].label for i in left))
        but = f"all but {'; '.join(labels)}" if len(labels) <= MOST_LABELS else "most"
        text = (
            f"{_where(step.edit)} {_instead(step.edit)} {len(step.mended)} of the "
            f"{len(self.wrong)} calls that go wrong would be right ({but})."
        )
        return Remark(f"repair: {step.edit.before} -> {step.edit.after} in part", text)


def repair(
    function: Callable[..., Any], evidence: Evidence, wrong: list[int], all_or_none: bool = False
) -> Remark | None:
    """Return the change of one place, or of two, that mends the calls of an answer.

    Parameters
    ----------
    function : callable
        The answer.
    evidence : Evidence
        Its calls.
    wrong : list of int
        Those that are not accepted.
    all_or_none : bool
        Ask for one change that mends every call.
    """
    if not isinstance(function, types.FunctionType) or not wrong:
        return None
    tree = cell_of(function)
    if tree is None or definition_in(tree, function) is None:
        return None
    search = _Search(function, evidence, wrong, tree, all_or_none)
    smallest = min(wrong, key=lambda i: input_size(evidence.cases[i].args))
    start = time.process_time()
    call_all(function, [evidence.cases[smallest]], WAIT)
    if time.process_time() - start < SLOW:
        # A change may make an endless loop.
        call_all(search.run, [Case("all changes", ())], LONGEST)
    return search.remark()


def _calls_in(source: str) -> list[str]:
    """Return the calls of functions in a piece of code."""
    try:
        tree = syntax.parse(source)
    except SyntaxError:
        return []
    return [ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Call)]


def _kept(edit: Edit) -> Edit:
    """Return a change whose code stays as it is when the next one is asked for."""
    return Edit(edit.rank, edit.does, edit.before, edit.after, edit.line, copy.deepcopy(edit.tree))


def _apart(first: Edit, second: Edit) -> bool:
    """Whether two changes are in two places, and not one of them inside of the other."""
    inside = second.before in first.after or first.after in second.before
    return not inside and first.before not in second.after


def _with(tree: ast.Module, changed: ast.FunctionDef) -> ast.Module:
    body = [
        changed if isinstance(node, ast.FunctionDef) and node.name == changed.name else node
        for node in tree.body
    ]
    return ast.Module(body, [])


def _compiled(body: list[ast.stmt], function: types.FunctionType) -> Callable[..., Any] | None:
    """Define what a cell defines once more, in a copy of the notebook's names."""
    kept = ast.FunctionDef | ast.ClassDef | ast.Import | ast.ImportFrom
    space = {"math": math, **function.__globals__}
    module = ast.Module([node for node in body if isinstance(node, kept)], [])
    try:
        with warnings.catch_warnings(action="ignore"):
            exec(compile(module, SPACE, "exec"), space)
    except Exception:
        return None
    found = space.get(function.__name__)
    return found if callable(found) else None


def _gives_right(changed: Callable[..., Any], evidence: Evidence, i: int) -> bool:
    given = called(lambda: changed(*copied(evidence.cases[i].args)))
    if isinstance(given, Raised):
        return False
    parts, wanted = evidence.parts(given), evidence.parts(evidence.expected[i])
    args = evidence.cases[i].args
    if len(parts) != len(wanted):
        return False
    compared = list(zip(evidence.exercise.rules, parts, wanted, strict=True))
    if any(_far_off(rule, value, want) for rule, value, want in compared):
        return False
    return all(rule.mismatch("", value, want, args) is None for rule, value, want in compared)


def _far_off(rule: Rule, value: Plain, want: Plain) -> bool:
    """Whether codes are off by more than a neighbour: seen without asking the rule."""
    a, b = as_array(value), as_array(want)
    if not isinstance(rule, Codes) or a is None or b is None or a.shape != b.shape:
        return False
    return bool((np.abs(a.astype(np.float64) - b) > 1).any())


def _where(edit: Edit) -> str:
    return f"Look at `{shortened(edit.before, LONGEST_PLACE)}`, in line {edit.line} of the cell."


def _instead(edit: Edit) -> str:
    if edit.after == "pass":
        return "Without it"
    if len(edit.after) <= LONGEST_PLACE:
        return f"With `{edit.after}` there"
    return f"With code there that {edit.does.removesuffix(' there')},"


def _remark(edit: Edit) -> Remark:
    text = f"{_where(edit)} {_instead(edit)} every call would be right: do you see why?"
    return Remark(f"repair: {edit.before} -> {edit.after}", text)


def _two(first: Edit, second: Edit) -> Remark:
    one, other = sorted((first, second), key=lambda edit: edit.line)
    places = [
        f"`{shortened(e.before, LONGEST_PLACE)}` in line {e.line} of the cell "
        f"(try `{shortened(e.after, LONGEST_PLACE)}`)"
        for e in (one, other)
    ]
    text = f"Two places: {places[0]}, and {places[1]}. With both changes every call would be right."
    key = f"repair: {one.before} -> {one.after} and {other.before} -> {other.after}"
    return Remark(key, text)
