"""From the outcomes of the calls to a verdict: which state, how many points, what to say.

`judge` needs nothing but plain values, so it can run in another process than the student's code.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache
from itertools import cycle
from typing import Any

import numpy as np
import torch

from labkit.checks.calling import Outcome
from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.rules import Mismatch, Rule, kind
from labkit.checks.values import Plain, as_array, describe, plain, source_text


class State(Enum):
    """The five states of an exercise, in the words that the card uses."""

    NOT_STARTED = "not started"
    RAISED = "your code raised"
    NOT_YET = "not yet"
    ALMOST = "almost"
    PASSED = "passed"


@dataclass(frozen=True)
class Failure:
    """The call to show: the failing one with the smallest input."""

    case: Case
    call: str
    problem: str
    rows: tuple[tuple[str, str, str], ...] = ()
    printed: str = ""


@dataclass(frozen=True)
class Verdict:
    """What the check found.

    Attributes
    ----------
    exercise : Exercise
        Whose verdict it is.
    state : State
        One of the five.
    right, total : int
        Calls that gave the right result, of all.
    failure : Failure, optional
        The call to look at, unless all is well or nothing was started.
    diagnosis : Misconception, optional
        The known mistake that gives the same results as the student's code.
    notes : tuple of str
        Remarks that cost no points.
    numpy : bool
        Whether the results are numpy arrays.
    """

    exercise: Exercise
    state: State
    right: int
    total: int
    failure: Failure | None = None
    diagnosis: Misconception | None = None
    notes: tuple[str, ...] = ()
    numpy: bool = False

    @property
    def points(self) -> float:
        """Full points if passed, half if almost, else 0."""
        share = {State.PASSED: 1.0, State.ALMOST: 0.5}.get(self.state, 0.0)
        return self.exercise.points * share


def judge(exercise: Exercise, cases: Sequence[Case], outcomes: Sequence[Outcome]) -> Verdict:
    """Compare what the calls returned with the reference.

    Almost right is an answer with at least half of its calls right, or with right numbers in a
    wrong dtype.
    """
    total = len(cases)
    own = f"Exercise {exercise.id}"
    if any(o.status == "not started" and o.message in ("", own) for o in outcomes):
        return Verdict(exercise, State.NOT_STARTED, 0, total)
    expected = [_result(exercise.reference, case) for case in cases]
    mismatches = [
        _mismatch(exercise, outcome, wanted, case)
        for outcome, wanted, case in zip(outcomes, expected, cases, strict=True)
    ]
    wrong = [i for i, mismatch in enumerate(mismatches) if mismatch is not None]
    right = total - len(wrong)
    if not wrong:
        numpy = any(outcome.numpy for outcome in outcomes)
        return Verdict(
            exercise, State.PASSED, right, total, notes=_notes(exercise, outcomes), numpy=numpy
        )
    broken = [i for i in wrong if outcomes[i].status in ("raised", "stopped", "not started")]
    # "The numbers are right" must not be read where other calls have wrong ones.
    off = [i for i, mismatch in enumerate(mismatches) if mismatch and not mismatch.form_only]
    shown = min(broken or off or wrong, key=lambda i: (_size(cases[i].args), i))
    if broken:
        state = State.RAISED
    elif 2 * right >= total or not off:
        state = State.ALMOST
    else:
        state = State.NOT_YET
    returned = [i for i in wrong if outcomes[i].status == "returned"]
    diagnosis = _diagnose(exercise, cases, outcomes, returned) if returned else None
    failure = _failure(exercise, cases[shown], outcomes[shown], mismatches[shown])
    return Verdict(exercise, state, right, total, failure, diagnosis)


def _mismatch(exercise: Exercise, outcome: Outcome, expected: Plain, case: Case) -> Mismatch | None:
    got, names = outcome.value, exercise.names
    if outcome.status == "unplain":
        return Mismatch(
            f"`{exercise.function}` returned {outcome.message}; {_asked(names, expected)}."
        )
    if outcome.status == "not started":
        return Mismatch(
            f"Your code calls the answer to e{outcome.message[1:]}, which is not there yet. Run "
            "the check of that exercise first: it puts the reference in its place."
        )
    if outcome.status != "returned":
        return Mismatch(outcome.message)
    if not names:
        return exercise.rules[0].mismatch("The result", got, expected, case.args)
    if not isinstance(got, tuple) or len(got) != len(names):
        return Mismatch(
            f"`{exercise.function}` returned {describe(got)}; {_asked(names, expected)}."
        )
    for name, rule, value, wanted in zip(names, exercise.rules, got, expected, strict=True):
        mismatch = rule.mismatch(name, value, wanted, case.args)
        if mismatch is not None:
            return mismatch
    return None


def _asked(names: Sequence[str], expected: Plain) -> str:
    if names:
        return f"expected {len(names)} values: {', '.join(names)}"
    wanted = as_array(expected)
    return "expected numbers" if wanted is None else f"expected {kind(wanted)}"


def _failure(
    exercise: Exercise, case: Case, outcome: Outcome, mismatch: Mismatch | None
) -> Failure:
    call = f"{exercise.function}({', '.join(source_text(arg) for arg in case.args)})"
    problem, rows = (mismatch.problem, mismatch.rows) if mismatch else ("", ())
    return Failure(case, call, problem, rows, outcome.printed)


def _diagnose(
    exercise: Exercise, cases: Sequence[Case], outcomes: Sequence[Outcome], wrong: list[int]
) -> Misconception | None:
    """Find the known mistake that explains every wrong call, and most of the right ones."""

    @cache
    def result(mistake: int, i: int) -> Plain:
        return _result(exercise.misconceptions[mistake].wrong, cases[i])

    def agreement(mistake: int, rules: Sequence[Rule]) -> int:
        def same(i: int) -> bool:
            return _alike(outcomes[i].value, result(mistake, i), rules)

        return sum(map(same, range(len(cases)))) if all(map(same, wrong)) else 0

    # To the last digits first: within the tolerance of the exercise two mistakes can be one.
    for rules in (Rule(),), exercise.rules:
        scores = [agreement(mistake, rules) for mistake in range(len(exercise.misconceptions))]
        if any(scores):
            return exercise.misconceptions[scores.index(max(scores))]
    return None


def _result(function: Callable[..., Any], case: Case) -> Plain:
    return plain(function(*copy.deepcopy(case.args)))


def _alike(got: Plain, other: Plain, rules: Sequence[Rule]) -> bool:
    if isinstance(got, tuple) or isinstance(other, tuple):
        return (
            isinstance(got, tuple)
            and isinstance(other, tuple)
            and len(got) == len(other)
            and all(_alike(a, b, (rule,)) for a, b, rule in zip(got, other, cycle(rules)))
        )
    if got is None or other is None or isinstance(got, str) or isinstance(other, str):
        return got is other
    a, b = np.asarray(got), np.asarray(other)
    # Tensors must agree in kind as well: right numbers as float32 are a mistake of their own.
    if a.shape != b.shape or (a.ndim and (a.dtype.kind == "f") != (b.dtype.kind == "f")):
        return False
    if a.dtype.kind != "f" and b.dtype.kind != "f":
        return bool(np.array_equal(a, b))
    near = {"rtol": max(1e-5, rules[0].relative), "atol": max(1e-12, rules[0].absolute)}
    return bool(np.allclose(a.astype(float), b.astype(float), **near, equal_nan=True))


def _size(value: object) -> int:
    if isinstance(value, tuple | list):
        return sum(map(_size, value))
    return value.numel() if isinstance(value, torch.Tensor) else 1


def _notes(exercise: Exercise, outcomes: Sequence[Outcome]) -> tuple[str, ...]:
    changed = {position for outcome in outcomes for position in outcome.changed}
    if not changed:
        return ()
    code = exercise.reference.__code__
    names = ", ".join(code.co_varnames[position] for position in sorted(changed))
    return (
        f"Your code changes its input in place ({names}): whoever calls it loses the original. "
        "Work on a copy.",
    )
