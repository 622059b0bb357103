"""From the outcomes of the calls to a verdict: which state, how many points, what to say.

`judge` needs nothing but plain values, so it can run in another process than the student's code.
"""

import copy
import inspect
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import cached_property
from typing import Any

import numpy as np

from labkit.checks.calling import BROKEN, Outcome
from labkit.checks.diagnosis.diagnosis import diagnose
from labkit.checks.diagnosis.finding import Finding
from labkit.checks.diagnosis.judging.sayings import judged, said
from labkit.checks.exercise import Case, Exercise, Misconception, smallest
from labkit.checks.rules import Mismatch, kind
from labkit.checks.values import Plain, as_array, describe, plain, source_text

BITS_OF_A_NUMBER = "pattern"
"""The argument that holds the bits of a float: nobody reads them in decimal."""


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
    raised: bool = False
    spoils_input: bool = False


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
    calls : tuple of (Case, Outcome)
        All calls, for the diagnosis.
    wrong : tuple of int
        Which of them are not accepted; a passed answer may have a few, if its exercise spares them.
    answer : callable, optional
        The function itself; only where its code may be read and run again for the diagnosis.
    notes : tuple of str
        Remarks that cost no points.
    numpy : bool
        Whether the results are numpy arrays.
    expected : tuple
        What the reference gave for each call.
    """

    exercise: Exercise
    state: State
    right: int
    total: int
    failure: Failure | None = None
    calls: tuple[tuple[Case, Outcome], ...] = ()
    wrong: tuple[int, ...] = ()
    answer: Callable[..., Any] | None = None
    notes: tuple[str, ...] = ()
    numpy: bool = False
    expected: tuple[Plain, ...] = ()

    @property
    def points(self) -> float:
        """Full points if passed, half if almost, else 0."""
        share = {State.PASSED: 1.0, State.ALMOST: 0.5}.get(self.state, 0.0)
        return self.exercise.points * share

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """What can be said about a wrong answer; worked out when it is asked for."""
        cases, outcomes = [case for case, _ in self.calls], [outcome for _, outcome in self.calls]
        if not self.wrong or self.state is State.PASSED:
            return ()
        if self.exercise.kind != "values":
            return judged(self.exercise, cases, outcomes, self.wrong, self.answer)
        with warnings.catch_warnings(action="ignore"):  # those of guesses, not of the answer
            return diagnose(self.exercise, cases, outcomes, self.wrong, self.answer, self.expected)

    @property
    def diagnosis(self) -> Misconception | None:
        """The stored mistake that explains the answer, if one does."""
        return next((f.misconception for f in self.findings if f.misconception), None)


def judge(
    exercise: Exercise,
    cases: Sequence[Case],
    outcomes: Sequence[Outcome],
    answer: Callable[..., Any] | None = None,
) -> Verdict:
    """Compare what the calls returned with the reference.

    `answer` is the function itself, where its code may be read and run again for the diagnosis.

    Almost right is an answer with at least half of its calls right, whether the others raise or
    return wrong numbers, or with right numbers in a wrong form, or that changes its inputs.
    """
    total = len(cases)
    own = ("", f"Exercise {exercise.id}")
    if any(o.status == "not started" and o.message in own for o in outcomes):
        return Verdict(exercise, State.NOT_STARTED, 0, total)
    notes: tuple[str, ...] = ()
    if exercise.kind == "test":
        notes = _silence(outcomes)
        outcomes = [said(outcome) for outcome in outcomes]
        expected: list[Plain] = [case.must for case in cases]
    else:
        expected = [_result(exercise.reference, case) for case in cases]
    mismatches = [
        _mismatch(exercise, outcome, wanted, case)
        for outcome, wanted, case in zip(outcomes, expected, cases, strict=True)
    ]
    wrong = [i for i, mismatch in enumerate(mismatches) if mismatch is not None]
    if not wrong and any(outcome.changed for outcome in outcomes):
        return _at_the_expense_of_inputs(exercise, cases, outcomes)
    right = total - len(wrong)
    calls = tuple(zip(cases, outcomes, strict=True))
    lost = any(cases[i].must for i in wrong)
    if len(wrong) <= exercise.spared and not lost:
        return Verdict(
            exercise,
            State.PASSED,
            right,
            total,
            calls=calls if exercise.kind == "test" else (),
            wrong=tuple(wrong),
            notes=notes,
            numpy=any(outcome.numpy for outcome in outcomes),
        )
    broken = [i for i in wrong if outcomes[i].status in BROKEN]
    # "The numbers are right" must not be read where other calls have wrong ones.
    off = [i for i, mismatch in enumerate(mismatches) if mismatch and not mismatch.form_only]
    shown = smallest(cases, broken or off or wrong)
    if not lost and (2 * right >= total or not (off or broken)):
        state = State.ALMOST
    elif broken:
        state = State.RAISED
    else:
        state = State.NOT_YET
    failure = _failure(exercise, cases[shown], outcomes[shown], mismatches[shown])
    verdict = Verdict(exercise, state, right, total, failure, calls, tuple(wrong), answer, notes)
    return replace(verdict, expected=tuple(expected))


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
    if isinstance(got, np.ndarray) and got.shape == (len(names),):
        inside = replace(outcome, value=tuple(map(np.asarray, got)))
        return _mismatch(exercise, inside, expected, case) or Mismatch(
            f"`{exercise.function}` returned {describe(got)}; {_asked(names, expected)}. The "
            f"numbers are right: return them side by side, `return {', '.join(names)}`.",
            form_only=True,
        )
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
    if isinstance(expected, str):
        return "expected a name"
    if isinstance(expected, tuple):
        return "expected a list of names"
    wanted = as_array(expected)
    return "expected numbers" if wanted is None else f"expected {kind(wanted)}"


def _failure(
    exercise: Exercise, case: Case, outcome: Outcome, mismatch: Mismatch | None
) -> Failure:
    names = inspect.signature(exercise.reference).parameters
    args = [
        hex(arg) if name == BITS_OF_A_NUMBER and isinstance(arg, int) else source_text(arg)
        for name, arg in zip(names, case.args, strict=True)
    ]
    call = f"{exercise.function}({', '.join(args)})"
    problem, rows = (mismatch.problem, mismatch.rows) if mismatch else ("", ())
    raised = outcome.status in ("raised", "stopped")
    return Failure(case, call, problem, rows, outcome.printed, raised)


def _result(function: Callable[..., Any], case: Case) -> Plain:
    return plain(function(*copy.deepcopy(case.args)))


def _silence(outcomes: Sequence[Outcome]) -> tuple[str, ...]:
    """Remark that a test returns nothing where it says yes."""
    if not any(outcome.status == "returned" and outcome.value is None for outcome in outcomes):
        return ()
    return (
        "Your test returns nothing for some implementations. That counts as yes, and an error as "
        "no; clearer is to end with `return True`, and with `return False` where it says no.",
    )


def _at_the_expense_of_inputs(
    exercise: Exercise, cases: Sequence[Case], outcomes: Sequence[Outcome]
) -> Verdict:
    """Return the verdict on an answer with right results that changes what it was given."""
    changing = [i for i, outcome in enumerate(outcomes) if outcome.changed]
    shown = smallest(cases, changing)
    names = inspect.signature(exercise.reference).parameters
    changed = {position for i in changing for position in outcomes[i].changed}
    listed = ", ".join(name for k, name in enumerate(names) if k in changed)
    mismatch = Mismatch(
        f"The numbers are right, but your code changes its input in place ({listed}): whoever "
        "calls it loses the original. A copy is `x.clone()`, with a gradient "
        "`x.clone().requires_grad_()`; of a list it is `list(x)`."
    )
    failure = _failure(exercise, cases[shown], outcomes[shown], mismatch)
    total, failure = len(cases), replace(failure, spoils_input=True)
    return Verdict(exercise, State.ALMOST, total - len(changing), total, failure)
