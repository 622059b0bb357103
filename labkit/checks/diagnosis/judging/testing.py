"""Why a learner's test misjudges: what it calls, with what, and what it makes of the results.

Facts. Those about its calls need the test itself, which only a notebook may run again.
"""

import ast
import copy
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch

from labkit.checks.calling import Outcome
from labkit.checks.diagnosis.diagnosis import MOST, Finding
from labkit.checks.diagnosis.evidence import Raised
from labkit.checks.diagnosis.explanations.arguments import called
from labkit.checks.diagnosis.judging.recording import (
    Call,
    plain_or_none,
    record,
    statement_of,
)
from labkit.checks.diagnosis.judging.sides import disagreements
from labkit.checks.exercise import Case, Exercise
from labkit.checks.implementation import Implementation
from labkit.checks.values import Plain, as_array, describe, number, plain, shortened, source_text

MOST_SURVIVORS = 8
MOST_TRAITS = 6
LONGEST_CALL = 200
LONGEST_LINE = 120
DISAGREES = "test: refuses, comparing"


def misjudged(
    exercise: Exercise,
    cases: Sequence[Case],
    outcomes: Sequence[Outcome],
    wrong: Sequence[int],
    answer: Callable[..., Any] | None,
) -> tuple[Finding, ...]:
    """Return what can be said about a test that misjudges implementations, two facts at most."""
    found = list(_own_error(outcomes))
    if answer is not None and not found:
        refused = [i for i in wrong if cases[i].must]
        accepted = [case for i, case in enumerate(cases) if case.must and i not in wrong]
        survivors = [cases[i] for i in wrong if not cases[i].must]
        if refused:
            found += _refusal(record(answer, cases[refused[0]]))
        if survivors and exercise.tested is not None:
            found += _survival(exercise, survivors, answer, accepted)
    return tuple(Finding(f"test: {key}", text, cause=False) for key, text in found[:MOST])


def _own_error(outcomes: Sequence[Outcome]) -> Iterator[tuple[str, str]]:
    """Say that the test itself does not run, or returns something else than yes or no."""
    other = [o.value for o in outcomes if o.status == "returned" and type(o.value) is not bool]
    if other:
        yield (
            "returns no bool",
            f"Your test returns {describe(other[0])}; expected True or False, one for all that it "
            "has looked at.",
        )
    errors = {outcome.message.splitlines()[0] for outcome in outcomes if outcome.message}
    if len(errors) == 1 and all(o.message for o in outcomes):
        (error,) = errors
        if not error.startswith("AssertionError"):
            yield (
                "raises everywhere",
                f"Your test ends in the same error whatever it is given, {error}: to raise is to "
                "say no. Repair that first.",
            )


def _survival(
    exercise: Exercise,
    survivors: Sequence[Case],
    answer: Callable[..., Any],
    accepted: Sequence[Case],
) -> Iterator[tuple[str, str]]:
    """Say whether the test's inputs do not show what survives, or its comparison overlooks it.

    Nothing if it refuses every right one: it stops too early for its calls to tell.
    """
    tested = exercise.tested
    if not accepted or tested is None:
        return
    calls = record(answer, accepted[0])
    if not calls:
        yield (
            "calls nothing",
            f"Your test never calls `{tested.function}`: call it, and compare what comes back with "
            "what must hold.",
        )
        return
    overlooked = list(overlooking(tested, survivors, answer))
    if overlooked:
        case, call = overlooked[0]
        many = f" (and {len(overlooked) - 1} more)" if overlooked[1:] else ""
        yield (
            "overlooks",
            f'Your test sees what goes wrong and accepts it: the one that "{case.label}"{many}. '
            f"`{tested.function}({_arguments(call)})` gives {_difference(tested, call)}. Compare "
            "the numbers themselves, all of them, and allow for no more than rounding noise.",
        )
    traits = [words for words, holds in exercise.traits if all(holds(*c.args) for c in calls)]
    same = [*traits, *_always(tested, calls)]
    same = same[:MOST_TRAITS]
    if same and len(overlooked) < len(survivors):
        yield (
            f"always {', '.join(same)}",
            f"In every call of your test {_joined(same)}: what depends on that stays unseen.",
        )


def overlooking(
    tested: Exercise, survivors: Sequence[Case], test: Callable[..., Any]
) -> Iterator[tuple[Case, Call]]:
    """Give what a test accepts although a call of its own shows that it is wrong."""
    for case in survivors[:MOST_SURVIVORS]:
        shown = [call for call in record(test, case) if _is_wrong(tested, call)]
        if shown:
            yield case, shown[0]


def _is_wrong(tested: Exercise, call: Call) -> bool:
    expected = called(partial(tested.reference, *copy.deepcopy(call.args)))
    if isinstance(expected, Raised):
        return False
    got, wanted = _parts(tested, call.result), _parts(tested, expected)
    if len(got) != len(wanted):
        return True
    for rule, one, other in zip(tested.rules, got, wanted, strict=True):
        mismatch = rule.mismatch("", one, other, call.args)
        if mismatch is not None and not mismatch.form_only:
            return True
    return False


def _always(tested: Exercise, calls: Sequence[Call]) -> Iterator[str]:
    """Say which arguments hold one number in all calls, or none below 0."""
    parameters = tested.reference.__code__.co_varnames
    usual = tested.draw(0)
    for k, name in enumerate(parameters[: len(calls[0].args)]):
        arrays = [as_array(plain_or_none(c.args[k])) for c in calls if k < len(c.args)]
        if any(a is None or not a.size for a in arrays):
            continue
        numbers = np.concatenate([np.ravel(a).astype(float) for a in arrays if a is not None])
        if (numbers == numbers[0]).all():
            yield f"`{name}` is {number(float(numbers[0]))}"
        elif (numbers >= 0).all() and any(_has_negative(case.args[k]) for case in usual):
            yield f"`{name}` is never negative"


def _has_negative(value: Any) -> bool:
    array = as_array(plain_or_none(value))
    return array is not None and array.ndim > 0 and bool((array < 0).any())


def _difference(tested: Exercise, call: Call) -> str:
    """Say what a wrong call gives, and what is right: one number where they can be compared."""
    expected = plain(tested.reference(*copy.deepcopy(call.args)))
    for rule, got, wanted in zip(
        tested.rules, _parts(tested, call.result), _parts(tested, expected), strict=True
    ):
        mismatch = rule.mismatch("", got, wanted, call.args)
        if mismatch is not None and mismatch.rows:
            where, found, right = mismatch.rows[0]
            at = "" if where == "value" else f" at {where}{_for(call, where)}"
            return f"{found}{at}, where {right} is right"
    return f"{_short(call.result)}, where {_short(expected)} is right"


def _for(call: Call, where: str) -> str:
    """Return the number of the first argument at a place of the result, if it has one there."""
    first, result = as_array(plain_or_none(call.args[0])), as_array(call.result)
    if first is None or result is None or first.shape != result.shape:
        return ""
    return f", for {number(first[tuple(ast.literal_eval(where))].item())}"


def _parts(tested: Exercise, value: Plain) -> tuple[Plain, ...]:
    return value if tested.names and isinstance(value, tuple) else (value,)


def _refusal(calls: list[Call]) -> Iterator[tuple[str, str]]:
    """Show the call on which a right implementation and the test disagree."""
    statement = statement_of(calls[-1]) if calls else None
    if statement is None:
        return
    call = calls[-1]
    source = shortened(ast.unparse(statement), LONGEST_LINE)
    text = f"It says no at `{source}`, after `{call.name}({_arguments(call)})`. "
    shown = next(disagreements(statement, call), "")
    if shown:
        yield DISAGREES.removeprefix("test: "), text + shown
        return
    right = f"Right implementations give {_short(call.result)}."
    yield "refuses", f"{text}{right} What does your test expect there, and why?"


def _arguments(call: Call) -> str:
    return shortened(", ".join(source_text(arg) for arg in call.args), LONGEST_CALL)


def _short(value: Plain) -> str:
    tensors = tuple(map(torch.from_numpy, filter(_is_array, value))) if _is_pair(value) else value
    if isinstance(tensors, np.ndarray):
        tensors = torch.from_numpy(tensors)
    return shortened(source_text(tensors), LONGEST_LINE)


def _is_pair(value: Plain) -> bool:
    return isinstance(value, tuple) and any(map(_is_array, value))


def _is_array(value: Plain) -> bool:
    return isinstance(value, np.ndarray)


def _joined(parts: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1])))


def shows_with(tested: Exercise, implementation: Implementation, cases: Sequence[Case]) -> str:
    """Return the label of the smallest input on which an implementation goes wrong."""
    for case in cases:
        result = called(partial(implementation, *copy.deepcopy(case.args)))
        if isinstance(result, Raised) or _is_wrong(tested, Call(case.args, result, None)):
            return case.label
    return ""
