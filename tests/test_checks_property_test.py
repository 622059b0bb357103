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


@pytest.mark.parametrize("exercise", TESTS, ids=lambda e: e.id)
def test_no_implementation_changes_its_inputs(exercise) -> None:
    inputs = exercise.tested.draw(NOTEBOOK_SEED)
    for case in exercise.draw(NOTEBOOK_SEED):
        assert not any(outcome.changed for outcome in call_all(case.args[0], inputs)), case.label


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
    names = {"torch": torch, "quantize": EXERCISES["1.3"].reference}
    exec(compile(code, file, "exec"), names)
    cases = EXERCISES[key].draw(NOTEBOOK_SEED)
    outcomes = call_all(names[name], cases)
    return repr(verdict_card(judge(EXERCISES[key], cases, outcomes, names[name])))


def test_a_place_behind_a_mask_is_said_as_the_input_has_it() -> None:
    card = card_of(
        "5.10",
        "def fake_quantize_is_right(f):\n"
        "    x = torch.tensor([-3.0, 0.4, 2.6, 5.2])\n"
        "    y = f(x, 1.0, 3, 0, 7).float()\n"
        "    inside = (x > 0) & (x < 7)\n"
        "    return not ((y - x).abs()[inside] > 0.5).any()\n",
    )
    assert "at [3], for 5.2" in card
    assert "(qmax - zero_point) * scale" in card


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
    assert "In the one call of your test every `x` lies on the grid" in blind
    assert "`zero_point` is 0" in blind


def test_a_test_that_ends_in_an_error_of_its_own_is_told_so() -> None:
    card = card_of("5.10", "def fake_quantize_is_right(f):\n    return missing(f)\n")
    assert "ends in an error whatever it is given: NameError" in card


def test_survivors_stand_beside_an_input_that_shows_them() -> None:
    card = card_of("1.12", "def quantize_is_right(quantize):\n    return True\n")
    row = next(line for line in card.splitlines() if "converts to integers" in line)
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


def test_what_hides_a_mistake_is_said_with_it_and_nothing_else() -> None:
    card = card_of(
        "1.12",
        "def quantize_is_right(quantize):\n"
        "    q = torch.arange(-8, 8)\n"
        "    for scale, zero in ((0.5, 3), (0.25, -2)):\n"
        "        if quantize((q - zero) * scale, scale, zero, -8, 7).tolist() != q.tolist():\n"
        "            return False\n"
        "    return True\n",
    )
    assert "; every `x` lies on the grid, so that " in card
    assert "`qmin` is -8" not in card


def test_a_number_that_never_changes_is_said_where_another_would_show_what_is_wrong() -> None:
    card = card_of(
        "2.11",
        "def percentile_is_right(f):\n"
        "    values, counts = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([20, 50, 30])\n"
        "    return float(f(values, counts, 50)) == 2.0\n",
    )
    assert "In the one call of your test `percent` is 50, so that" in card
    fresh = card_of(
        "4.12",
        "def folding_is_right(f):\n"
        "    w, b, ones = torch.randn(4, 3), torch.randn(4), torch.ones(4)\n"
        "    new, c = f(w, b, 0 * ones, ones, ones, 0 * ones, 0.0)\n"
        "    return torch.allclose(new, w) and torch.allclose(c, b)\n",
    )
    assert '`beta` is 0 everywhere, so that "leaves out beta"' in fresh


def test_what_is_compared_at_a_wrong_number_is_said() -> None:
    card = card_of(
        "3.12",
        "def shift_is_right(f):\n"
        "    x = torch.arange(-1000, 1000)\n"
        "    d = f(x, 3).double() - x / 8\n"
        "    return not bool((d.abs() > 0.5).any())\n",
    )
    assert "There it compares `d.abs()`, 0.5, with `0.5`." in card


def test_equality_to_the_last_digit_is_told_from_a_test_that_always_says_no() -> None:
    card = card_of(
        "4.12",
        "def folding_is_right(f):\n"
        "    g = torch.Generator().manual_seed(1)\n"
        "    w, x = torch.randn(4, 3, generator=g), torch.randn(9, 3, generator=g)\n"
        "    b, m, c = torch.randn(3, 4, generator=g)\n"
        "    v = torch.tensor([0.1, 0.3, 1.0, 2.5])\n"
        "    y = torch.nn.functional.batch_norm(x @ w.t() + b, m, v, c, c, eps=0.02)\n"
        "    new, bias = f(w, b, m, v, c, c, 0.02)\n"
        "    return torch.equal(x @ new.t() + bias, y)\n",
    )
    assert "always says no" not in card
    assert "That is rounding noise" in card


@pytest.mark.filterwarnings("ignore:assertion is always true:SyntaxWarning")
@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("    assert (f(X, 0.5, 3, -8, 7).sum() == 0, 'no')\n", "is always true, since a tuple"),
        (
            "    try:\n        assert f(X, 0.5, 3, -8, 7).sum() == 0\n    except Exception:\n"
            "        pass\n    return True\n",
            "catches errors, a failed `assert` among them",
        ),
        (
            "    for x in (X, 9 * X):\n        if f(x, 0.5, 3, -8, 7).sum() == 0:\n"
            "            return False\n        return True\n",
            "ends in the first round of its loop",
        ),
        ("    return bool((quantize(X, 0.5, 3, -8, 7) < 8).all())\n", "the notebook's own"),
    ],
)
def test_what_a_test_can_never_do_as_it_is_written_is_said(body, said) -> None:
    body = body.replace("X", "torch.arange(5.0)")
    card = card_of("1.12", f"def quantize_is_right(f):\n{body}")
    assert said in card
    assert "Your code never says no" not in card


def test_what_is_allowed_is_said_to_a_test_that_refuses_it() -> None:
    card = card_of(
        "5.10",
        "def fake_quantize_is_right(f):\n"
        "    x = torch.arange(-20, 21) / 4\n"
        "    want = torch.round(x / 0.5).clamp(-8, 7) * 0.5\n"
        "    return torch.equal(f(x, 0.5, 0, -8, 7).float(), want)\n",
    )
    assert "Ties may go either way" in card
    card = card_of(
        "3.12",
        "def shift_is_right(f):\n    return f(torch.tensor([4, 12]), 3).tolist() == [0, 2]\n",
    )
    assert "This number is a tie, and ties go away from zero" in card


def test_one_number_and_none_are_shifted_by_every_right_implementation() -> None:
    for case in EXERCISES["3.12"].draw(0):
        if case.must:
            assert int(case.args[0](torch.tensor(12), 3)) == 2
            assert case.args[0](torch.tensor([], dtype=torch.int64), 3).tolist() == []


def rights(key: str) -> dict:
    found = {case.label: case.args[0] for case in EXERCISES[key].draw(0) if case.must}
    assert found
    return found


@pytest.mark.parametrize(("qmin", "qmax"), [(0, 65535), (-32768, 32767), (0, 255), (-1, 1)])
def test_every_range_of_16_bits_may_be_asked_of_a_right_quantize(qmin, qmax) -> None:
    x = torch.tensor([-1e6, 0.2, 1e6])
    for label, quantize in rights("1.12").items():
        assert quantize(x, 1.0, 0, qmin, qmax).tolist() == [qmin, 0, qmax], label


@pytest.mark.parametrize("total", [100, 700, 99_900, 100 * 2**24])
def test_right_percentiles_are_exact_at_whole_percentages(total) -> None:
    values = torch.tensor([0.0, 1.0])
    for label, percentile in rights("2.11").items():
        for percent in range(1, 100):
            reached = total * percent // 100
            for first, wanted in ((reached, 0.0), (reached - 1, 1.0)):
                found = percentile(values, torch.tensor([first, total - first]), percent)
                assert float(found) == wanted, (label, percent)


def test_folding_stays_in_the_dtype_that_a_test_gives() -> None:
    rng = torch.Generator().manual_seed(0)
    weight, (bias, mean, gamma, beta, spread) = (
        torch.randn(*shape, generator=rng, dtype=torch.float64) for shape in ((4, 3), (5, 4))
    )
    given = [weight, bias, mean, spread.square() + 0.1, gamma, beta]
    for label, fold in rights("4.12").items():
        assert {t.dtype for t in fold(*given, 0.02)} == {torch.float64}, label


def test_a_right_fake_quantization_rounds_what_float32_holds_no_half_of() -> None:
    x = torch.tensor([2.0**23 + 1, 2.0**24 - 1, 0.49999997])
    for label, fake_quantize in rights("5.10").items():
        assert fake_quantize(x, 1.0, 0, 0, 2**40).tolist() == [2**23 + 1, 2**24 - 1, 0], label
