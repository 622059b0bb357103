"""Exercises in which the student finds the errors of a script."""

import itertools
import linecache
import re

import pytest
import torch

from labkit.checks import registry
from labkit.checks.calling import call_all
from labkit.checks.messages import verdict_card
from labkit.checks.reviews import Names, _forms
from labkit.checks.scripts import Bait, Place, Script
from labkit.checks.verdict import State, judge

EXERCISES = [e for number in registry.STEMS for e in registry.exercises(number)]
REVIEWS = [e for e in EXERCISES if type(e.rules[0]) is Names]
WRITTEN = [e for e in REVIEWS if e.rules[0].script is not None]
SEEDS = 5, 0, 7, 99
SMALL = Script(
    places=(
        Place(("a = $n",), "wrong start", ("a = -$n",)),
        Place(
            ("for x in a:\n    print(x)",),
            bait=Bait("print(-1)", "wrong start", "It is printed."),
        ),
        Place(error="too much", wrong=("extra(a)",)),
    ),
    draw=lambda rng: {"n": int(torch.randint(1, 9, (), generator=rng))},
)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def card(exercise, cases, answer) -> str:
    return " ".join(repr(verdict_card(judge(exercise, cases, call_all(answer, cases)))).split())


def test_there_is_one_in_each_of_labs_1_to_5() -> None:
    assert {int(e.id.split(".")[0]) for e in REVIEWS} == {1, 2, 3, 4, 5}


def test_patterns_over_all_scripts_are_said() -> None:
    exercise = next(e for e in REVIEWS if e.id == "3.14")
    cases = exercise.draw(5)

    def first(lines):
        return exercise.reference(lines)[:1]

    def unfounded(lines):
        return sorted({*exercise.reference(lines), "too few runs"})

    assert "reports one error at most" in card(exercise, cases, first)
    assert '"too few runs" is reported in' in card(exercise, cases, unfounded)
    assert "return a list" in card(exercise, cases, lambda lines: "too few runs")
    assert "returns nothing for any script" in card(exercise, cases, lambda lines: None)


@pytest.mark.parametrize("exercise", REVIEWS, ids=lambda e: e.id)
def test_scripts_have_no_error_each_alone_all_and_several(exercise) -> None:
    names = exercise.rules[0].names
    for seed in SEEDS:
        scripts = [tuple(case.args[0]) for case in exercise.draw(seed)]
        found = [frozenset(exercise.reference(list(script))) for script in scripts]
        assert {frozenset(), frozenset(names), *(frozenset([n]) for n in names)} <= set(found)
    others = {tuple(case.args[0]) for case in exercise.draw(SEEDS[0])}
    assert not others & set(scripts)


@pytest.mark.parametrize("exercise", REVIEWS, ids=lambda e: e.id)
def test_who_reports_nothing_or_everything_earns_nothing(exercise) -> None:
    for seed in SEEDS:
        cases = exercise.draw(seed)
        for always in ([], list(exercise.rules[0].names)):
            assert judge(exercise, cases, call_all(lambda s, a=always: a, cases)).points == 0


@pytest.mark.parametrize("exercise", WRITTEN, ids=lambda e: e.id)
def test_a_script_has_the_errors_that_it_was_asked_to_have(exercise) -> None:
    rule, generator = exercise.rules[0], rng()
    for count in range(len(rule.names) + 1):
        for wrong in itertools.combinations(rule.names, count):
            script = rule.script(generator, frozenset(wrong))
            compile("\n".join(script), "<script>", "exec")
            assert set(exercise.reference(script)) == set(wrong), "\n".join(script)


@pytest.mark.parametrize("exercise", WRITTEN, ids=lambda e: e.id)
def test_every_error_and_every_bait_is_known_by_its_lines(exercise) -> None:
    rule = exercise.rules[0]
    assert {place.error for place in rule.script.places} - {""} == set(rule.names)
    assert {bait.error for bait in rule.script.baits} <= set(rule.names)
    clean = rule.script(rng(), frozenset())
    for name in rule.names:
        found = {tuple(rule.script.lines_with(name, rule.script(rng(i), {name}))) for i in range(9)}
        assert all(found) or found == {()}
    for bait in rule.script.baits:
        assert list(rule.script.baits_for(bait.error, clean))


def test_a_script_without_errors_has_all_baits() -> None:
    assert SMALL(rng(), frozenset())[1:] == ["print(-1)"]
    drawn = {tuple(SMALL(rng(seed), frozenset({"too much"}))[1:]) for seed in range(20)}
    assert drawn == {("print(-1)", "extra(a)"), ("for x in a:", "    print(x)", "extra(a)")}
    assert re.fullmatch(r"a = -\d", SMALL(rng(), frozenset({"wrong start"}))[0])


def test_lines_are_found_whatever_is_drawn() -> None:
    script = ["a = -7", "print(-1)", "extra(a)", "a = 7"]
    assert list(SMALL.lines_with("wrong start", script)) == ["a = -7"]
    assert list(SMALL.lines_with("too much", script)) == ["extra(a)"]
    assert list(SMALL.baits_for("wrong start", script)) == ["print(-1)"]
    assert list(SMALL.baits_for("too much", script)) == []


def test_names_may_come_in_any_order_and_twice() -> None:
    rule = Names(names=("wrong start", "too much"), script=SMALL)
    script = (["a = -7", "print(-1)"],)
    assert rule.mismatch("It", ("too much", "too much"), ("too much",), script) is None
    both = ("wrong start", "too much")
    assert rule.mismatch("It", both[::-1], both, script) is None
    problem = rule.mismatch("It", ("too much",), ("wrong start",), script).problem
    assert '"wrong start" is not found: look at `a = -7`' in problem
    assert '"too much" is reported, and it is not there' in problem
    problem = rule.mismatch("It", ("wrong start",), (), (["a = 7", "print(-1)"],)).problem
    assert "it is not there: `print(-1)` is right" in problem
    assert rule.mismatch("It", "too much", ("too much",), script) is not None
    assert rule.mismatch("It", ("d",), (), script) is not None


@pytest.mark.parametrize("exercise", REVIEWS, ids=lambda e: e.id)
def test_two_names_that_are_missed_are_both_said_whatever_else_is_right(exercise) -> None:
    cases = exercise.draw(5)
    first, second, *_ = exercise.rules[0].names
    text = card(
        exercise,
        cases,
        lambda s: [n for n in exercise.reference(s)[::-1] if n not in (first, second)],
    )
    assert f'never reports "{first}"' in text
    assert f'never reports "{second}"' in text
    text = card(
        exercise, cases, lambda s: [n for n in exercise.reference(s) if n != first] + [second]
    )
    assert f'never reports "{first}"' in text
    assert f'never reports "{second}"' not in text


@pytest.mark.parametrize("exercise", WRITTEN, ids=lambda e: e.id)
def test_the_card_shows_a_script_line_by_line(exercise) -> None:
    cases = exercise.draw(5)
    found = judge(exercise, cases, call_all(lambda s: [], cases))
    assert found.state is State.NOT_YET
    for line in found.failure.case.args[0]:
        assert f"\n    {line!r},\n" in found.failure.call


def card_of_code(key: str, body: str) -> str:
    """Return the card of an answer that is given as the source of a cell."""
    exercise = next(e for e in REVIEWS if e.id == key)
    code = (
        f"def {exercise.function}(script):\n    found = reference(script)\n{body}    return found\n"
    )
    file = f"<cell {abs(hash(code))}>"
    linecache.cache[file] = (len(code), None, code.splitlines(True), file)
    names = {"reference": exercise.reference}
    exec(compile(code, file, "exec"), names)
    answer, cases = names[exercise.function], exercise.draw(5)
    text = repr(verdict_card(judge(exercise, cases, call_all(answer, cases), answer)))
    return " ".join(text.split())


@pytest.mark.parametrize("exercise", REVIEWS, ids=lambda e: e.id)
def test_every_draw_shows_each_error_in_all_its_forms(exercise) -> None:
    rule = exercise.rules[0]
    forms = [_forms(rule, exercise.draw(seed)) for seed in SEEDS]
    assert all(found == forms[0] for found in forms)


def test_what_parts_scripts_that_are_misjudged_from_others_is_said() -> None:
    card = card_of_code(
        "1.14",
        "    found = [name for name in found if name != 'mean of decibels']\n"
        "    if any('mean(' in line for line in script):\n"
        "        found.append('mean of decibels')\n",
    )
    assert "It is reported where it has `sqnr = 10 * math.log10(mean(signal)" in card
    assert "It is missed where it has `sqnr = sum(10 *" in card
    assert "For \"mean of decibels\" your code asks `any(('mean(' in line" in card


def test_numbers_on_the_wrong_side_of_a_border_are_said() -> None:
    card = card_of_code(
        "5.14",
        "    line = next(line for line in script if 'range(' in line)\n"
        "    if int(line.split('range(')[1].split(')')[0]) <= 5:\n"
        "        found = sorted({*found, 'too few seeds'})\n",
    )
    assert "It is reported where it has `for seed in range(5):`; not where it has" in card


def test_how_an_error_stands_in_a_script_of_another_kind_is_said() -> None:
    card = card_of_code(
        "3.14",
        "    found = [name for name in found if name != 'no warm-up']\n"
        "    above = [line.split('(')[0] for line in script if not line.startswith(' ')]\n"
        "    below = [line.strip().split('(')[0] for line in script if '# timed' in line]\n"
        "    if not set(above) & set(below):\n"
        "        found.append('no warm-up')\n",
    )
    assert "missed where only one of the two layers has been called above the loop" in card


def test_lines_that_are_told_by_their_numbers_are_told_so() -> None:
    card = card_of_code(
        "2.14",
        "    found = [n for n in found if n != 'test images seen' or 'test' in script[0]]\n"
        "    found = [n for n in found if n != 'too few draws']\n",
    )
    assert "goes by the numbers of lines" in card


def test_names_in_another_form_are_told_so() -> None:
    card = card_of_code(
        "2.14", "    found = ['test image seen' if 'seen' in n else n for n in found]\n"
    )
    assert '"test image seen" is none of the names' in card
    assert 'Is it to be "test images seen"?' in card
    assert "`list(...)` makes one of a set" in card_of_code("2.14", "    found = set(found)\n")


def test_scripts_for_which_the_code_raises_are_named() -> None:
    card = card_of_code("1.14", "    next(line for line in script if 'randperm' in line)\n")
    assert "Your code raises in" in card
    assert "That is so where it has `x = w[torch.arange(" in card
