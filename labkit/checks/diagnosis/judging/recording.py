"""What a learner's test calls, and where it stands when it says no."""

import ast
import linecache
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import numpy as np
import torch

from labkit.checks import syntax
from labkit.checks.calling import call_all
from labkit.checks.diagnosis.calls import copied
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
    outer: FrameType | None = None
    name: str = ""
    loop: dict[str, Any] = field(default_factory=dict)  # variables as they were in some round


@dataclass
class Recorder:
    """An implementation that keeps what it is called with."""

    implementation: Implementation
    calls: list[Call] = field(default_factory=list)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the implementation."""
        named = self.implementation.parameters[len(args) :]
        given = copied((*args, *(kwargs[name] for name in named if name in kwargs)))
        result = self.implementation(*args, **kwargs)
        if len(self.calls) < MOST_CALLS:
            inner = sys._getframe(1)
            outer = _test_itself(inner)
            self.calls.append(Call(given, plain_or_none(result), inner, outer, repr(self)))
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


def returned(answer: types.FunctionType, case: Case) -> tuple[Call, int] | None:
    """Run an answer once more; return its variables at the end and the line where it ended."""
    ends: list[tuple[FrameType, int]] = []

    def watch(frame: FrameType, event: str, value: object) -> None:
        if event == "return" and frame.f_code is answer.__code__:
            ends.append((frame, frame.f_lineno or 0))

    def watched(*args: Any) -> Any:
        before = sys.getprofile()
        sys.setprofile(watch)
        try:
            return answer(*args)
        finally:
            sys.setprofile(before)

    (outcome,) = call_all(watched, [case], SECONDS)
    if outcome.status not in ("returned", "unplain") or not ends:
        return None
    frame, line = ends[-1]
    return Call(case.args, outcome.value, frame, frame, answer.__name__), line


def statement_of(call: Call) -> ast.AST | None:
    """Return the condition, or the statement, at which a test has ended after a call."""
    frame = call.outer
    lines = linecache.getlines(frame.f_code.co_filename) if frame is not None else []
    if frame is None or not lines or frame.f_lineno is None:
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


def _test_itself(frame: FrameType | None) -> FrameType | None:
    """Return the frame of the test, where a loop in brackets or a helper has made the call."""
    while frame is not None and frame.f_back is not None:
        if frame.f_back.f_code.co_filename != frame.f_code.co_filename:
            break
        frame = frame.f_back
    return frame


def value_of(node: ast.AST, call: Call) -> np.ndarray | None:
    """Return the numbers of an expression of the test, as they were at the end of a call."""
    if not isinstance(node, ast.expr) or call.frame is None:
        return None
    outer = call.outer if call.outer is not None else call.frame
    names = {**outer.f_globals, **outer.f_locals, **call.frame.f_locals, **call.loop}
    try:
        value = eval(compile(ast.Expression(node), "<test>", "eval"), names)
        if isinstance(value, list | tuple):
            value = torch.tensor(value)
    except Exception:  # whatever a learner's expression does when it is asked for once more
        return None
    return as_array(plain_or_none(value))
