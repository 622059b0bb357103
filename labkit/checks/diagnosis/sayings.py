"""Answers that say something about other code: what they said, and who would have said the same.

Whether an implementation is right, or which slip it has. Such results have no numbers in which a
relation could be seen, and two different answers agree by chance. So nothing is claimed but what
can be seen, and a stored misconception is named only where all it says is the same.
"""

import copy
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from labkit.checks.calling import Outcome, call_all
from labkit.checks.diagnosis.diagnosis import Finding
from labkit.checks.exercise import Case, Exercise
from labkit.checks.values import as_array


def said(outcome: Outcome) -> Outcome:
    """Return what a test said: no by raising, yes by returning nothing."""
    if outcome.status == "raised":
        return replace(outcome, status="returned", value=False)
    array = as_array(outcome.value)
    if outcome.status != "returned" or (outcome.value is not None and array is None):
        return outcome
    if array is not None and (array.size != 1 or array.item() not in (0, 1)):
        return outcome
    return replace(outcome, value=array is None or bool(array.item()))


def alike(
    exercise: Exercise, cases: Sequence[Case], outcomes: Sequence[Outcome]
) -> tuple[Finding, ...]:
    """Return the stored misconception that says the same on every call, if there is one."""
    for mistake in exercise.misconceptions:
        theirs = call_all(mistake.wrong, [copy.deepcopy(case) for case in cases])
        if exercise.kind == "test":
            theirs = [said(outcome) for outcome in theirs]
        if all(map(_same, outcomes, theirs)):
            text = f"Your code {mistake.name}. {mistake.message}"
            return (Finding(f"mistake: {mistake.name}", text, misconception=mistake),)
    return ()


def _same(one: Outcome, other: Outcome) -> bool:
    a, b = as_array(one.value), as_array(other.value)
    if a is None or b is None:
        return one.status == other.status and a is b and repr(one.value) == repr(other.value)
    return np.array_equal(a, b)
