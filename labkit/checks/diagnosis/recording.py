"""What a learner's test calls, and where it stands when it says no."""

import ast
import copy
import linecache
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import numpy as np
import torch

from labkit.checks import syntax
from labkit.checks.calling import call_all
from labkit.checks.exercise import Case
from labkit.checks.implementation import Implementation
from labkit.checks.values import Plain, Unplain, as_array, plain

SECONDS = 2.0
MOST_CALLS = 500


@dataclass
class Call:
    """One call that a test made: arguments, result, and where in the test it stands."""

    args: tuple[Any, ...]
    result: Plain
    frame: FrameType | None = None
    name: str = ""


@dataclass
class Recorder:
    """An implementation that keeps what it is called with."""

    implementation: Implementation
    calls: list[Call] = field(default_factory=list)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the implementation."""
        named = self.implementation.parameters[len(args) :]
        given = copy.deepcopy((*args, *(kwargs[name] for name in named if name in kwargs)))
        result = self.implementation(*args, **kwargs)
        if len(self.calls) < MOST_CALLS:
            self.calls.append(Call(given, plain_or_none(result), sys._getframe(1), repr(self)))
        return result

    def __deepcopy__(self, memo: object) -> "Recorder":
        """Return itself: what it keeps is asked for after the call."""
        return self

    def __repr__(self) -> str:
        return repr(self.implementation)

    def __getattr__(self, name: str) -> Any:
        if name == "implementation":
            raise AttributeError(name)
        return getattr(self.implementation, name)


def plain_or_none(value: Any) -> Plain:
    """Return plain values, or None for anything else."""
    try:
        return plain(value)
    except Unplain:
        return None


def record(answer: Callable[..., Any], case: Case) -> list[Call]:
    """Return the calls that a test makes of an implementation."""
    recorder = Recorder(case.args[0])
    call_all(answer, [Case("", (recorder,))], SECONDS)
    return recorder.calls


def statement_of(frame: FrameType | None) -> ast.AST | None:
    """Return the condition, or the statement, at which a function has ended."""
    if frame is None:
        return None
    lines = linecache.getlines(frame.f_code.co_filename)
    if not lines or frame.f_lineno is None:
        return None
    holding = [
        node
        for node in ast.walk(syntax.parse("".join(lines)))
        if isinstance(node, ast.stmt)
        and node.lineno <= frame.f_lineno <= (node.end_lineno or node.lineno)
    ]
    if not holding:
        return None
    innermost: ast.stmt = max(holding, key=lambda node: (node.lineno, -(node.end_lineno or 0)))
    if isinstance(innermost, ast.Return) and isinstance(innermost.value, ast.Constant):
        innermost = next((n for n in reversed(holding) if isinstance(n, ast.If)), innermost)
    return innermost.test if isinstance(innermost, ast.If) else innermost


def value_of(node: ast.AST, frame: FrameType | None) -> np.ndarray | None:
    """Return the numbers of a variable, or of a list that is written out."""
    try:
        if isinstance(node, ast.Name) and frame is not None:
            value = frame.f_locals.get(node.id, frame.f_globals.get(node.id))
        elif isinstance(node, ast.List | ast.Tuple):
            value = ast.literal_eval(node)
        else:
            return None
        if isinstance(value, list | tuple):
            value = torch.tensor(value)
    except (ValueError, TypeError, RuntimeError):
        return None
    return as_array(plain_or_none(value))
