"""Running answer cells and calling what they define, inside the sandbox.

Everything here shares a process with the student's code, which can change all of it. That costs
only the student: what is sent out is a claim, and the verdict is reached elsewhere.
"""

import ast
import contextlib
import linecache
import sys
import types
from collections.abc import Callable
from typing import Any

import torch

from labkit.checks.calling import Outcome, call_all
from labkit.checks.console import captured
from labkit.checks.errors import explain
from labkit.checks.exercise import Case
from labkit.grading.inside.cells import OWN, definitions, parse
from labkit.grading.inside.lab import NAMES
from labkit.grading.wire import WireError, decode, encode, read_frame, write_frame

LONGEST_MESSAGE = 2000


def serve(requests: int, replies: int) -> None:
    """Answer requests until there are no more.

    ("cell", name, source) runs a cell and replies (status, message): "ran", "not started" or
    "raised". ("define", list of sources) keeps what these cells define, and replies the same.
    ("call", function, seconds, list of arguments) calls the function on each and replies with a
    list of outcomes.
    """
    main = types.ModuleType("__main__")
    main.__dict__.update(NAMES)
    sys.modules["__main__"] = main
    torch.manual_seed(0)
    write_frame(replies, encode("ready"))
    actions: dict[str, Callable[..., object]]
    actions = {"cell": _run_cell, "define": _define, "call": _call}
    while (request := read_frame(requests)) is not None:
        kind, *rest = decode(request)
        write_frame(replies, encode(actions[kind](main, *rest)))


def _run_cell(main: types.ModuleType, name: str, source: str) -> tuple[str, str]:
    try:
        with captured():
            exec(_compile(source, name), main.__dict__)
    except NotImplementedError as error:
        return "not started", str(error)[:LONGEST_MESSAGE]
    except BaseException as error:  # SystemExit and KeyboardInterrupt are answers, too
        return "raised", explain(error)[:LONGEST_MESSAGE]
    return "ran", ""


def _define(main: types.ModuleType, sources: list[str]) -> tuple[str, str]:
    """Run the imports, functions and constants of cells that are no answers."""
    for number, source in enumerate(sources):
        name = f"<cell {number}>"
        try:
            statements = definitions(parse(source, name), only_literals=False)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue  # a cell that does not run defines nothing in a notebook either
        linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
        for statement in statements:
            # One may need what only the whole notebook has; an answer that needs it will say so.
            with captured(), contextlib.suppress(Exception):
                exec(compile(ast.Module([statement], []), name, "exec"), main.__dict__)
    return "ran", ""


def _compile(source: str, name: str) -> types.CodeType:
    if not name.startswith(OWN):
        linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    return compile(parse(source, name), name, "exec")


def _call(main: types.ModuleType, function: str, seconds: float, inputs: list[Any]) -> list[Any]:
    answer = main.__dict__.get(function)
    if not callable(answer):
        found = "is not defined" if answer is None else f"is a {type(answer).__name__}"
        problem = f"{function} {found}; expected a function of that name."
        return [_row(Outcome("raised", message=problem)) for _ in inputs]
    cases = [Case("", tuple(arguments)) for arguments in inputs]
    return [_row(outcome) for outcome in call_all(answer, cases, seconds)]


def _row(outcome: Outcome) -> tuple[Any, ...]:
    row = (
        outcome.status,
        outcome.value,
        str(outcome.message)[:LONGEST_MESSAGE],
        str(outcome.printed)[:LONGEST_MESSAGE],
        tuple(outcome.changed),
        bool(outcome.numpy),
    )
    try:
        encode(row)
    except WireError as error:
        return ("unplain", None, str(error), row[3], (), False)
    return row
