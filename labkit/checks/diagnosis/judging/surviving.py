"""Why a learner's test accepts what is wrong: its inputs do not show it, or it overlooks it.

The test is run again on what it accepts, and on what is right: only in a notebook.
"""

import ast
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch

from labkit.checks.diagnosis.calls import copied, result_of
from labkit.checks.diagnosis.code.answer import code_of
from labkit.checks.diagnosis.evidence import Raised, parts_of
from labkit.checks.diagnosis.facts.qualities import is_tensor
from labkit.checks.diagnosis.judging.recording import Call, plain_or_none, record, value_of
from labkit.checks.diagnosis.judging.sides import comparisons, source
from labkit.checks.exercise import Case, Exercise
from labkit.checks.implementation import Implementation
from labkit.checks.values import Plain, as_array, number, plain, shortened, source_text

MOST_SURVIVORS = 8
MOST_TRAITS = 3
MOST_NAMED = 2
MOST_COMPARED = 2
MOST_VALUES = 6
MOST_CALLS = 3
LONGEST_CALL = 200
LONGEST_LINE = 120


def survival(
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
        case, call, is_last = overlooked[0]
        many = f" (and {len(overlooked) - 1} more)" if overlooked[1:] else ""
        where, text = _difference(tested, call)
        looks = _looks_at(answer, call, where) if is_last else ""
        yield (
            "overlooks",
            f'Your test sees what goes wrong and accepts it: the one that "{case.label}"{many}. '
            f"`{tested.function}({arguments(call)})` gives {text}. {looks}What it asks holds for "
            "both: ask for more, or allow less.",
        )
    seen = [case for case, *_ in overlooked]
    hidden = [case for case in survivors[:MOST_SURVIVORS] if case not in seen]
    groups = list(_blind(exercise, tested, hidden, calls, accepted[0]))[:MOST_TRAITS]
    if groups:
        every = "the one call" if len(calls) == 1 else "every call"
        told = "; ".join(f"{words}, so that {_named(labels)}" for words, labels in groups)
        yield (
            f"always {', '.join(words for words, _ in groups)}",
            f"In {every} of your test {told}.",
        )


def overlooking(
    tested: Exercise, survivors: Sequence[Case], test: Callable[..., Any]
) -> Iterator[tuple[Case, Call, bool]]:
    """Give what a test accepts although a call of its own shows that it is wrong.

    The call comes with it, the last one if that is wrong, and whether it is.
    """
    for case in survivors[:MOST_SURVIVORS]:
        calls = record(test, case)
        shown = [call for call in calls if is_wrong(tested, call)]
        if shown:
            is_last = shown[-1] is calls[-1]
            yield case, shown[-1] if is_last else shown[0], is_last


def is_wrong(tested: Exercise, call: Call) -> bool:
    """Whether a call gave what its exercise does not accept."""
    expected = result_of(tested.reference, call.args)
    if isinstance(expected, Raised):
        return False
    got, wanted = parts_of(tested, call.result), parts_of(tested, expected)
    if len(got) != len(wanted):
        return True
    for rule, one, other in zip(tested.rules, got, wanted, strict=True):
        mismatch = rule.mismatch("", one, other, call.args)
        if mismatch is not None and not mismatch.form_only:
            return True
    return False


def _goes_wrong(tested: Exercise, implementation: Implementation, args: tuple) -> bool:
    result = result_of(implementation, args)
    return isinstance(result, Raised) or is_wrong(tested, Call(args, result))


def shows_with(tested: Exercise, implementation: Implementation, cases: Sequence[Case]) -> str:
    """Return the label of the smallest input on which an implementation goes wrong."""
    return next((c.label for c in cases if _goes_wrong(tested, implementation, c.args)), "")


def _blind(
    exercise: Exercise,
    tested: Exercise,
    hidden: Sequence[Case],
    calls: Sequence[Call],
    right: Case,
) -> Iterator[tuple[str, list[str]]]:
    """Give what all calls have in common, each with what does not show for that very reason."""
    pool = [case.args for case in tested.draw(0)]
    pool += [call.args for call in record(exercise.reference, right)]
    same = [trait for trait in exercise.traits if all(trait[1](*c.args) for c in calls)]
    reasons: dict[str, list[str]] = {}
    for case in hidden:
        telling = [args for args in pool if _goes_wrong(tested, case.args[0], args)]
        hides = [words for words, holds in same if telling and not any(holds(*a) for a in telling)]
        for words in hides or list(_untried(tested, case.args[0], calls, pool)):
            reasons.setdefault(words, []).append(case.label)
    while reasons:
        words = max(reasons, key=lambda w: len(reasons[w]))
        labels = reasons.pop(words)
        yield words, labels
        left = {w: [one for one in some if one not in labels] for w, some in reasons.items()}
        reasons = {w: some for w, some in left.items() if some}


def _untried(
    tested: Exercise, implementation: Implementation, calls: Sequence[Call], pool: Sequence[tuple]
) -> Iterator[str]:
    """Say what all calls have in common, where the same call without that would go wrong."""
    for k, name in enumerate(_parameters(tested, calls)):
        values: list[Any] = [call.args[k] if k < len(call.args) else None for call in calls]
        one, usual = values[0], [args[k] for args in pool]
        if type(one) in (int, float) and all(value == one for value in values):
            others = [value for value in dict.fromkeys(usual) if value != one][:MOST_VALUES]
            tried = [[_with(c, k, value) for c in calls[:MOST_CALLS]] for value in others]
            words = f"`{name}` is {number(one)}"
        elif all(map(is_tensor, values)) and _is_one_number(values):
            tried = [[_with(c, k, _spread(c.args[k])) for c in calls[:MOST_CALLS]]]
            words = f"`{name}` is {number(one.reshape(-1)[0].item())} everywhere"
        elif not any(map(_has_negative, values)) and any(map(_has_negative, usual)):
            tried = [[_with(c, k, -copied(c.args[k])) for c in calls[:MOST_CALLS]]]
            words = f"`{name}` is never negative"
        else:
            continue
        shows = [any(_goes_wrong(tested, implementation, args) for args in some) for some in tried]
        if 2 * sum(shows) > len(shows):
            yield words


def _is_one_number(values: Sequence[torch.Tensor]) -> bool:
    numbers = torch.cat([value.detach().double().reshape(-1) for value in values])
    return numbers.numel() > len(values) and bool((numbers == numbers[0]).all())


def _spread(value: torch.Tensor) -> torch.Tensor:
    """Return other numbers in the place of ones that are all alike."""
    steps = torch.arange(1, value.numel() + 1).reshape(value.shape)
    return value.detach() + (steps if not value.is_floating_point() else 0.37 * steps)


def _has_negative(value: Any) -> bool:
    return is_tensor(value) and value.ndim > 0 and bool((value < 0).any())


def _with(call: Call, place: int, value: Any) -> tuple:
    return (*call.args[:place], value, *call.args[place + 1 :])


def _parameters(tested: Exercise, calls: Sequence[Call]) -> tuple[str, ...]:
    return tested.reference.__code__.co_varnames[: len(calls[0].args)]


def _named(labels: Sequence[str]) -> str:
    shown = [f'"{label}"' for label in labels[:MOST_NAMED]]
    more = len(labels) - len(shown)
    if more:
        return f"{', '.join(shown)} and {more} more do not show"
    return f"{' and '.join(shown)} {'does' if len(shown) == 1 else 'do'} not show"


def _difference(tested: Exercise, call: Call) -> tuple[str, str]:
    """Say what a wrong call gives, and what is right: one number where they can be compared."""
    expected = plain(tested.reference(*copied(call.args)))
    parts = parts_of(tested, call.result), parts_of(tested, expected)
    for name, rule, got, wanted in zip(tested.names or ("",), tested.rules, *parts, strict=True):
        mismatch = rule.mismatch("", got, wanted, call.args)
        if mismatch is not None and mismatch.rows:
            where, found, right = mismatch.rows[0]
            at = "" if where == "value" else f" at {where}{_for(call, where)}"
            what = f"{name} {found}" if name else found
            return where, f"{what}{at}, where {right} is right"
    return "", f"{short(call.result)}, where {short(expected)} is right"


def _looks_at(answer: Callable[..., Any], call: Call, where: str) -> str:
    """Say what the test compares at the place of a wrong number: what it holds against what."""
    definition, result = code_of(answer), as_array(call.result)
    if definition is None or result is None:
        return ""
    place = tuple(ast.literal_eval(where)) if where.startswith("[") else ()
    told = []
    for left, right, _ in comparisons(definition, True):
        one, other = value_of(left, call), value_of(right, call)
        if one is None or other is None or one.shape != result.shape:
            continue
        if other.ndim and other.shape != one.shape:
            continue
        beside = np.broadcast_to(other, one.shape)
        found, against = (number(side[place].item()) for side in (one, beside))
        asked = "" if isinstance(right, ast.Constant) else f", {against}"
        told.append(f"`{source(left)}`, {found}, with `{source(right)}`{asked}")
    return f"There it compares {' and '.join(told[:MOST_COMPARED])}. " if told else ""


def _for(call: Call, where: str) -> str:
    """Return the number of the first argument at a place of the result, if it has one there."""
    first, result = as_array(plain_or_none(call.args[0])), as_array(call.result)
    if first is None or result is None or first.shape != result.shape:
        return ""
    return f", for {number(first[tuple(ast.literal_eval(where))].item())}"


def arguments(call: Call) -> str:
    """Return the arguments of a call as source."""
    return shortened(", ".join(source_text(arg) for arg in call.args), LONGEST_CALL)


def short(value: Plain) -> str:
    """Return a result as source."""
    tensors = tuple(map(torch.from_numpy, filter(_is_array, value))) if _is_pair(value) else value
    if isinstance(tensors, np.ndarray):
        tensors = torch.from_numpy(tensors)
    return shortened(source_text(tensors), LONGEST_LINE)


def _is_pair(value: Plain) -> bool:
    return isinstance(value, tuple) and any(map(_is_array, value))


def _is_array(value: Plain) -> bool:
    return isinstance(value, np.ndarray)
