"""Running cells and calling what they define, inside the sandbox.

Everything here shares a process with the student's code, which can change all of it. That costs
only the student: what is sent out is a claim, and the verdict is reached elsewhere.
"""

from collections.abc import Callable
from typing import Any

import torch

from labkit.checks.calling import Outcome, call_all
from labkit.checks.exercise import Case
from labkit.grading.inside.notebook import LONGEST_MESSAGE, Notebook
from labkit.grading.wire import WireError, decode, encode, read_frame, write_frame


def serve(requests: int, replies: int) -> None:
    """Answer requests until there are no more.

    ("cell", name, source) runs a cell and replies (status, message): "ran", "not started" or
    "raised"; ("definitions", name, source) runs no more of it than imports, functions, classes
    and constants. ("missing", names) tells which names of the lab's own cells are not there.
    ("left out",) replies with what did not run for that reason. ("call", function, seconds, list
    of arguments) calls the function on each and replies with a list of outcomes.
    """
    notebook = Notebook()
    torch.manual_seed(0)
    write_frame(replies, encode("ready"))
    actions: dict[str, Callable[..., object]] = {
        "cell": notebook.run,
        "definitions": lambda name, source: notebook.run(name, source, only_definitions=True),
        "missing": notebook.expect_missing,
        "left out": lambda: list(notebook.left_out),
        "call": lambda *rest: _call(notebook, *rest),
    }
    while (request := read_frame(requests)) is not None:
        kind, *rest = decode(request)
        write_frame(replies, encode(actions[kind](*rest)))


def _call(notebook: Notebook, function: str, seconds: float, inputs: list[Any]) -> list[Any]:
    answer = notebook.names.get(function)
    if not callable(answer):
        missing = Outcome("raised", message=notebook.without(function))
        return [_row(missing) for _ in inputs]
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
