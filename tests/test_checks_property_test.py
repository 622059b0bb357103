"""Exercises in which the student writes the test."""

import linecache
import pickle

import pytest
import torch

from labkit.checks import mutants, registry
from labkit.checks.calling import call_all, safe_to_use
from labkit.checks.lab import NOTEBOOK_SEED
from labkit.checks.messages import verdict_card
from labkit.checks.verdict import State, Verdict, judge
from labkit.grading.inside.answers import _row
from labkit.grading.judging.replies import outcomes_from
from labkit.grading.wire import WireError, decode, encode

EXERCISES = {e.id: e for number in registry.STEMS for e in registry.exercises(number)}
TESTS = [e for e in EXERCISES.values() if e.kind == "test"]
SEEDS = NOTEBOOK_SEED, 0, 7, 99


def verdict(exercise, answer, seed=NOTEBOOK_SEED) -> Verdict:
    cases = exercise.draw(seed)
    return judge(exercise, cases, call_all(answer, cases))


def test_there_is_one_in_each_of_labs_1_to_5() -> None:
    assert {int(e.id.split(".")[0]) for e in TESTS} == {1, 2, 3, 4, 5}


@pytest.mark.parametrize("exercise", TESTS, ids=lambda e: e.id)
def test_the_reference_catches_every_wrong_implementation_at_every_seed(exercise) -> None:
    for seed in SEEDS:
        found = verdict(exercise, exercise.reference, seed)
        assert found.state is State.PASSED
        assert not found.wrong


@pytest.mark.parametrize("exercise", TESTS, ids=lambda e: e.id)
def test_other_mutants_are_drawn_for_another_seed(exercise) -> None:
    drawn = [{case.label for case in exercise.draw(seed)} for seed in SEEDS]
    assert len(set.intersection(*drawn)) < len(drawn[0])
    orders = [[case.must for case in exercise.draw(seed)] for seed in SEEDS]
    assert len({tuple(order) for order in orders}) > 1


@pytest.mark.parametrize("exercise", TESTS, ids=lambda e: e.id)
def test_who_says_the_same_of_all_earns_nothing(exercise) -> None:
    for answer in (lambda f: True, lambda f: False, lambda f: None, lambda f: 1 / 0):
        assert verdict(exercise, answer).points == 0


@pytest.mark.parametrize("exercise", TESTS, ids=lambda e: e.id)
def test_raising_is_to_say_no_and_returning_nothing_to_say_yes(exercise) -> None:
    def with_asserts(candidate):
        assert exercise.reference(candidate)

    assert verdict(exercise, with_asserts).state is State.PASSED


def test_a_test_that_refuses_right_code_earns_nothing_however_many_it_catches() -> None:
    exercise = EXERCISES["1.12"]

    def code(candidate):
        return candidate.program.rpartition("\n")[0]  # but for the number that each draw has

    refused = next(code(case.args[0]) for case in exercise.draw(0) if case.must)
    found = verdict(exercise, lambda f: exercise.reference(f) and code(f) != refused)
    assert found.right == found.total - 1
    assert found.points == 0
    assert "It refuses 1 of the right ones" in repr(verdict_card(found))


def test_the_card_names_what_survives_and_claims_no_more() -> None:
    exercise = EXERCISES["1.12"]
    spared = {"does not clamp", "leaves out the zero point"}
    cases = exercise.draw(NOTEBOOK_SEED)
    programs = {case.args[0].program for case in cases if case.label in spared}
    found = verdict(exercise, lambda f: f.program in programs or exercise.reference(f))
    card = repr(verdict_card(found))
    assert found.state is State.ALMOST
    assert all(name in card for name in spared)
    assert found.findings == ()


def test_one_survivor_is_named_on_the_card_of_a_passed_test() -> None:
    exercise = EXERCISES["1.12"]
    cases = exercise.draw(NOTEBOOK_SEED)
    one = next(case.args[0].program for case in cases if case.label == "does not clamp")
    found = verdict(exercise, lambda f: f.program == one or exercise.reference(f))
    assert found.state is State.PASSED
    assert "does not clamp" in repr(verdict_card(found))


def card_of(key: str, code: str) -> str:
    """Return the card of a test that is given as the source of a cell."""
    name = EXERCISES[key].function
    file = f"<cell {abs(hash(code))}>"
    linecache.cache[file] = (len(code), None, code.splitlines(True), file)
    names = {"torch": torch}
    exec(compile(code, file, "exec"), names)
    cases = EXERCISES[key].draw(NOTEBOOK_SEED)
    outcomes = call_all(names[name], cases)
    return repr(verdict_card(judge(EXERCISES[key], cases, outcomes, names[name])))


def test_a_wrong_expectation_is_shown_beside_what_right_ones_give() -> None:
    card = card_of(
        "3.12",
        "def shift_is_right(f):\n"
        "    x = torch.tensor([1, 20])\n"
        "    expected = torch.tensor([round(v / 8) for v in x.tolist()])\n"
        "    if not torch.equal(f(x, 3), expected):\n"
        "        return False\n"
        "    return True\n",
    )
    assert "`not torch.equal(f(x, 3), expected)`" in card
    assert "`f(x, 3)` is 3 at [1], for 20, and `expected` is 2" in card


def test_a_table_with_a_wrong_number_is_found_in_an_assert() -> None:
    card = card_of(
        "1.12",
        "def quantize_is_right(quantize):\n"
        "    x = torch.tensor([-30.0, 0.3, 30.0])\n"
        "    assert quantize(x, 0.5, 3, -8, 7).tolist() == [-8, 5, 7]\n",
    )
    assert "is 4 at [1], for 0.3, and `[-8, 5, 7]` is 5" in card


def test_what_a_test_asks_is_told_from_what_it_forbids() -> None:
    asks = card_of(
        "5.10",
        "def fake_quantize_is_right(f):\n"
        "    y = f(torch.tensor([-10.0, 0.1, 10.0]), 0.3, 4, 0, 15)\n"
        "    return bool((y >= 0).all() and (y <= 4.5).all())\n",
    )
    assert "There `y` is -1.2 at [0], for -10, against `0`" in asks
    forbids = card_of(
        "5.10",
        "def fake_quantize_is_right(f):\n"
        "    y = f(torch.tensor([-10.0, 0.1, 10.0]), 0.3, 4, 0, 15)\n"
        "    if (y < 0).any() or not (y <= 4.5).all():\n"
        "        return False\n"
        "    return True\n",
    )
    assert "There `y` is -1.2 at [0], for -10, against `0`" in forbids


def test_a_count_and_a_forgotten_return_are_told() -> None:
    counts = "def quantize_is_right(f):\n    return 31\n"
    assert "returns the int 31; expected True or False" in card_of("1.12", counts)
    forgets = "def quantize_is_right(f):\n    f(torch.ones(1), 0.5, 3, -8, 7)\n"
    assert "returns nothing for some implementations" in card_of("1.12", forgets)


def test_rounding_noise_and_the_last_call_of_a_loop_are_told() -> None:
    card = card_of(
        "5.10",
        "def fake_quantize_is_right(f):\n"
        "    x = torch.linspace(-9.05, 9.05, 64)\n"
        "    want = lambda s: (x / s).round().clamp(-8, 7) * s * 1.0000002\n"
        "    return all(bool((f(x, s, 0, -8, 7) == want(s)).all()) for s in (0.5, 0.7))\n",
    )
    assert "That is rounding noise" in card
    assert (
        "after `fake_quantize(<float32 tensor of shape (64,), from -9.05 to 9.05>, 0.5, 0" in card
    )


def test_a_stored_test_is_not_named_for_one_that_errs_elsewhere() -> None:
    card = card_of(
        "3.12",
        "def shift_is_right(f):\n"
        "    x = torch.arange(-1000, 1000)\n"
        "    return bool(((f(x, 4) - x / 16).abs() <= 1).all())\n",
    )
    assert "tests numbers that are multiples" not in card
    assert "sees what goes wrong and accepts it" in card


def test_a_comparison_that_overlooks_is_told_from_inputs_that_do_not_show() -> None:
    loose = card_of(
        "5.10",
        "def fake_quantize_is_right(f):\n"
        "    x = torch.tensor([-9.1, 0.2, 0.9, 9.1])\n"
        "    y = f(x, 0.5, 3, 0, 15)\n"
        "    return bool(((y - x.clamp(-1.5, 6.0)).abs() < 0.5).all())\n",
    )
    assert "Your test sees what goes wrong and accepts it" in loose
    blind = card_of(
        "5.10",
        "def fake_quantize_is_right(f):\n"
        "    x = torch.arange(-4, 5) * 0.5\n"
        "    return torch.allclose(f(x, 0.5, 0, -8, 7).float(), x)\n",
    )
    assert "sees what goes wrong" not in blind
    assert "In every call of your test every `x` lies on the grid" in blind
    assert "`zero_point` is 0" in blind


def test_a_test_that_ends_in_an_error_of_its_own_is_told_so() -> None:
    card = card_of("5.10", "def fake_quantize_is_right(f):\n    return missing(f)\n")
    assert "ends in the same error whatever it is given, NameError" in card


def test_survivors_stand_beside_an_input_that_shows_them() -> None:
    card = card_of("1.12", "def quantize_is_right(quantize):\n    return True\n")
    row = next(line for line in card.splitlines() if "does not clamp" in line)
    assert row.endswith("values above and below the range")


def test_a_test_that_asserts_and_returns_nothing_passes_with_a_remark() -> None:
    exercise = EXERCISES["1.12"]

    def with_asserts(candidate):
        if not exercise.reference(candidate):
            raise AssertionError

    found = verdict(exercise, with_asserts)
    assert found.state is State.PASSED
    assert "returns nothing for some implementations" in repr(verdict_card(found))
    handed_on = safe_to_use(with_asserts, numpy=False, judges=True)
    assert handed_on(mutants.right(EXERCISES["1.3"])) is True
    assert handed_on(lambda *args: args[0]) is False


@pytest.mark.parametrize("exercise", TESTS, ids=lambda e: e.id)
def test_implementations_reach_the_sandbox_and_only_values_come_back(exercise) -> None:
    cases = exercise.draw(NOTEBOOK_SEED)
    inside = decode(encode([case.args for case in cases]))
    assert inside == [case.args for case in cases]
    rows = [_row(o) for o in call_all(exercise.reference, cases)]
    found = judge(exercise, cases, outcomes_from(decode(encode(rows), tensors=False), cases))
    assert found.state is State.PASSED
    with pytest.raises(WireError, match="unknown kind"):
        decode(encode([case.args for case in cases]), tensors=False)


def test_an_implementation_takes_names_and_can_be_sent_to_another_process() -> None:
    exercise = EXERCISES["1.3"]
    case = exercise.draw(0)[2]
    right = pickle.loads(pickle.dumps(mutants.right(exercise)))
    x, *grid = case.args
    names = ("scale", "zero_point", "qmin", "qmax")
    assert right(x, **dict(zip(names, grid, strict=True))).equal(exercise.reference(*case.args))
    assert repr(right) == "quantize"
    with pytest.raises(TypeError):
        right(x, *grid, bits=8)


def test_misconceptions_become_programs_that_give_the_same_wrong_results() -> None:
    exercise = EXERCISES["1.3"]
    for mutant, mistake in zip(
        mutants.misconceptions(exercise), exercise.misconceptions, strict=True
    ):
        for case in exercise.draw(3):
            assert mutant.implementation(*case.args).equal(mistake.wrong(*case.args)), mutant.does
