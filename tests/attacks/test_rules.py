"""Wrong results that a loose rule would take: judged without a sandbox, which they do not need."""

import functools
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from labkit.checks import registry
from labkit.checks.calling import Outcome, call_all
from labkit.checks.exercise import Case, Exercise
from labkit.checks.lab import NOTEBOOK_SEED
from labkit.checks.verdict import judge
from labkit.grading.judging.fitted import is_fitted
from labkit.grading.wire import encode

EXERCISES = {e.id: e for number in registry.STEMS for e in registry.exercises(number)}
SECRET_SEED = 777_000_777
# Trained or searched for in each reference: no form of a number gets far enough to need more.
SLOW = ("4.11", "5.9")

torch.set_num_threads(1)  # as in `labkit grade`


@functools.cache
def cases_of(key: str, seed: int) -> list[Case]:
    return EXERCISES[key].draw(seed)


def inputs(exercise: Exercise, seed: int) -> set[bytes]:
    return {encode(list(case.args)) for case in cases_of(exercise.id, seed)}


# Elsewhere there is nothing that an answer could know by heart; what other kinds are called with is
# written anew at every draw.
KNOWN = [
    e
    for e in EXERCISES.values()
    if e.kind == "values" and inputs(e, NOTEBOOK_SEED) & inputs(e, SECRET_SEED)
]


def test_some_secret_inputs_are_those_of_the_notebook() -> None:
    assert {"0.1", "1.1"} <= {exercise.id for exercise in KNOWN}


def _hidden_in_a_common_column(w: Tensor, *rest: Tensor) -> Tensor:
    w = w.double() / w.abs().max() * 0.99e-4
    w[:, 0] = 1.0
    return w


def _hidden_in_the_tolerance_of_s(w: Tensor, *rest: Tensor) -> Tensor:
    return 1 + 0.495e-4 * (w.double() / w.abs().max() - 1)


def _beyond_measure(w: Tensor, *rest: Tensor) -> Tensor:
    return torch.full_like(w.double(), 1.7e308)


@pytest.mark.parametrize(
    "wrong", [_hidden_in_a_common_column, _hidden_in_the_tolerance_of_s, _beyond_measure]
)
def test_real_weights_do_not_pass_for_ternary_ones(wrong: Callable[..., Tensor]) -> None:
    exercise = EXERCISES["5.9"]
    cases = cases_of(exercise.id, SECRET_SEED)
    assert judge(exercise, cases, call_all(wrong, cases)).points == 0


@pytest.mark.parametrize("exercise", KNOWN, ids=lambda exercise: exercise.id)
def test_who_knows_the_notebooks_inputs_by_heart_gets_nothing(exercise: Exercise) -> None:
    known = {encode(list(c.args)): c.args for c in cases_of(exercise.id, NOTEBOOK_SEED)}

    def fitted(*args: object) -> object:
        found = known.get(encode(list(args)))
        return 0 if found is None else exercise.reference(*found)

    cases = cases_of(exercise.id, SECRET_SEED)
    outcomes = call_all(fitted, cases, 60.0)
    verdict = judge(exercise, cases, outcomes)
    assert verdict.points == 0 or is_fitted(verdict, cases, outcomes)


@pytest.mark.parametrize("exercise", KNOWN, ids=lambda exercise: exercise.id)
def test_an_honest_mistake_keeps_its_half_points(exercise: Exercise) -> None:
    cases, fitted = cases_of(exercise.id, SECRET_SEED), []
    for mistake in exercise.misconceptions:
        outcomes = call_all(mistake.wrong, cases, 60.0)
        if is_fitted(judge(exercise, cases, outcomes), cases, outcomes):
            fitted.append(mistake.name)
    assert fitted == []


@pytest.mark.parametrize("exercise", EXERCISES.values(), ids=EXERCISES)
def test_no_form_of_a_number_is_a_wildcard(exercise: Exercise) -> None:
    cases = cases_of(exercise.id, SECRET_SEED)
    expected = [outcome.value for outcome in call_all(exercise.reference, cases, 60.0)]
    expected = [False if value is None else value for value in expected]  # a test that raises
    fills = (np.nan, 1e308, np.float16(np.nan), np.uint64(2**64 - 1), np.int64(-(2**63)))
    for fill in fills[: 1 if exercise.id in SLOW else None]:

        def filled(value: object, fill: np.generic | float = fill) -> object:
            if isinstance(value, tuple):
                return tuple(map(filled, value))
            return np.full(np.shape(value), fill)

        outcomes = [Outcome("returned", filled(value)) for value in expected]
        assert judge(exercise, cases, outcomes).points == 0
