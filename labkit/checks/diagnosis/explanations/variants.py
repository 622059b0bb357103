"""The reference with one slip of the pen: which slip gives the results of the answer."""

import ast
import inspect
import math
import re
import textwrap
import types
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from labkit.checks import syntax
from labkit.checks.diagnosis.calls import result_of
from labkit.checks.diagnosis.code.edits import Edit, edits, named
from labkit.checks.diagnosis.code.harmless import compiled
from labkit.checks.diagnosis.evidence import Evidence, Explanation, Raised
from labkit.checks.values import Plain

MOST = 400
PRIVATE = re.compile(r"\b_[a-z]")
STEP_LEFT_OUT = re.compile(r"leaves out `\w+`")
NAME = re.compile(r"\b[A-Za-z_]\w*")
NUMBER = re.compile(r"(?<![\w.])\d[\w.]*")


class Variants:
    """What the reference returns with one place changed."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence

    def explanations(self) -> Iterator[tuple[int, Explanation]]:
        """Give the rank and the explanation of every change of the reference."""
        reference = self.evidence.exercise.reference
        functions = reachable(reference)
        space = {"math": math, **reference.__globals__}
        trees = {name: tree_of(f) for name, f in functions.items()}
        for tree in trees.values():
            define(tree, space)
        count = 0
        for tree in trees.values():
            if any(isinstance(node, ast.While) for node in ast.walk(tree)):
                continue
            made = set(named(tree))
            for edit in edits(tree):
                count += 1
                if count > MOST:
                    return
                explanation = self._explanation(edit, dict(space), reference.__name__, made)
                if not self.evidence.raises or self._raises_alike(edit, explanation):
                    yield edit.rank, explanation

    def _raises_alike(self, edit: Edit, explanation: Explanation) -> bool:
        """Whether a change raises where the answer does; a step left out tells nothing of that."""
        outcomes = self.evidence.outcomes
        broken = [i for i, outcome in enumerate(outcomes) if outcome.status == "raised"]
        alike = all(isinstance(explanation.predict(i), Raised) for i in broken)
        return alike and not STEP_LEFT_OUT.fullmatch(edit.does)

    def _explanation(
        self, edit: Edit, space: dict[str, Any], wanted: str, made: set[str]
    ) -> Explanation:
        functions = {n: f for n, f in space.items() if isinstance(f, types.FunctionType)}
        space.update(_rebound(functions, space))
        works = define(edit.tree, space)
        function = space[wanted]

        @cache
        def predict(i: int) -> Plain | Raised:
            if not works:
                return Raised("SyntaxError")
            return result_of(function, self.evidence.cases[i].args)

        key = f"variant: {edit.before} -> {edit.after}"
        return Explanation(
            key,
            _text(edit, self.evidence.raises),
            predict,
            partial=_speaks_of_arguments(edit, made),
        )


def _text(edit: Edit, raises: bool) -> str:
    quotable = len(edit.before) <= 48 and len(edit.after) <= 48 and not _private(edit)
    if _invents(edit):
        other = f"has `{edit.after}` where `{edit.before}` belongs" if quotable else edit.does
        alike = "Your code fails like" if raises else "The results are those of"
        return f"{alike} code that {other}. Does yours come to the same?"
    sentence = f"It looks as if your code {edit.does}."
    if quotable and not raises:
        sentence += f" The results are those of `{edit.after}` where `{edit.before}` belongs."
    return sentence


def _invents(edit: Edit) -> bool:
    """Whether a change has a number that the reference has not; nor need the answer have it."""
    return not set(NUMBER.findall(edit.after)) <= set(NUMBER.findall(edit.before))


def _speaks_of_arguments(edit: Edit, made: set[str]) -> bool:
    """Whether a change names nothing that the reference alone has: no numbers, no variables."""
    named = set(NAME.findall(f"{edit.before} {edit.after}"))
    return not _invents(edit) and not named & made


def _private(edit: Edit) -> bool:
    """Whether a place names something that only the reference has."""
    return PRIVATE.search(edit.before) is not None


def _rebound(functions: dict[str, Any], space: dict[str, Any]) -> dict[str, Any]:
    """Return the functions that were compiled for a space, bound to a copy of it."""
    return {
        name: types.FunctionType(f.__code__, space, f.__name__, f.__defaults__, f.__closure__)
        for name, f in functions.items()
        if f.__code__.co_filename == SPACE
    }


SPACE = "<variant>"


def reachable(function: Callable[..., Any]) -> dict[str, Any]:
    """Return a function and those of its module that it calls, itself first."""
    found = {function.__name__: function}
    ahead = [function]
    while ahead:
        code = ahead.pop().__code__
        for name in _loaded(code):
            other = function.__globals__.get(name)
            if (
                isinstance(other, types.FunctionType)
                and other.__module__ == function.__module__
                and name not in found
            ):
                found[name] = other
                ahead.append(other)
    return found


def _loaded(code: types.CodeType) -> set[str]:
    inner = (c for c in code.co_consts if isinstance(c, types.CodeType))
    return set(code.co_names).union(*map(_loaded, inner))


@cache
def tree_of(function: Callable[..., Any]) -> ast.FunctionDef:
    """Return the syntax tree of a function of a module."""
    tree = syntax.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    if not isinstance(tree, ast.FunctionDef):
        raise TypeError(f"{function.__name__} is no plain function; expected one made by `def`.")
    return tree


def define(tree: ast.FunctionDef, space: dict[str, Any]) -> bool:
    """Run a definition in `space`; False if it does not compile."""
    try:
        with warnings.catch_warnings(action="ignore"):
            exec(compiled([tree], SPACE, space), space)
    except (SyntaxError, ValueError, TypeError, RecursionError, NameError, AttributeError):
        return False
    return True
