"""Answers that say something about other code: what they said, and who would have said the same.

Whether an implementation is right, or which slip it has. Such results have no numbers in which a
relation could be seen, and two different answers agree by chance. So nothing is claimed but what
can be seen, and a stored misconception is named only where all it says is the same.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from labkit.checks.calling import Outcome, call_all
from labkit.checks.diagnosis.diagnosis import MOST, Finding
from labkit.checks.diagnosis.judging.naming import one_name, several_names
from labkit.checks.diagnosis.judging.testing import DISAGREES, misjudged, overlooking
from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.property_test import ALWAYS_NO
from labkit.checks.reviews import Names
from labkit.checks.slip_names import Name
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


def judged(
    exercise: Exercise,
    cases: Sequence[Case],
    outcomes: Sequence[Outcome],
    wrong: Sequence[int],
    answer: Callable[..., Any] | None,
) -> tuple[Finding, ...]:
    """Return what can be said about an answer that judges or names other code.

    A stored misconception, if one fits, and what its calls have in common. `answer` is the
    function itself, where it may be run again.
    """
    found = alike(exercise, cases, outcomes)
    if exercise.kind == "test":
        survivors = [cases[i] for i in wrong if not cases[i].must]
        found = tuple(f for f in found if _overlooks_as(exercise, f, survivors, answer))
        facts = misjudged(exercise, cases, outcomes, wrong, answer)
        # A comparison that a right implementation fails tells more, and is no "always".
        if any(fact.key == DISAGREES for fact in facts):
            found = tuple(f for f in found if f.key != f"mistake: {ALWAYS_NO.name}")
        return (*found, *facts)[:MOST]
    if found or any(outcome.status != "returned" for outcome in outcomes):
        return found
    got = [outcome.value for outcome in outcomes]
    wanted = [outcome.value for outcome in _said_by(exercise, exercise.reference, cases)]
    rule = exercise.rules[0]
    if isinstance(rule, Names):
        return several_names(rule.names, rule.messages, list(map(set, wanted)), got)
    if isinstance(rule, Name):
        return one_name(rule.names, rule.signs, wanted, got)
    return ()


def _overlooks_as(
    exercise: Exercise,
    finding: Finding,
    survivors: Sequence[Case],
    answer: Callable[..., Any] | None,
) -> bool:
    """Whether an answer errs where a stored test does: in its inputs, or in what it compares."""
    mistake, tested = finding.misconception, exercise.tested
    if mistake is None or tested is None or answer is None:
        return True
    one, other = (
        any(True for _ in overlooking(tested, survivors, test)) for test in (answer, mistake.wrong)
    )
    return one == other


def alike(
    exercise: Exercise, cases: Sequence[Case], outcomes: Sequence[Outcome]
) -> tuple[Finding, ...]:
    """Return the stored misconceptions that say the same on every call, two at most.

    A list of names is looked at name by name, so that two that are missed are both said.
    """
    rule = exercise.rules[0]
    if isinstance(rule, Names):
        return _name_by_name(exercise, rule, cases, outcomes)
    for mistake in exercise.misconceptions:
        if all(map(_same, outcomes, _said_by(exercise, mistake.wrong, cases))):
            return (_finding(mistake),)
    return ()


def _name_by_name(
    exercise: Exercise, rule: Names, cases: Sequence[Case], outcomes: Sequence[Outcome]
) -> tuple[Finding, ...]:
    """Return the misconceptions that agree in all the names that they are wrong about."""
    got = [outcome.value for outcome in outcomes]
    if not all(map(rule.may_be, got)):
        return ()
    expected = _sets(_said_by(exercise, exercise.reference, cases))
    found: list[Finding] = []
    explained: set[str] = set()
    for mistake in exercise.misconceptions:
        theirs = _sets(_said_by(exercise, mistake.wrong, cases))
        about = set[str]().union(*(a ^ b for a, b in zip(theirs, expected, strict=True)))
        agree = all(set(a) & about == b & about for a, b in zip(got, theirs, strict=True))
        if agree and not about <= explained:
            found.append(_finding(mistake))
            explained |= about
    return tuple(found[:MOST])


def _said_by(
    exercise: Exercise, function: Callable[..., Any], cases: Sequence[Case]
) -> list[Outcome]:
    theirs = call_all(function, [copy.deepcopy(case) for case in cases])
    return [said(outcome) for outcome in theirs] if exercise.kind == "test" else theirs


def _sets(outcomes: Sequence[Outcome]) -> list[set[str]]:
    return [set(outcome.value) for outcome in outcomes]


def _finding(mistake: Misconception) -> Finding:
    text = f"Your code {mistake.name}. {mistake.message}"
    return Finding(f"mistake: {mistake.name}", text, misconception=mistake)


def _same(one: Outcome, other: Outcome) -> bool:
    a, b = as_array(one.value), as_array(other.value)
    if a is None or b is None:
        return one.status == other.status and a is b and repr(one.value) == repr(other.value)
    return np.array_equal(a, b)
