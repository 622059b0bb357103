"""No machine-made mistake passes a check; `tests/mutation.py` prints the table."""

import ast
import warnings
from dataclasses import replace

import mutation
import pytest

from labkit.checks import registry


@pytest.mark.slow
@pytest.mark.parametrize("number", registry.STEMS)
def test_no_mutant_that_changes_results_passes_its_check(number: int) -> None:
    known = mutation.stored()
    rows = mutation.run(number, known)
    assert {row.exercise: row.survived for row in rows if row.survived} == {}
    assert all(row.refused > 0 for row in rows)
    assert sum(row.refused for row in rows) > 0.9 * sum(row.total for row in rows)
    new = [
        row.exercise for row in rows if row.equivalent.keys() - known.get(row.exercise, {}).keys()
    ]
    if new:
        warnings.warn(
            f"equivalent mutants of {', '.join(new)} are not stored and cost twenty times as much: "
            f"python tests/mutation.py --lab {number}",
            stacklevel=1,
        )


def test_mutants_differ_from_their_source_and_from_one_another() -> None:
    source = "def f(x, n):\n    y = x.abs() + n\n    return max(y, 2) if n > 0 else y"
    found = [ast.unparse(mutant.tree) for mutant in mutation.mutants(source)]
    assert ast.unparse(ast.parse(source)) not in found
    assert "def f(x, n):\n    y = x[...] + n\n    return max(y, 2) if n > 0 else y" in found
    assert "def f(x, n):\n    y = x.abs() - n\n    return max(y, 2) if n > 0 else y" in found
    assert "def f(x, n):\n    y = x.abs() + n\n    return y if n > 0 else max(y, 2)" in found
    assert len(set(found)) == len(found)


def blind_trial(stored=()) -> mutation.Trial:
    """Exercise 1.1 with a check that looks at one call only."""
    exercise = next(e for e in registry.exercises(1) if e.id == "1.1")

    def cases(rng):
        found = exercise.cases(rng)
        return found[:1] if rng.initial_seed() == mutation.NOTEBOOK_SEED else found

    return mutation.Trial(replace(exercise, cases=cases), mutation.namespace(1), stored)


def test_a_check_that_looks_at_too_little_lets_a_mutant_through_stored_or_not() -> None:
    trial, found = blind_trial(), list(mutation.mutants(mutation.answers(1)["1.1"]))
    assert any(trial.survives(mutant) for mutant in found)
    assert any(blind_trial(set(map(trial.key, found))).survives(mutant) for mutant in found)


def test_what_is_stored_counts_for_the_same_mutant_of_the_same_exercise_only() -> None:
    trial = blind_trial()
    one, other, *_ = mutation.mutants(mutation.answers(1)["1.1"])
    before = trial.key(one)
    assert before != trial.key(other)
    trial.declared += "\n"
    assert before != trial.key(one)


DECLARED = """
from labkit.checks.exercise import Exercise

LIMIT = 3

def right(x):
    \"\"\"Return x.\"\"\"
    return min(x, LIMIT)

def _helped(x):
    return right(x) + 1

EXERCISE = Exercise(id="9.9", hints=("Look.",), reference=right, misconceptions=(_helped,))
"""


def test_prose_and_known_mistakes_leave_what_is_stored() -> None:
    same = (
        DECLARED.replace("Return x.", "Return `x` or `LIMIT`.")
        .replace("LIMIT = 3", "LIMIT = 3  # no more")
        .replace("Look.", "Look again.")
        .replace("+ 1", "+ 2")
    )
    assert same != DECLARED
    assert mutation.declaration(same, "EXERCISE") == mutation.declaration(DECLARED, "EXERCISE")


@pytest.mark.parametrize(
    ("before", "after"), [("LIMIT = 3", "LIMIT = 4"), ("min(", "max("), ("9.9", "9.8")]
)
def test_what_decides_a_verdict_does_not(before: str, after: str) -> None:
    other = DECLARED.replace(before, after)
    assert mutation.declaration(other, "EXERCISE") != mutation.declaration(DECLARED, "EXERCISE")
