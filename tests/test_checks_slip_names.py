"""Exercises in which the student names what is wrong."""

import collections

import pytest

from labkit.checks import registry
from labkit.checks.calling import call_all
from labkit.checks.lab import NOTEBOOK_SEED
from labkit.checks.messages import verdict_card
from labkit.checks.slip_names import Name, name_the_slip
from labkit.checks.verdict import State, judge

EXERCISES = [e for number in registry.STEMS for e in registry.exercises(number)]
NAMED = [e for e in EXERCISES if e.kind == "names"]
SLIPS = [e for e in NAMED if type(e.rules[0]) is Name]
GEMM = next(e for e in SLIPS if e.id == "3.13")
SEEDS = 5, 0, 7, 99


def test_there_is_one_in_each_of_labs_1_to_5() -> None:
    assert {int(e.id.split(".")[0]) for e in SLIPS} == {1, 2, 3, 4, 5}


@pytest.mark.parametrize("exercise", SLIPS, ids=lambda e: e.id)
def test_each_slip_is_asked_for_as_often_as_every_other(exercise) -> None:
    orders = set()
    for seed in SEEDS:
        answers = [exercise.reference(*case.args) for case in exercise.draw(seed)]
        assert set(collections.Counter(answers).values()) == {2}
        orders.add(tuple(answers))
    assert len(orders) == len(SEEDS)


@pytest.mark.parametrize("exercise", SLIPS, ids=lambda e: e.id)
def test_a_guess_earns_nothing(exercise) -> None:
    names = exercise.rules[0].names
    for seed in SEEDS:
        cases = exercise.draw(seed)
        for guess in names:
            found = judge(exercise, cases, call_all(lambda *args, guess=guess: guess, cases))
            assert found.points == 0
        in_turn = iter(names * len(cases))
        assert judge(exercise, cases, call_all(lambda *a, n=in_turn: next(n), cases)).points == 0


@pytest.mark.parametrize("exercise", SLIPS, ids=lambda e: e.id)
def test_who_tells_right_from_wrong_only_earns_nothing(exercise) -> None:
    first, second, *_ = exercise.rules[0].names

    def right_or_not(*args):
        return first if exercise.reference(*args) == first else second

    cases = exercise.draw(5)
    assert judge(exercise, cases, call_all(right_or_not, cases)).points == 0


def test_a_name_that_is_not_in_the_list_is_answered_with_the_list() -> None:
    rule = Name(names=("right", "wrapped"))
    assert rule.mismatch("The result", "right", "right", ()) is None
    assert "this output is" in rule.mismatch("The result", "wrapped", "right", ()).problem
    for other in ("Right", None, 1, ("right",)):
        assert '"right", "wrapped"' in rule.mismatch("The result", other, "right", ()).problem


def test_slips_that_nothing_tells_apart_are_refused() -> None:
    exercise = name_the_slip(
        id="1.99",
        title="Two names for one thing",
        reference=lambda x, y: "one",
        slips={"one": lambda x: x, "other": lambda x: x},
        inputs=lambda rng: (1.0,),
        hints=(),
        confusions=(),
        signs={},
        minutes=(1, 2),
    )
    with pytest.raises(ValueError, match="tell one, other apart"):
        exercise.draw(0)


def card_of(exercise, answer) -> str:
    cases = exercise.draw(NOTEBOOK_SEED)
    return repr(verdict_card(judge(exercise, cases, call_all(answer, cases))))


def naming(names: dict):
    """Return an answer to 3.13 that gives some outputs another name."""
    return lambda *args: names.get(GEMM.reference(*args), GEMM.reference(*args))


@pytest.mark.parametrize("exercise", SLIPS, ids=lambda e: e.id)
def test_each_slip_says_how_its_output_is_known(exercise) -> None:
    assert all(exercise.rules[0].signs)


def test_two_names_that_are_exchanged_are_both_said() -> None:
    card = card_of(
        GEMM, naming({"left one only": "right one only"} | {"right one only": "left one only"})
    )
    assert 'exchanges "left one only" and "right one only"' in card
    assert "(q_lhs - lhs_zero_point) @ q_rhs" in card


def test_a_name_that_swallows_others_is_said_with_their_signs() -> None:
    card = card_of(GEMM, naming({"left one only": "right", "no zero points": "right"}))
    assert 'says "right" of outputs that are "no zero points" and "left one only"' in card


def test_a_slip_that_is_never_named_is_said_with_its_sign() -> None:
    card = card_of(GEMM, naming({"right one only": "zero points added"}))
    assert 'Every output that is "right one only" is called "zero points added"' in card
    assert "q_lhs @ (q_rhs - rhs_zero_point)" in card


def test_outputs_for_which_nothing_is_returned_are_named() -> None:
    card = card_of(GEMM, naming({"right one only": None}))
    assert 'For outputs that are "right one only" your code returns nothing' in card
    assert "returns nothing for any output" in card_of(GEMM, lambda *args: None)


def test_what_is_kept_from_call_to_call_is_said() -> None:
    cases = GEMM.draw(NOTEBOOK_SEED)
    names = GEMM.rules[0].names
    calls = iter(range(len(cases)))

    def first_six(*args):
        right = GEMM.reference(*args)
        return right if next(calls) < 6 else names[names.index(right) - 1]

    found = judge(GEMM, cases, call_all(first_six, cases))
    assert "The first 6 outputs are named right" in repr(verdict_card(found))


def test_the_card_says_what_the_output_was_and_claims_no_cause() -> None:
    exercise = next(e for e in SLIPS if e.id == "3.13")
    cases = exercise.draw(5)
    calls = iter(range(len(cases)))

    def wrong_once(*args):
        return "no zero points" if next(calls) == 3 else exercise.reference(*args)

    found = judge(exercise, cases, call_all(wrong_once, cases))
    assert found.state in (State.ALMOST, State.PASSED)
    assert not any(finding.cause for finding in found.findings)
    assert found.state is State.PASSED or "this output is" in repr(verdict_card(found))
