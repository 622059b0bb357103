"""What came of an exercise, in a sentence for the student."""

import torch

from labkit.checks import registry
from labkit.checks.calling import call_all
from labkit.checks.verdict import judge
from labkit.grading.judging.results import Outcome
from labkit.grading.judging.summary import summary

ROUND = next(exercise for exercise in registry.exercises(1) if exercise.id == "1.5")


def said(answer, outcome: Outcome) -> str:
    cases = ROUND.draw(5)
    return summary(judge(ROUND, cases, call_all(answer, cases)), outcome)


def test_a_right_answer_is_said_to_be_right() -> None:
    assert said(torch.round, Outcome.RIGHT).endswith("gave the right result.")


def test_changed_inputs_are_not_called_wrong_results() -> None:
    found = said(lambda x: x.round_(), Outcome.ALMOST)
    assert found.startswith("The numbers are right. ")
    assert "of 8 calls with hidden inputs left their inputs as they were. One" in found


def test_wrong_results_are_counted() -> None:
    assert "gave the right result. One that did not: " in said(torch.floor, Outcome.WRONG)
