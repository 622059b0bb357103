"""Wrong implementations of an exercise as programs: its stored misconceptions, and single edits."""

import ast
import copy
import functools
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from labkit.checks import syntax
from labkit.checks.diagnosis.calls import called
from labkit.checks.diagnosis.code.edits import edits
from labkit.checks.exercise import Case, Exercise
from labkit.checks.implementation import Implementation
from labkit.checks.values import Plain, as_array

SEED = 0
CLEAR = 0.75  # of an exercise's calls; what an edit must spoil to be fair
LONGEST = 120  # characters of what an edit does: a line of the card
IDENTITY = "lambda f: f"


@dataclass(frozen=True)
class Mutant:
    """A wrong implementation.

    Attributes
    ----------
    does : str
        What it does wrong, in words that continue "an implementation that".
    implementation : Implementation
        The function.
    """

    does: str
    implementation: Implementation


def right(exercise: Exercise, wrapper: str = IDENTITY) -> Implementation:
    """Return the reference of an exercise, behind a function of functions given as source."""
    tree = _module(exercise)
    expression = f"({wrapper})({exercise.function})"
    return _implementation(exercise, tree, syntax.parse(expression, mode="eval").body)


@functools.cache
def misconceptions(exercise: Exercise) -> tuple[Mutant, ...]:
    """Return the stored wrong versions of an exercise."""
    tree = _module(exercise)
    found = {
        str(node.args[0].value): node.args[1]
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and getattr(node.func, "id", "") == "Misconception"
        and isinstance(node.args[0], ast.Constant)
    }
    return tuple(
        Mutant(m.name, _implementation(exercise, tree, found[m.name]))
        for m in exercise.misconceptions
    )


@functools.cache
def clear_edits(exercise: Exercise) -> tuple[Mutant, ...]:
    """Return the reference with one place changed, where that spoils most of its calls."""
    cases = exercise.draw(SEED)
    expected = [called(_call(exercise.reference, case)) for case in cases]
    found: dict[str, Mutant] = {}
    for does, implementation in _edited(exercise):
        if len(does) > LONGEST:
            continue
        try:
            results = [called(_call(implementation, case)) for case in cases]
        except Exception:  # what does not even compile is no implementation
            continue
        spoilt = [not _alike(a, b) for a, b in zip(results, expected, strict=True)]
        if sum(spoilt) >= CLEAR * len(cases):
            found.setdefault(does, Mutant(does, implementation))
    return tuple(found.values())


def _edited(exercise: Exercise) -> Iterator[tuple[str, Implementation]]:
    tree = _module(exercise)
    name = ast.Name(exercise.function, ast.Load())
    for position, node in enumerate(tree.body):
        if isinstance(node, ast.FunctionDef) and node.name == exercise.function:
            for edit in edits(node):
                changed = copy.copy(tree)
                changed.body = [*tree.body[:position], edit.tree, *tree.body[position + 1 :]]
                does = f"{edit.does}: `{edit.after}` for `{edit.before}`"
                yield does, _implementation(exercise, changed, name)


def _call(function: Callable[..., Any], case: Case) -> Callable[[], Any]:
    return lambda: function(*copy.deepcopy(case.args))


def _alike(one: Plain, other: Plain) -> bool:
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(_alike, one, other))
    a, b = as_array(one), as_array(other)
    if a is None or b is None or a.shape != b.shape:
        return False
    return bool(np.allclose(a.astype(float), b.astype(float), rtol=1e-3, atol=1e-6, equal_nan=True))


@functools.cache
def _module(exercise: Exercise) -> ast.Module:
    return syntax.parse(Path(inspect.getfile(exercise.cases)).read_text("utf-8"))


def _implementation(exercise: Exercise, tree: ast.Module, node: ast.expr) -> Implementation:
    """Return an expression of a module as a program that holds what it needs and no more."""
    bound = {name: statement for statement in tree.body for name in syntax.bound(statement)}
    needed: list[ast.stmt] = []
    ahead: list[ast.AST] = [node]
    while ahead:
        for name in _names(ahead.pop()):
            if name in bound and bound[name] not in needed:
                needed.append(bound[name])
                ahead.append(bound[name])
    ordered = [statement for statement in tree.body if statement in needed]
    ahead_of_time = "from __future__ import annotations"
    lines = [ahead_of_time, *map(ast.unparse, ordered), f"IMPLEMENTATION = {ast.unparse(node)}"]
    parameters = tuple(inspect.signature(exercise.reference).parameters)
    return Implementation(exercise.function, parameters, "\n".join(lines))


def _names(tree: ast.AST) -> set[str]:
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
