"""Exercises in which the student names what is wrong."""

import collections
import linecache

import pytest
import torch

from labkit.checks import registry
from labkit.checks.calling import call_all
from labkit.checks.lab import NOTEBOOK_SEED
from labkit.checks.messages import verdict_card
from labkit.checks.slip_names import TIMES, Name, name_the_slip
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
        assert set(collections.Counter(answers).values()) == {TIMES}
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


@pytest.mark.parametrize("seed", SEEDS)
def test_what_the_texts_say_of_what_is_drawn_holds(seed) -> None:
    drawn = {e.id: [case.args for case in e.draw(seed)] for e in SLIPS}
    assert all(zero_point for _, _, zero_point, *_ in drawn["1.13"])
    for _, counts, percent, _ in drawn["2.12"]:
        up_to = counts.cumsum(0).double()
        assert up_to[-2] >= percent * int(counts.sum()) / 100, "the right value is the last one"
        for each in (counts, torch.ones_like(counts)):
            for of_all in (percent, 100 - percent):
                share = of_all * int(each.sum()) / 100
                assert (each.cumsum(0).double() - share).abs().min() > 1e-4
    assert all(lhs and rhs for _, _, lhs, rhs, _ in drawn["3.13"])
    assert all(bias.abs().min() > 0.5 for _, bias, *_ in drawn["4.13"])
    gradient = next(e for e in SLIPS if e.id == "5.11")
    sides = {(gradient.reference(*args), args[1] > 1) for args in drawn["5.11"]}
    assert len(sides) == 12, "each slip with a scale below 1, and with one above"
    assert all(abs(scale - 1) > 0.25 for _, scale, *_ in drawn["5.11"])


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


def card_of_code(body: str) -> str:
    """Return the card of an answer to 3.13 that is given as the source of a cell."""
    code = (
        "def slip_of_gemm(q_lhs, q_rhs, lhs_zero_point, rhs_zero_point, acc):\n"
        "    zl, zr = lhs_zero_point, rhs_zero_point\n"
        "    right = (q_lhs - zl) @ (q_rhs - zr)\n" + body
    )
    file = f"<cell {abs(hash(code))}>"
    linecache.cache[file] = (len(code), None, code.splitlines(True), file)
    names = {"torch": torch}
    exec(compile(code, file, "exec"), names)
    cases = GEMM.draw(NOTEBOOK_SEED)
    answer = names["slip_of_gemm"]
    return repr(verdict_card(judge(GEMM, cases, call_all(answer, cases), answer)))


CHAIN = (
    "    if torch.equal(acc, right):\n        return 'right'\n"
    "    if torch.equal(acc, q_lhs @ q_rhs):\n        return 'no zero points'\n"
    "    if torch.equal(acc, (q_lhs - zl) @ q_rhs):\n        return 'left one only'\n"
    "    if torch.equal(acc, q_lhs @ (q_rhs - zr)):\n        return 'right one only'\n"
    "    if torch.equal(acc, (q_lhs + zl) @ (q_rhs + zr)):\n        return 'zero points added'\n"
    "    return 'last term left out'\n"
)
TABLE = (
    "    forms = {'right': right, 'no zero points': q_lhs @ q_rhs,\n"
    "        'left one only': (q_lhs - zl) @ q_rhs, 'right one only': q_lhs @ (q_rhs - zr),\n"
    "        'zero points added': (q_lhs + zl) @ (q_rhs + zr),\n"
    "        'last term left out': right - q_lhs.shape[1] * zl * zr}\n"
)
LOOP = (
    "    for name, form in forms.items():\n        if (form == acc).all():\n"
    "            return name\n    return 'right'\n"
)
NEAREST = "    return min(forms, key=lambda name: (forms[name] - acc).abs().sum())\n"


@pytest.mark.parametrize("body", [CHAIN, TABLE + LOOP, TABLE + NEAREST])
def test_right_answers_pass(body) -> None:
    assert "All 18 calls" in card_of_code(body)


def test_a_condition_that_does_not_hold_is_shown_with_its_numbers() -> None:
    card = card_of_code(CHAIN.replace("(q_lhs + zl) @ (q_rhs + zr)", "(q_lhs + zl) @ (q_rhs - zr)"))
    assert 'For "zero points added" your code asks `torch.equal(acc, (q_lhs + zl)' in card
    assert "there `acc` is " in card
    assert 'It says "last term left out" in its last line' in card


def test_a_condition_that_comes_too_late_is_told_from_one_that_is_wrong() -> None:
    greedy = "    if (acc - right).abs().sum() > 0:\n        return 'no zero points'\n"
    card = card_of_code(greedy + CHAIN)
    assert 'It says "no zero points" where `(acc - right).abs().sum() > 0`' in card
    assert "which holds for this output, but something before it does as well" in card


@pytest.mark.parametrize("end", [LOOP, NEAREST])
def test_what_stands_beside_a_name_is_compared_with_its_output(end) -> None:
    card = card_of_code(TABLE.replace("right - q_lhs.shape[1] *", "right + q_lhs.shape[1] *") + end)
    assert 'For "last term left out" your code ' in card
    assert "`right + q_lhs.shape[1] * zl * zr`: " in card


def test_a_loop_that_looks_at_one_name_only_is_told_so() -> None:
    body = TABLE + LOOP.replace(
        "    return 'right'\n", "        else:\n            return 'right'\n"
    )
    assert "Your loop ends in its first round" in card_of_code(body)


def test_a_name_that_no_line_gives_is_said() -> None:
    body = CHAIN.replace("'zero points added'", "'right one only'")
    assert 'Your code has no line that says "zero points added"' in card_of_code(body)


def test_names_in_another_form_are_told_so() -> None:
    card = card_of_code(CHAIN.replace("'left one only'", "'left_only'"))
    assert 'says "left_only" for "left one only": write the names as they stand' in card
    assert "Return the name itself, not a list with it" in card_of(GEMM, lambda *a: ["right"])
    assert "Return the name itself, not its place" in card_of(GEMM, lambda *a: 3)


def test_outputs_for_which_the_code_raises_are_named() -> None:
    def raises(*args):
        name = GEMM.reference(*args)
        return 1 / 0 if name == "right" else name

    card = card_of(GEMM, raises)
    assert 'ends in an error for outputs that are "right"' in card


def test_names_that_are_wrong_at_the_end_by_chance_are_no_sign_of_something_kept() -> None:
    last = [GEMM.reference(*case.args) for case in GEMM.draw(NOTEBOOK_SEED)][-3:]
    wrong = naming({name: "zero points added" for name in last})
    assert "keep something" not in card_of(GEMM, wrong)
