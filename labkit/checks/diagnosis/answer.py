"""What the code of an answer itself tells: only where it is at hand, in the notebook.

Facts first (an argument that is never read, a `return` inside a loop, a variable of the notebook
in the place of an argument), then the one change that would make every call right.
"""

import ast
import builtins
import copy
import dis
import inspect
import linecache
import math
import time
import types
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch

from labkit.checks import syntax
from labkit.checks.calling import call_all
from labkit.checks.diagnosis.arguments import called
from labkit.checks.diagnosis.edits import Edit, edits
from labkit.checks.diagnosis.evidence import Evidence, Raised, same
from labkit.checks.exercise import Case
from labkit.checks.rules import Codes, Integer, Rule
from labkit.checks.values import input_size, shortened

MOST_EDITS = 600
LONGEST = 5.0
LONGEST_PLACE = 60
SLOW = 0.02
WAIT = 0.5
FAR_FETCHED = 4
SPACE = "<repair>"
NUMBERS = {Rule.mismatch, Codes.mismatch, Integer.mismatch}


@dataclass(frozen=True)
class Remark:
    """Something that the code shows: a key, words, and whether it is surely worth saying.

    A remark that is no cause is a question: what it asks about may be right.
    """

    key: str
    text: str
    sure: bool = False
    cause: bool = True


def remarks(function: Callable[..., Any], evidence: Evidence, wrong: list[int]) -> Iterator[Remark]:
    """Give what an answer's code tells, the surest first.

    Parameters
    ----------
    function : callable
        The answer.
    evidence : Evidence
        Its calls.
    wrong : list of int
        Those that are not accepted.
    """
    if not isinstance(function, types.FunctionType):
        return
    tree = _cell(function)
    definition = _definition(tree, function) if tree else None
    if definition is not None and _returns_in_loop(definition):
        yield Remark(
            "answer: return inside a loop",
            "A `return` stands inside your loop, so that the loop ends in its first round. Move it "
            "out, to the depth of the `for`.",
            True,
        )
    unread = list(_never_read(function))
    for name in _variables(function):
        instead = f" in the place of `{unread[0]}`, which it never reads" if unread else ""
        yield Remark(
            f"answer: reads {name}",
            f"Your code reads `{name}`, a variable of the notebook{instead}. It must work from its "
            "arguments alone: the check calls it with others.",
            True,
        )
    for name in unread:
        yield Remark(
            f"answer: never reads {name}",
            f"Your code never reads its argument `{name}`. What is it for?",
            cause=False,
        )
    if _keeps_state(function, evidence, wrong):
        yield Remark(
            "answer: keeps state",
            "Called again with the same inputs, your code gives another result: something is kept "
            "from call to call. Begin anew in each call.",
            True,
        )


def _cell(function: types.FunctionType) -> ast.Module | None:
    lines = linecache.getlines(function.__code__.co_filename)
    try:
        return syntax.parse("".join(lines)) if lines else None
    except (SyntaxError, ValueError):
        return None  # a cell with magics: what it says cannot be read here


def _definition(tree: ast.Module, function: types.FunctionType) -> ast.FunctionDef | None:
    """Return the definition of an answer in its cell."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == function.__name__:
            return node
    return None


def _returns_in_loop(function: ast.FunctionDef) -> bool:
    """Whether a loop surely ends in its first round."""
    loops = [node for node in ast.walk(function) if isinstance(node, ast.For | ast.While)]
    return any(isinstance(loop.body[-1], ast.Return) for loop in loops)


def _never_read(function: types.FunctionType) -> Iterator[str]:
    code = function.__code__
    read = set(code.co_cellvars)
    for step in dis.get_instructions(code):
        if "LOAD" in step.opname:
            read |= set(step.argval if isinstance(step.argval, tuple) else (step.argval,))
    yield from (name for name in code.co_varnames[: code.co_argcount] if name not in read)


def _variables(function: types.FunctionType) -> Iterator[str]:
    """Give the data of the notebook that a function reads: no functions, modules or constants."""
    for name in sorted(_globals_of(function.__code__)):
        value = function.__globals__.get(name)
        data = int | float | list | dict | torch.Tensor | torch.nn.Module | np.ndarray
        if isinstance(value, data) and not name.isupper() and not hasattr(builtins, name):
            yield name


def _globals_of(code: types.CodeType) -> set[str]:
    names = {s.argval for s in dis.get_instructions(code) if s.opname == "LOAD_GLOBAL"}
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            names |= _globals_of(inner)
    return names


def _keeps_state(function: types.FunctionType, evidence: Evidence, wrong: list[int]) -> bool:
    returned = [i for i in evidence.returned if i in wrong]
    if not returned:
        return False
    case = evidence.cases[returned[0]]
    again = call_all(function, [case, case], WAIT)
    return all(outcome.status == "returned" for outcome in again) and not (
        same(again[0].value, again[1].value) and same(again[0].value, evidence.got(returned[0]))
    )


def repair(function: Callable[..., Any], evidence: Evidence, wrong: list[int]) -> Remark | None:
    """Return the change of one place that makes every call of an answer right, if there is one."""
    if not isinstance(function, types.FunctionType) or not wrong:
        return None
    tree = _cell(function)
    if tree is None or _definition(tree, function) is None:
        return None
    calls = sorted(range(len(evidence.cases)), key=lambda i: (i not in wrong, _size(evidence, i)))
    best: list[tuple[int, Remark]] = []
    exact = {type(rule).mismatch for rule in evidence.exercise.rules} <= NUMBERS
    most = 99 if exact else FAR_FETCHED  # where many results are right, chance finds one of them

    def search() -> None:
        for edit, changed in islice(_changed(tree, function), MOST_EDITS):
            nearer = edit.rank < (best[-1][0] if best else most)
            if (
                nearer
                and all(_gives_right(changed, evidence, i) for i in calls)
                and not _is_the_whole_answer(edit, function, evidence)
            ):
                best.append((edit.rank, _remark(edit)))

    start = time.process_time()
    call_all(function, [evidence.cases[calls[0]]], WAIT)
    if time.process_time() - start < SLOW:
        call_all(search, [Case("all changes", ())], LONGEST)  # a change may make an endless loop
    return best[-1][1] if best else None


def _size(evidence: Evidence, i: int) -> tuple[int, int]:
    return input_size(evidence.cases[i].args), i


def _changed(
    tree: ast.Module, function: types.FunctionType
) -> Iterator[tuple[Edit, Callable[..., Any]]]:
    """Give every change of the functions of a cell, with the answer that comes of it."""
    for insert in False, True:
        for position, node in enumerate(tree.body):
            if isinstance(node, ast.FunctionDef):
                for edit in edits(node, insert):
                    body = [*tree.body[:position], edit.tree, *tree.body[position + 1 :]]
                    changed = _compiled(body, function)
                    if changed is not None:
                        yield edit, changed


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


def _is_the_whole_answer(edit: Edit, function: types.FunctionType, evidence: Evidence) -> bool:
    """Whether what is put in answers everything by itself: that mends no slip, it goes round it."""
    names = ", ".join(inspect.signature(function).parameters)
    try:
        alone = eval(f"lambda {names}: ({edit.after})", dict(function.__globals__))
    except SyntaxError:
        return False  # a statement
    shorter = len(edit.after) < len(ast.unparse(ast.Module(edit.tree.body, []))) / 2
    return shorter and all(_gives_right(alone, evidence, i) for i in range(len(evidence.cases)))


def _gives_right(changed: Callable[..., Any], evidence: Evidence, i: int) -> bool:
    given = called(lambda: changed(*copy.deepcopy(evidence.cases[i].args)))
    if isinstance(given, Raised):
        return False
    parts, wanted = evidence.parts(given), evidence.parts(evidence.expected[i])
    args = evidence.cases[i].args
    return len(parts) == len(wanted) and all(
        rule.mismatch("", value, want, args) is None
        for rule, value, want in zip(evidence.exercise.rules, parts, wanted, strict=True)
    )


def _remark(edit: Edit) -> Remark:
    where = f"Look at `{shortened(edit.before, LONGEST_PLACE)}`, in line {edit.line} of the cell."
    if len(edit.after) <= LONGEST_PLACE:
        text = f"{where} With `{edit.after}` there every call would be right: do you see why?"
    else:
        does = edit.does.removesuffix(" there")
        text = f"{where} Code that {does} there gets every call right: do you see why?"
    return Remark(f"repair: {edit.before} -> {edit.after}", text)
