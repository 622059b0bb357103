"""What right answers to open exercises reach, all on the same hidden inputs.

An answer only ever returns values: what they reach is computed here, outside. Its process is a new
one, started once all exercises are graded, so that nothing it learns can come into any feedback.
"""

import functools
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace

import torch

from labkit.checks.calling import Outcome as CallOutcome
from labkit.checks.calling import call_all
from labkit.checks.exercise import Case, Exercise
from labkit.checks.rules import Open
from labkit.grading.course import Task
from labkit.grading.judging.results import Graded, Outcome
from labkit.grading.judging.run import Run
from labkit.grading.judging.walk import Walk
from labkit.grading.sandbox.process import Died

FEWEST_CASES = 24
"""Calls that all answers to an exercise are measured on; several draws where one gives less."""


def open_rule(exercise: Exercise) -> Open | None:
    """Return what measures the answers to an exercise, or None if they are right or wrong."""
    (first, *others) = exercise.rules or (None,)
    return first if isinstance(first, Open) and not others else None


def measured(
    graded: Iterable[Graded], tasks: Sequence[Task], walk: Walk, run: Run, secret: int
) -> list[Graded]:
    """Return the results of a notebook, the right ones of open exercises with what they reach.

    Parameters
    ----------
    graded : iterable of Graded
        One for each of `tasks`, all of them judged.
    tasks : sequence of Task
        The exercises of the lab.
    walk : Walk
        The notebook, as it was when they were judged.
    run : Run
        A process that has run nothing yet.
    secret : int
        What all hidden inputs are drawn from.
    """
    return [
        _measured(one, task, walk, run, secret)
        if one.outcome is Outcome.RIGHT and open_rule(task.exercise)
        else one
        for one, task in zip(graded, tasks, strict=True)
    ]


def shares(exercise: Exercise, secret: int, outcomes: Sequence[CallOutcome]) -> tuple[float, ...]:
    """Return what each call reached; nothing where it returned nothing that counts."""
    rule = open_rule(exercise)
    if rule is None:
        raise ValueError(f"exercise {exercise.id} is right or wrong; expected an open one.")
    reached = []
    for number, (case, expected, outcome) in enumerate(
        zip(_cases(exercise, secret), _references(exercise, secret), outcomes, strict=True)
    ):
        unseen = _seed(secret, exercise.id, "unseen", number)
        share = (
            rule.share("it", outcome.value, expected.value, case.args, unseen)
            if outcome.status == "returned"
            else 0.0
        )
        reached.append(share if isinstance(share, float) else 0.0)
    return tuple(reached)


def reference_shares(exercise: Exercise, secret: int) -> tuple[float, ...]:
    """Return what the lab's own solution reaches on the same inputs."""
    return shares(exercise, secret, _references(exercise, secret))


def _measured(graded: Graded, task: Task, walk: Walk, run: Run, secret: int) -> Graded:
    try:
        outcomes = [
            outcome
            for cases in _rounds(task.exercise, secret)
            for outcome in walk.outcomes(task, run, cases)
        ]
    except Died as end:
        remark = f"not on the leaderboard: {end}"
        return replace(graded, remark="; ".join(filter(None, [graded.remark, remark])))
    finally:
        run.leave()
    return replace(graded, reached=shares(task.exercise, secret, outcomes))


@functools.lru_cache(maxsize=16)
def _rounds(exercise: Exercise, secret: int) -> tuple[tuple[Case, ...], ...]:
    """Return inputs, drawn as often as it takes; each draw has the time of a graded one."""
    rounds: list[tuple[Case, ...]] = []
    while sum(map(len, rounds)) < FEWEST_CASES:
        rounds.append(tuple(exercise.draw(_seed(secret, exercise.id, "inputs", len(rounds)))))
    return tuple(rounds)


def _cases(exercise: Exercise, secret: int) -> list[Case]:
    return [case for cases in _rounds(exercise, secret) for case in cases]


@functools.lru_cache(maxsize=16)
def _references(exercise: Exercise, secret: int) -> tuple[CallOutcome, ...]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # with more of them sums may come out in another order
    try:
        return tuple(call_all(exercise.reference, _cases(exercise, secret)))
    finally:
        torch.set_num_threads(threads)


def _seed(*parts: object) -> int:
    return int.from_bytes(hashlib.sha256(repr(("leaderboard", *parts)).encode()).digest()[:8])
