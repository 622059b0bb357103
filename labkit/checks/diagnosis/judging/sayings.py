"""Answers that say something about other code: what they said, and who would have said the same.

Whether an implementation is right, or which slip it has. Such results have no numbers in which a
relation could be seen, and two different answers agree by chance. So nothing is claimed but what
can be seen, and a stored misconception is named only where all it says is the same.
"""

import ast
import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from itertools import islice
from typing import Any

import numpy as np

from labkit.checks.calling import Outcome, call_all
from labkit.checks.diagnosis.code.answer import code_of, ends_in_first_round
from labkit.checks.diagnosis.code.signs import first_digits
from labkit.checks.diagnosis.finding import MOST, Finding
from labkit.checks.diagnosis.judging.deciding import Decision, about, decided, place
from labkit.checks.diagnosis.judging.naming import Named, one_name
from labkit.checks.diagnosis.judging.recording import record
from labkit.checks.diagnosis.judging.reviewing import reviewed
from labkit.checks.diagnosis.judging.surviving import overlooking
from labkit.checks.diagnosis.judging.testing import misjudged
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
    rule = exercise.rules[0]
    loop = _at_a_glance(answer)
    if isinstance(rule, Names):
        found, settled = _name_by_name(exercise, rule, cases, outcomes)
        facts = reviewed(exercise, cases, outcomes, answer, found, settled)
        found = loop
    elif isinstance(rule, Name):
        found = tuple(islice(_alike(exercise, cases, outcomes), 1))
        named = _named(exercise, rule, cases, outcomes, answer)
        facts = _reason(named) if found else one_name(named)
        found = loop or found
    else:
        survivors = [cases[i] for i in wrong if not cases[i].must]
        accepted = [case for i, case in enumerate(cases) if case.must and i not in wrong]
        fitting = (
            finding
            for finding in _alike(exercise, cases, outcomes)
            if _overlooks_as(exercise, finding, survivors, answer)
            and _asks_as(exercise, finding, accepted, answer)
        )
        found = tuple(islice(fitting, 1))
        facts = misjudged(exercise, cases, outcomes, wrong, answer)
        # What it is that a right implementation fails tells more, and is no "always".
        if facts:
            found = tuple(f for f in found if f.key != f"mistake: {ALWAYS_NO.name}")
        if any(fact.cause for fact in facts):
            found = ()
    return (*found, *facts)[:MOST]


def _at_a_glance(answer: Callable[..., Any] | None) -> tuple[Finding, ...]:
    """Return that a loop of an answer ends in its first round, or a number in its first digit."""
    code = code_of(answer)
    if code is None:
        return ()
    for node in first_digits(code):
        text = (
            f"In line {node.lineno} of the cell, `{ast.unparse(node)}` reads one character only: "
            "of 12 it is the 1. Take all that stands there, up to the bracket or comma behind it."
        )
        return (Finding("answer: reads one digit", text),)
    if not ends_in_first_round(code):
        return ()
    text = (
        "Your loop ends in its first round: a `return` stands in each of its branches. Move the "
        "last one out, to the depth of the `for`."
    )
    return (Finding("answer: return inside a loop", text),)


def _named(
    exercise: Exercise,
    rule: Name,
    cases: Sequence[Case],
    outcomes: Sequence[Outcome],
    answer: Callable[..., Any] | None,
) -> Named:
    """Return what was to be named and what it was called, with what the code tells of it."""
    wanted = [outcome.value for outcome in _said_by(exercise, exercise.reference, cases)]
    got = [outcome.value for outcome in outcomes]

    @cache
    def decision(i: int) -> Decision | None:
        return decided(answer, cases[i]) if answer is not None else None

    def why(i: int) -> str:
        seen = decision(i)
        return about(seen, wanted[i], str(got[i])) if seen else ""

    def where(i: int) -> str:
        seen = decision(i)
        return place(seen, str(got[i])) if seen else ""

    signs = dict(zip(rule.names, rule.signs, strict=True))
    return Named(signs, wanted, got, outcomes, why, where)


def _reason(named: Named) -> tuple[Finding, ...]:
    """Return what the code asks about the first output that it gives a wrong name."""
    pairs = zip(named.wanted, named.got, strict=True)
    wrong = next(i for i, (wanted, got) in enumerate(pairs) if wanted != got)
    text = " ".join(filter(None, (named.where(wrong), named.why(wrong))))
    return (Finding("names: why", text, cause=False),) if text else ()


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
    one, other = (bool(list(overlooking(tested, survivors, t))) for t in (answer, mistake.wrong))
    return one == other


def _asks_as(
    exercise: Exercise,
    finding: Finding,
    accepted: Sequence[Case],
    answer: Callable[..., Any] | None,
) -> bool:
    """Whether the calls of an answer have in common what those of a stored test have."""
    mistake = finding.misconception
    if mistake is None or answer is None or not accepted:
        return True
    one, other = (_common(exercise, test, accepted[0]) for test in (answer, mistake.wrong))
    return other <= one


def _common(exercise: Exercise, test: Callable[..., Any], right: Case) -> set[str]:
    """Return the traits that all calls of a test have, when it is given what it accepts."""
    calls = record(test, right)
    return {words for words, holds in exercise.traits if all(holds(*call.args) for call in calls)}


def _alike(
    exercise: Exercise, cases: Sequence[Case], outcomes: Sequence[Outcome]
) -> Iterator[Finding]:
    """Give the stored misconceptions that say the same on every call, the likeliest first."""
    for mistake in exercise.misconceptions:
        if all(map(_same, outcomes, _said_by(exercise, mistake.wrong, cases))):
            yield _finding(mistake)


def _name_by_name(
    exercise: Exercise, rule: Names, cases: Sequence[Case], outcomes: Sequence[Outcome]
) -> tuple[tuple[Finding, ...], frozenset[str]]:
    """Return the misconceptions that agree in all the names that they are wrong about, two at most.

    Two names that are missed are both said; with them come those of which something is said.
    """
    got = [outcome.value for outcome in outcomes]
    if not all(map(rule.may_be, got)):
        return (), frozenset()
    expected = _sets(_said_by(exercise, exercise.reference, cases))
    found: list[Finding] = []
    explained: set[str] = set()
    for mistake in exercise.misconceptions:
        theirs = _sets(_said_by(exercise, mistake.wrong, cases))
        concerned = set[str]().union(*(a ^ b for a, b in zip(theirs, expected, strict=True)))
        agree = all(set(a) & concerned == b & concerned for a, b in zip(got, theirs, strict=True))
        if agree and not concerned <= explained and len(found) < MOST:
            found.append(_finding(mistake))
            explained |= concerned
    return tuple(found), frozenset(explained)


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
