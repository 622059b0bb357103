"""What a card says about a slip: the share that is named, and the sources one by one."""

import pytest
import torch
from diagnosis import results, row

from labkit.checks import registry
from labkit.checks.calling import call_all
from labkit.checks.diagnosis.errors import meaning
from labkit.checks.lab import NOTEBOOK_SEED
from labkit.checks.verdict import judge

EXERCISES = {e.id: e for number in registry.STEMS for e in registry.exercises(number)}


def keys(exercise_id: str, answer) -> list[str]:
    exercise = EXERCISES[exercise_id]
    cases = exercise.draw(NOTEBOOK_SEED)
    return [f.key for f in judge(exercise, cases, call_all(answer, cases)).findings]


@pytest.mark.slow
def test_most_slips_of_lab_0_are_named() -> None:
    counts = row(results(0))
    assert counts["named"] >= 0.6 * counts["wrong"]
    assert counts["wrong cause"] <= 0.15 * counts["wrong"]
    assert counts["refused"] == 0


def test_an_argument_that_is_left_out_is_named() -> None:
    quantize = EXERCISES["1.3"].reference
    found = keys("1.3", lambda x, s, z, low, high: quantize(x, s, z, -128, 127))
    assert found == ["argument: qmin and qmax fixed"]


def test_results_in_another_order_are_named() -> None:
    reference = EXERCISES["1.2"].reference
    assert keys("1.2", lambda *args: reference(*args)[::-1]) == ["result: order"]


def test_two_calls_that_agree_by_chance_name_no_cause() -> None:
    found = keys("1.3", lambda x, *grid: torch.zeros_like(x).int())
    assert [key for key in found if not key.startswith("contrast")] == []


def test_an_error_is_explained() -> None:
    assert "take the magnitude" in meaning("ValueError: math domain error\nat line 3")
    assert meaning("OddError: nothing known") == ""


@pytest.mark.parametrize("value", [2**126, -(2**127), None, "127", (2**126,)])
def test_a_result_that_no_array_holds_is_no_fault_of_the_diagnosis(value) -> None:
    assert "stored" not in " ".join(keys("1.3", lambda *args: value))
