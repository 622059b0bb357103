"""What the code of an answer itself tells: only where it is at hand, in the notebook.

An argument that is never read, a `return` inside a loop, a variable of the notebook in the place
of an argument. Which change of the code would mend it is the subject of
`labkit.checks.diagnosis.code.mending`.
"""

import ast
import builtins
import dis
import linecache
import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from labkit.checks import syntax
from labkit.checks.calling import call_all
from labkit.checks.diagnosis.agreement import same
from labkit.checks.diagnosis.code.remark import Remark
from labkit.checks.diagnosis.code.signs import signs
from labkit.checks.diagnosis.evidence import Evidence
from labkit.checks.exercise import Case
from labkit.checks.values import enumerated

WAIT = 0.5


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
    definition = code_of(function)
    if definition is not None and ends_in_first_round(definition):
        yield Remark(
            "answer: return inside a loop",
            "A `return` stands inside your loop, so that the loop ends in its first round. Move it "
            "out, to the depth of the `for`.",
            True,
        )
    for key, words, sure in signs(definition) if definition is not None else ():
        yield Remark(f"answer: {key}", words, sure)
    unread = list(never_read(function))
    for name in _variables(function):
        instead = f" in the place of `{unread[0]}`, which it never reads" if unread else ""
        yield Remark(
            f"answer: reads {name}",
            f"Your code reads `{name}`, a variable of the notebook{instead}. It must work from its "
            "arguments alone: the check calls it with others.",
            True,
        )
    for name, read in _helpers(function):
        listed = enumerated([f"`{variable}`" for variable in read])
        yield Remark(
            f"answer: {name} reads {', '.join(read)}",
            f"Your code calls `{name}`, which reads {listed} of the notebook. The check calls your "
            "answer with other data: compute from its arguments alone.",
        )
    if unread:
        names = [f"`{name}`" for name in unread]
        listed = enumerated(names)
        text = (
            f"Your code never reads its argument {listed}. What is it for?"
            if len(names) == 1
            else f"Your code never reads its arguments {listed}. What are they for?"
        )
        yield Remark(f"answer: never reads {', '.join(unread)}", text, cause=False)
    varying = None if evidence.budget.over(now=True) else _varying(function, evidence, wrong)
    if varying is not None and _is_random(function, varying):
        yield Remark(
            "answer: random",
            "Called again with the same inputs, your code gives another result: something in it is "
            "drawn at random. A new layer draws its weights, and a bias as well (bias=False leaves "
            "that out): give it all the numbers that it needs.",
            True,
        )
    elif varying is not None:
        yield Remark(
            "answer: keeps state",
            "Called again with the same inputs, your code gives another result: something is kept "
            "from call to call. Begin anew in each call.",
            True,
        )


def code_of(function: Callable[..., Any] | None) -> ast.FunctionDef | None:
    """Return the code of an answer, if it can be read."""
    if not isinstance(function, types.FunctionType):
        return None
    tree = cell_of(function)
    return definition_in(tree, function) if tree else None


def cell_of(function: types.FunctionType) -> ast.Module | None:
    """Return the syntax tree of the cell that an answer stands in, if it can be read."""
    lines = linecache.getlines(function.__code__.co_filename)
    try:
        return syntax.parse("".join(lines)) if lines else None
    except (SyntaxError, ValueError):
        return None  # a cell with magics: what it says cannot be read here


def definition_in(tree: ast.Module, function: types.FunctionType) -> ast.FunctionDef | None:
    """Return the definition of an answer in its cell."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == function.__name__:
            return node
    return None


def ends_in_first_round(function: ast.FunctionDef) -> bool:
    """Whether a loop of a function surely ends in its first round."""
    loops = [node for node in ast.walk(function) if isinstance(node, ast.For | ast.While)]
    return any(_returns(loop.body) for loop in loops)


def _returns(body: list[ast.stmt]) -> bool:
    """Whether nothing goes on after these statements."""
    last = body[-1]
    if isinstance(last, ast.If):
        return bool(last.orelse) and _returns(last.body) and _returns(last.orelse)
    return isinstance(last, ast.Return)


def never_read(function: types.FunctionType) -> Iterator[str]:
    """Give the arguments of a function that its code does not look at."""
    code = function.__code__
    read = set(code.co_cellvars)
    for step in dis.get_instructions(code):
        if "LOAD" in step.opname:
            read |= set(step.argval if isinstance(step.argval, tuple) else (step.argval,))
    yield from (name for name in code.co_varnames[: code.co_argcount] if name not in read)


def _helpers(function: types.FunctionType) -> Iterator[tuple[str, list[str]]]:
    """Give the functions of the notebook that a function calls, with the data that they read."""
    for name in sorted(_globals_of(function.__code__)):
        helper = function.__globals__.get(name)
        if not isinstance(helper, types.FunctionType) or helper is function:
            continue
        read = list(_variables(helper))
        if read and helper.__globals__ is function.__globals__:
            yield name, read


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


def _varying(function: types.FunctionType, evidence: Evidence, wrong: list[int]) -> Case | None:
    """Return a call that gives another result when it is made again."""
    returned = [i for i in evidence.returned if i in wrong]
    if not returned:
        return None
    case = evidence.cases[returned[0]]
    again = call_all(function, [case, case], WAIT)
    values = [outcome.value for outcome in again if outcome.status == "returned"]
    differ = len(values) == 2 and not (
        same(*values) and same(values[0], evidence.outcomes[returned[0]].value)
    )
    return case if differ else None


def _is_random(function: types.FunctionType, case: Case) -> bool:
    """Whether a call gives the same result again where torch draws the same numbers."""
    values = []
    with torch.random.fork_rng(devices=[]):
        for _ in range(2):
            torch.manual_seed(0)
            values += [o.value for o in call_all(function, [case], WAIT) if o.status == "returned"]
    return len(values) == 2 and same(*values)
