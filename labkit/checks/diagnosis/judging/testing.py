"""Why a learner's test misjudges: what its code says, what it refuses, and what it lets pass.

Facts. Those about its calls need the test itself, which only a notebook may run again.
"""

import ast
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from labkit.checks.calling import Outcome
from labkit.checks.diagnosis.code.answer import code_of, ends_in_first_round
from labkit.checks.diagnosis.facts.qualities import is_tensor
from labkit.checks.diagnosis.finding import MOST, Finding
from labkit.checks.diagnosis.judging.recording import Call, record, statement_of
from labkit.checks.diagnosis.judging.sides import (
    LONGEST_LINE,
    Difference,
    comparisons,
    differences,
)
from labkit.checks.diagnosis.judging.surviving import arguments, short, survival
from labkit.checks.exercise import Case, Exercise
from labkit.checks.property_test import REFERENCE
from labkit.checks.values import describe, shortened

COPIED = re.compile(r"\.(?:clone|detach)\(\)")
CONVERSIONS = {"clone", "detach", "long", "int", "float", "double", "to", "tolist", "item"}


def misjudged(
    exercise: Exercise,
    cases: Sequence[Case],
    outcomes: Sequence[Outcome],
    wrong: Sequence[int],
    answer: Callable[..., Any] | None,
) -> tuple[Finding, ...]:
    """Return what can be said about a test that misjudges implementations, two facts at most."""
    found = list(_own_error(exercise, cases, outcomes))
    code: list[tuple[str, str]] = []
    if answer is not None and not found:
        code += _code(exercise, answer)
        refused = sorted((cases[i] for i in wrong if cases[i].must), key=_least_special)
        accepted = [case for i, case in enumerate(cases) if case.must and i not in wrong]
        survivors = [cases[i] for i in wrong if not cases[i].must]
        if refused:
            found += _refusal(exercise, refused, record(answer, refused[0]))
        if survivors:
            found += survival(exercise, survivors, answer, accepted)
    said = [(*one, True) for one in code] or [(*one, False) for one in found]
    return tuple(Finding(f"test: {key}", text, cause) for key, text, cause in said[:MOST])


def _least_special(case: Case) -> bool:
    return case.label != REFERENCE


def _own_error(
    exercise: Exercise, cases: Sequence[Case], outcomes: Sequence[Outcome]
) -> Iterator[tuple[str, str]]:
    """Say that the test itself does not run, or returns something else than yes or no."""
    other = [o.value for o in outcomes if o.status == "returned" and type(o.value) is not bool]
    if other:
        yield (
            "returns no bool",
            f"Your test returns {describe(other[0])}; expected True or False, one for all that it "
            "has looked at.",
        )
    right = [o.message for case, o in zip(cases, outcomes, strict=True) if case.must]
    if not all(right) or any(message.startswith("AssertionError") for message in right):
        return
    error, tested = right[0].splitlines()[0], exercise.tested
    several = ""
    if tested is not None and tested.names and "tuple" in error:
        several = f" `{tested.function}` returns {len(tested.names)}: {', '.join(tested.names)}."
    given = "whatever it is given" if all(o.message for o in outcomes) else "with right ones"
    yield (
        "raises everywhere",
        f"Your test ends in an error {given}: {error}. To raise is to say no, so repair that "
        f"first.{several}",
    )


def _code(exercise: Exercise, answer: Callable[..., Any]) -> Iterator[tuple[str, str]]:
    """Say what the test can never do as it is written."""
    definition = code_of(answer)
    if definition is None or exercise.tested is None:
        return
    nodes = list(ast.walk(definition))
    tested, given = exercise.tested.function, definition.args.args[0].arg
    read = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    if given not in read and tested in read:
        yield (
            "calls another",
            f"Your test calls `{tested}`, which is the notebook's own: what it has to judge is its "
            f"argument `{given}`.",
        )
    if ends_in_first_round(definition):
        yield (
            "returns in its loop",
            "Your test ends in the first round of its loop, whatever comes out: only the first "
            "input is ever looked at. Move the `return True` out, to the depth of the `for`.",
        )
    if any(map(_says_yes_early, definition.body)):
        yield (
            "says yes in its loop",
            "Your test says yes as soon as one input fits: a `return True` ends its loop there, "
            "and what comes after is not looked at. Say no inside the loop, where an input does "
            "not fit, and yes after it.",
        )
    itself = _with_itself(definition, given)
    if itself:
        yield (
            "compares with itself",
            f"Your test compares `{itself}` with the same call: `{given}`, in there, is the "
            "implementation that is to be judged, whatever another cell calls by that name. Say "
            "what is right without it: write the rule down once more, or numbers that you know.",
        )
    if any(isinstance(n, ast.Assert) and isinstance(n.test, ast.Tuple) for n in nodes):
        yield (
            "asserts a tuple",
            "`assert (condition, message)` is always true, since a tuple with something in it is. "
            "Leave the brackets out: `assert condition, message`.",
        )
    if any(isinstance(n, ast.Try) and any(map(_swallows, n.handlers)) for n in nodes):
        yield (
            "swallows errors",
            "Your test catches errors, a failed `assert` among them, and goes on as if all were "
            "well. Return False there, or let them through: to raise is to say no.",
        )


def _with_itself(definition: ast.FunctionDef, given: str) -> str:
    """Return a call of what is judged, if nothing is compared but that call with itself."""
    made = {
        target.id: node.value
        for node in ast.walk(definition)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    compared = [(left, right) for left, right, _ in comparisons(definition, True)]
    calls = [[_call_of(side, given, made) for side in sides] for sides in compared]
    if calls and all(one and one == other for one, other in calls):
        return calls[0][0]
    return ""


def _call_of(node: ast.expr, given: str, made: Mapping[str, ast.expr]) -> str:
    """Return the call behind a value, without conversions and copies; "" if it is none."""
    if isinstance(node, ast.Name) and node.id in made:
        return _call_of(made[node.id], given, {k: v for k, v in made.items() if k != node.id})
    if not isinstance(node, ast.Call):
        return ""
    if isinstance(node.func, ast.Name) and node.func.id == given:
        return COPIED.sub("", ast.unparse(node))
    if isinstance(node.func, ast.Attribute) and node.func.attr in CONVERSIONS:
        return _call_of(node.func.value, given, made)
    return ""


def _says_yes_early(step: ast.stmt) -> bool:
    """Whether a loop ends the function with a yes in one of its rounds, and goes on in others."""
    if not isinstance(step, ast.For | ast.While):
        return False
    inner = [s for s in step.body if isinstance(s, ast.If)]
    return any(isinstance(s, ast.Return) and _is_yes(s) for one in inner for s in one.body)


def _swallows(handler: ast.ExceptHandler) -> bool:
    """Whether an error ends there and nothing says no for it."""
    caught = "AssertionError Exception BaseException"
    everything = handler.type is None or ast.unparse(handler.type) in caught.split()
    says = (ast.Raise, ast.Assign, ast.AugAssign, ast.Break)
    return everything and not any(
        isinstance(n, says) or (isinstance(n, ast.Return) and not _is_yes(n))
        for n in ast.walk(handler)
    )


def _is_yes(node: ast.Return) -> bool:
    return isinstance(node.value, ast.Constant) and node.value.value is not False


def _refusal(
    exercise: Exercise, refused: Sequence[Case], calls: Sequence[Call]
) -> Iterator[tuple[str, str]]:
    """Show the call on which a right implementation and the test disagree."""
    allowed = exercise.allowed.get(refused[0].label, "")
    reference = refused[0].label == REFERENCE
    statement = statement_of(calls[-1]) if calls else None
    if statement is None:
        if allowed:
            yield "refuses", allowed
        return
    call = calls[-1]
    text = (
        f"It says no at `{shortened(ast.unparse(statement), LONGEST_LINE)}`, after "
        f"`{call.name}({arguments(call)})`. "
    )
    shown = next(differences(statement, call, isinstance(statement, ast.stmt)), None)
    if shown is None:
        right = f"Right implementations give {short(call.result)}. "
        asks = allowed or "What does your test expect there, and why?"
        yield "refuses", f"{text}{right}{asks}"
        return
    noise = "That is rounding noise: allow for it, as torch.allclose does. " if shown.noise else ""
    errs = "The implementation is right, so it is the test that errs."
    if reference and not noise:
        errs = " ".join((errs, *_reminders(exercise, call, shown)))
    yield "refuses, comparing", f"{text}There {shown}. {noise}{allowed or errs}"


def _reminders(exercise: Exercise, call: Call, shown: Difference) -> Iterator[str]:
    """Give what the exercise has to say of the very number on which they disagree."""
    first, *others = call.args
    narrowed = first[shown.place] if shown.place is not None and is_tensor(first) else first
    yield from (words for words, holds in exercise.reminders if holds(narrowed, *others))
