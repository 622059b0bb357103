"""No machine-made mistake passes a check; `tests/mutation.py` prints the table."""

import ast

import mutation
import pytest

from labkit.checks import registry


@pytest.mark.parametrize("number", registry.STEMS)
def test_no_mutant_that_changes_results_passes_its_check(number: int) -> None:
    rows, notes = mutation.run(number)
    assert [note for note in notes if "SURVIVED" in note] == []
    assert all(refused > 0 for _, _, refused, _ in rows)
    assert sum(refused for _, _, refused, _ in rows) > 0.9 * sum(row[1] for row in rows)


def test_mutants_differ_from_their_source_and_from_one_another() -> None:
    source = "def f(x, n):\n    y = x.abs() + n\n    return max(y, 2) if n > 0 else y"
    found = [ast.unparse(mutant.tree) for mutant in mutation.mutants(source)]
    assert ast.unparse(ast.parse(source)) not in found
    assert "def f(x, n):\n    y = x[...] + n\n    return max(y, 2) if n > 0 else y" in found
    assert "def f(x, n):\n    y = x.abs() - n\n    return max(y, 2) if n > 0 else y" in found
    assert "def f(x, n):\n    y = x.abs() + n\n    return y if n > 0 else max(y, 2)" in found
    assert len(set(found)) == len(found)


def test_a_check_that_looks_at_too_little_lets_a_mutant_through() -> None:
    exercise = next(e for e in registry.exercises(1) if e.id == "1.1")
    blind = type(exercise)(
        **{
            **vars(exercise),
            "cases": lambda rng: (
                exercise.cases(rng)[:1] if rng.initial_seed() == 5 else exercise.cases(rng)
            ),
        }
    )
    source = mutation.answers(1)["1.1"]
    names = mutation.namespace(1)
    assert any(mutation.survives(blind, mutant, names) for mutant in mutation.mutants(source))
