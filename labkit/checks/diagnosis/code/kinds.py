"""What the pieces of an answer's code are when it runs: tensors, numbers, or something else."""

import ast
import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch

from labkit.checks.diagnosis.calls import result_of
from labkit.checks.diagnosis.code.insertions import insertable
from labkit.checks.diagnosis.code.places import places, put
from labkit.checks.exercise import Case

SEEN = "__seen"
Kinds = dict[tuple[int, int, int, int], str]
Define = Callable[[list[ast.FunctionDef], dict[str, Any]], Callable[..., Any] | None]


def kinds_of(functions: Sequence[ast.FunctionDef], define: Define, cases: Sequence[Case]) -> Kinds:
    """Return for each expression, by where it stands, what it has been in some calls.

    Parameters
    ----------
    functions : sequence of ast.FunctionDef
        The code.
    define : callable
        Returns the answer that is defined by functions, with some more names.
    cases : sequence of Case
        What to call it with.
    """
    kinds: Kinds = {}

    def seen(value: Any, line: int, column: int, last_line: int, last_column: int) -> Any:
        kinds.setdefault((line, column, last_line, last_column), kind(value))
        return value

    watched = copy.deepcopy(list(functions))
    for function in watched:
        for place in list(places(function)):
            if insertable(place):
                node = place[3]
                where = node.lineno, node.col_offset, node.end_lineno, node.end_col_offset
                numbers = [ast.Constant(number) for number in where]
                watch = ast.Call(ast.Name(SEEN, ast.Load()), [node, *numbers], [])
                put(place, ast.fix_missing_locations(ast.copy_location(watch, place[3])))
    answer = define(watched, {SEEN: seen})
    if answer is None:
        return kinds
    for case in cases:
        result_of(answer, case.args)
    return kinds


def kind(value: Any) -> str:
    """Return in one word what a value is."""
    if isinstance(value, torch.Tensor):
        return "tensor"
    return "number" if isinstance(value, int | float) else "other"
