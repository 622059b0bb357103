"""Answers that are fitted to the inputs which the notebook shows, and know nothing else."""

from collections.abc import Sequence

from labkit.checks.calling import Outcome, call_all
from labkit.checks.exercise import Case
from labkit.checks.lab import NOTEBOOK_SEED
from labkit.checks.verdict import State, Verdict, judge
from labkit.grading.wire import encode


def new_calls_right(
    verdict: Verdict, cases: Sequence[Case], outcomes: Sequence[Outcome]
) -> tuple[int, int]:
    """Return how many calls with inputs that the notebook does not hold are right, and of how many.

    Right numbers in a wrong dtype count.
    """
    exercise = verdict.exercise
    known = {encode(list(case.args)) for case in exercise.draw(NOTEBOOK_SEED)}
    new = [
        judge(exercise, [case], [outcome]).points > 0
        for case, outcome in zip(cases, outcomes, strict=True)
        if encode(list(case.args)) not in known
    ]
    return sum(new), len(new)


def is_fitted(verdict: Verdict, cases: Sequence[Case], outcomes: Sequence[Outcome]) -> bool:
    """Return whether an answer owes its half points to inputs of the notebook alone.

    Not if a known mistake gets as many calls right by itself: who made it has earned them.
    """
    if verdict.state is not State.ALMOST:
        return False
    right, total = new_calls_right(verdict, cases, outcomes)
    if right or not total:
        return False
    if verdict.diagnosis is None:
        return True
    mistake = judge(verdict.exercise, cases, call_all(verdict.diagnosis.wrong, cases))
    return mistake.right < verdict.right
