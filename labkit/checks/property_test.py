"""Exercises in which the student writes a test, and it is tried on wrong implementations.

The wrong ones are the stored misconceptions of an earlier exercise, and a few single edits of its
reference that are drawn anew each time. A test passes if it accepts every right implementation
and catches nearly all of the wrong ones.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch

from labkit.checks import mutants
from labkit.checks.exercise import Case, Exercise, Misconception
from labkit.checks.rules import Rule

EDITS = 4
SPARED = 1
REFERENCE = "the reference"

ALWAYS_NO = Misconception(
    "always says no",
    lambda candidate: False,
    "A test that refuses right code is of no use: nobody would look at it any more.",
)
# Traits of what `quantize` and `fake_quantize` are called with.
NOTHING_TO_ROUND = (
    "every `x` lies on the grid",
    lambda x, scale, *_: bool(((x / scale - torch.round(x / scale)).abs() < 0.01).all()),
)
NOTHING_TO_CLAMP = (
    "no `x` is beyond the range",
    lambda x, scale, zero_point, qmin, qmax: (
        bool((x / scale + zero_point >= qmin - 1).all())
        and bool((x / scale + zero_point <= qmax + 1).all())
    ),
)


def property_test(
    id: str,
    title: str,
    tested: Exercise,
    reference: Callable[[Callable[..., Any]], bool],
    right: Sequence[tuple[str, str, str]],
    hints: tuple[str, ...],
    misconceptions: tuple[Misconception, ...],
    minutes: tuple[int, int],
    without: Sequence[str] = (),
    traits: Sequence[tuple[str, Callable[..., bool]]] = (),
    reminders: Sequence[tuple[str, Callable[..., bool]]] = (),
    points: int = 3,
) -> Exercise:
    """Declare an exercise in which a test of an earlier one is written.

    Parameters
    ----------
    tested : Exercise
        The earlier one.
    reference : callable
        A good test: takes an implementation, returns whether it is right.
    right : sequence of (label, wrapper, allowed)
        Other right implementations: what they do otherwise, a function of the reference, as
        source that needs no imports but ``torch``, and what a test that refuses it has to allow.
    without : sequence of str
        The misconceptions of `tested` that no test of properties should have to catch, by name.
    traits : sequence of (words, holds)
        What inputs may have in common that hides mistakes: said if it holds in all calls.
    reminders : sequence of (words, holds)
        What is recalled to a test that refuses the reference, if it concerns the call.

    Returns
    -------
    Exercise
        An extra, with half of its points for half of the calls.
    """

    def cases(rng: torch.Generator) -> list[Case]:
        stored = [m for m in mutants.misconceptions(tested) if m.does not in without]
        edits = [m for m in mutants.clear_edits(tested) if not _accepts(reference, m)]
        drawn = [edits[i] for i in torch.randperm(len(edits), generator=rng)[:EDITS].tolist()]
        wrong = [Case(m.does, (m.implementation,)) for m in (*stored, *drawn)]
        accepted = [(REFERENCE, mutants.IDENTITY, ""), *right]
        good = [
            Case(label, (mutants.right(tested, wrapper),), must=True)
            for label, wrapper, _ in accepted
        ]
        both = [*good, *wrong]
        order = torch.randperm(len(both), generator=rng).tolist()
        return [_unseen(both[i], rng) for i in order]

    return Exercise(
        id=id,
        title=title,
        points=points,
        minutes=minutes,
        extra=True,
        kind="test",
        spared=SPARED,
        tested=tested,
        traits=tuple(traits),
        reminders=tuple(reminders),
        allowed={label: allowed for label, _, allowed in right},
        reference=reference,
        cases=cases,
        rules=(Rule(),),
        hints=hints,
        misconceptions=misconceptions,
    )


def _unseen(case: Case, rng: torch.Generator) -> Case:
    """Return a case whose program is a text of its own, which no table of texts knows."""
    (one,) = case.args
    number = int(torch.randint(2**31, (), generator=rng))
    return replace(case, args=(replace(one, program=f"{one.program}\n# {number}"),))


def _accepts(test: Callable[..., bool], mutant: mutants.Mutant) -> bool:
    try:
        return test(mutant.implementation)
    except Exception:
        return False
