"""Running answer cells and calling what they define, inside the sandbox.

Everything here shares a process with the student's code, which can change all of it. That costs
only the student: what is sent out is a claim, and the verdict is reached elsewhere.
"""

import contextlib
import io
import linecache
import re
import sys
import types
from typing import Any

import torch

from labkit.checks.calling import Outcome, call_all, explain
from labkit.checks.exercise import Case
from labkit.grading.wire import WireError, decode, encode, read_frame, write_frame

LONGEST_MESSAGE = 2000


def serve(requests: int, replies: int) -> None:
    """Answer requests until there are no more.

    ("cell", name, source) runs a cell and replies (status, message): "ran", "not started" or
    "raised". ("call", function, seconds, list of arguments) calls the function on each and
    replies with a list of outcomes.
    """
    main = types.ModuleType("__main__")
    sys.modules["__main__"] = main
    torch.manual_seed(0)
    write_frame(replies, encode("ready"))
    while (request := read_frame(requests)) is not None:
        kind, *rest = decode(request)
        reply = _run_cell(main, *rest) if kind == "cell" else _call(main, *rest)
        write_frame(replies, encode(reply))


def _run_cell(main: types.ModuleType, name: str, source: str) -> tuple[str, str]:
    lines = source.splitlines(keepends=True)
    linecache.cache[name] = (len(source), None, lines, name)
    printed = io.StringIO()
    try:
        code = _compile(source, name)
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            exec(code, main.__dict__)
    except NotImplementedError as error:
        return "not started", str(error)[:LONGEST_MESSAGE]
    except BaseException as error:  # SystemExit and KeyboardInterrupt are answers, too
        return "raised", explain(error)[:LONGEST_MESSAGE]
    return "ran", ""


def _compile(source: str, name: str) -> types.CodeType:
    """Compile a cell; lines that only a notebook understands count as empty."""
    try:
        return compile(source, name, "exec")
    except SyntaxError:
        plain = re.sub(r"^[ \t]*[%!].*$", "", source, flags=re.MULTILINE)
        if plain == source:
            raise
        return compile(plain, name, "exec")


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
