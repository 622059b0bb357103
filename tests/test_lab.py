"""`Lab` as a notebook uses it: cards, hints, progress, and answers that misbehave."""

import json
import linecache
import sys
import threading
import time
from pathlib import Path
from unittest.mock import Mock

import nbformat
import numpy as np
import pytest
import torch

from labkit import Lab, plots
from labkit.checks import console, lab
from labkit.checks.calling import call_all
from labkit.checks.card import Card, Code, Fold, Table, Text
from labkit.checks.exercise import Case
from labkit.checks.lab import CheckFailed
from labkit.checks.registry import exercises
from labkit.start import start

MOST = sum(exercise.points for exercise in exercises(1))

ONE = [Case("one", (torch.tensor([1.0, 2.0]),))]


@pytest.fixture(autouse=True)
def _own_progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABKIT_PROGRESS", str(tmp_path / "progress"))
    monkeypatch.delenv("NBGRADER_EXECUTION", raising=False)


@pytest.fixture
def cards(monkeypatch: pytest.MonkeyPatch) -> list[Card]:
    shown: list[Card] = []
    monkeypatch.setattr(lab, "show", shown.append)
    return shown


def right(bits, signed, narrow):
    qmin = -(2 ** (bits - 1)) if signed else 0
    return qmin + narrow, (2 ** (bits - 1) if signed else 2**bits) - 1


def not_started(bits, signed, narrow):
    raise NotImplementedError("Exercise 1.1")


def test_a_right_answer_comes_back_itself(cards: list[Card]) -> None:
    assert Lab(1).check("1.1", right) is right
    assert repr(cards[0]) == (
        "✓ Passed · Exercise 1.1: The integers of b bits · 1 of 1 points\n"
        "All 28 calls of `integer_range` gave the right result."
    )


def test_a_stub_is_no_error_and_the_reference_takes_its_place(cards: list[Card]) -> None:
    found = Lab(1).check("1.1", not_started)
    assert found(4, True, False) == (-8, 7)
    assert repr(cards[0]).splitlines() == [
        "○ Not started · Exercise 1.1: The integers of b bits · 0 of 1 points",
        "Replace the line `raise NotImplementedError` in `integer_range`, run that cell, then this "
        "one again.",
        "Until it passes, the cells below use the reference `integer_range`: you can go on.",
    ]


def test_a_wrong_answer_is_shown_with_its_smallest_call_and_a_next_step(cards: list[Card]) -> None:
    def quantize(x, scale, zero_point, qmin, qmax):
        return (torch.round(x / scale) - zero_point).clamp(qmin, qmax).to(torch.int32)

    checked = Lab(1)
    checked.check("1.3", quantize)
    text = repr(cards[0])
    assert text.startswith("✗ Not yet · Exercise 1.3: Quantize · 0 of 2 points")
    assert "quantize(torch.tensor([0.777]), 0.031, -11, -128, 127)" in text
    assert "Your code subtracts the zero point." in text
    assert 'lab.hint("1.3")' in text
    x, *rest = checked.failed_call("1.3")
    assert rest == [0.031, -11, -128, 127]
    assert x.item() == pytest.approx(0.777)


def test_an_exception_is_shown_with_the_students_line_and_no_traceback(cards: list[Card]) -> None:
    def helper(bits):
        return bits.colour

    Lab(1).check("1.1", lambda bits, signed, narrow: helper(bits))
    text = repr(cards[0])
    assert text.startswith("✗ Your code raised")
    assert "AttributeError: 'int' object has no attribute 'colour'" in text
    assert "of helper: return bits.colour" in text
    assert "labkit/" not in text
    assert "Traceback" not in text


def test_a_lab_of_another_release_says_so(
    cards: list[Card], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(tmp_path)
    monkeypatch.setenv("JPY_SESSION_NAME", str(tmp_path / "lab1_linear.ipynb"))
    Lab(1)
    assert cards == []
    monkeypatch.setattr("labkit.start.__version__", "9.9")
    Lab(1)
    assert "and labkit 9.9 is installed" in repr(cards[0])


def test_a_cell_that_was_edited_and_not_run_again_is_suspected(cards: list[Card]) -> None:
    def in_numpy(x):
        return np.rint(x.numpy())

    for number, answer in (("1.1", right), ("1.5", in_numpy)):
        checked = Lab(1)
        passed = checked.check(number, answer)
        assert "passed before" not in repr(cards[-1])
        assert checked.check(number, passed) is not None
        assert "that passed before. If you have edited it since, run the cell" in repr(cards[-1])
        checked.check(number, lambda *args, answer=answer: answer(*args))
        assert "passed before" not in repr(cards[-1])


def cell(source: str, space: dict) -> None:
    """Run a cell as a kernel does: in the notebook's names, its source kept for tracebacks."""
    name = f"<cell {abs(hash(source))}>"
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    exec(compile(source, name, "exec"), space)


GIVEN = "ranges = {b: integer_range(b, True, False) for b in (2, 4)}"


def test_a_failed_answer_stays_at_hand_under_its_own_name(
    cards: list[Card], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(GIVEN)])
    monkeypatch.setattr(lab, "LABS", tmp_path)
    nbformat.write(notebook, tmp_path / "lab1_linear.ipynb")
    space = {"__name__": "__main__", "lab": Lab(1), "plots": plots}
    cell("def integer_range(bits, signed, narrow):\n    return 0, bits", space)
    cell('integer_range = lab.check("1.1", integer_range)', space)
    cell(GIVEN, space)
    assert space["ranges"] == {2: (-2, 1), 4: (-8, 7)}
    cell("def quantize(*args):\n    return integer_range(4, True, False)", space)
    assert space["quantize"]() == (-8, 7)
    cell("mine = integer_range(4, True, False)", space)
    cell('again = integer_range(*lab.failed_call("1.1"))[0]', space)
    assert (space["mine"], space["again"]) == ((0, 4), 0)
    cell('integer_range = lab.check("1.1", integer_range)', space)
    assert "the cells of this lab use the reference" in repr(cards[-1])


def test_a_picture_draws_the_students_own_function(cards: list[Card]) -> None:
    def unrounded(x, scale, zero_point, qmin, qmax):
        return x / scale + zero_point

    found = Lab(1).check("1.3", unrounded)
    assert max(picture_of(found)) > 4
    assert found(torch.ones(1), 0.5, 0, -8, 7).dtype == torch.int32
    assert picture_of(Lab(1).check("1.3", stub_of_quantize)) == []


def stub_of_quantize(x, scale, zero_point, qmin, qmax):
    raise NotImplementedError("Exercise 1.3")


def picture_of(quantize) -> list[float]:
    ax = plots.staircase(quantize, 0.5, 0, -8, 7)
    return [y for line in ax.lines for y in line.get_ydata()]


def test_an_answer_that_changes_its_input_is_handed_on_with_copies(cards: list[Card]) -> None:
    found = Lab(1).check("1.5", lambda x: x.round_())
    x = torch.tensor([0.6, 2.5])
    assert found(x).tolist() == [1, 2]
    assert x.tolist() == pytest.approx([0.6, 2.5])


def test_one_forgotten_case_costs_the_same_if_it_raises(cards: list[Card]) -> None:
    def raises(bits, signed, narrow):
        if narrow and bits == 3:
            raise ValueError("narrow")
        return right(bits, signed, narrow)

    def wrong(bits, signed, narrow):
        return (0, 0) if narrow and bits == 3 else right(bits, signed, narrow)

    for answer in (raises, wrong):
        Lab(1).check("1.1", answer)
        assert repr(cards[-1]).startswith("◐ Almost")


def test_a_module_that_loads_for_long_is_never_cut_in_two(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "slow_to_load.py").write_text("import time\ntime.sleep(1)\nREADY = True\n")
    monkeypatch.syspath_prepend(tmp_path)

    def answer(x):
        import slow_to_load

        return slow_to_load.READY

    assert call_all(answer, ONE, seconds=0.3)[0].value is True


def test_an_error_of_torch_is_not_taken_for_a_stub(cards: list[Card]) -> None:
    def answer(x):
        return torch.softmax(x.long(), 0)

    outcome = call_all(answer, ONE)[0]
    assert outcome.status == "raised"
    assert "NotImplementedError" in outcome.message
    assert call_all(not_started, [Case("", (1, 2, 3))])[0].status == "not started"


def test_numpy_answers_are_handed_on_as_tensors(cards: list[Card]) -> None:
    found = Lab(1).check("1.5", lambda x: np.rint(x.numpy()))
    assert isinstance(found(torch.tensor([0.5])), torch.Tensor)


def test_an_answer_that_changes_its_input_is_almost_right(cards: list[Card]) -> None:
    returned = Lab(1).check("1.5", lambda x: x.round_())
    assert "◐ Almost" in repr(cards[0])
    assert "The numbers are right, but your code changes its input in place (x)" in repr(cards[0])
    x = torch.tensor([2.5])
    assert (returned(x).item(), x.item()) == (2.0, 2.5)


def test_an_answer_that_leaves_a_gradient_in_its_input_is_almost_right(cards: list[Card]) -> None:
    def slope_on_the_input(x, target):
        x.requires_grad_()
        loss = (x + (torch.round(x) - x).detach() - target).square().sum()
        loss.backward()
        return loss.detach(), x.grad

    Lab(5).check("5.2", slope_on_the_input)
    assert "◐ Almost" in repr(cards[0])
    assert "in place (x)" in repr(cards[0])


def test_nan_in_an_input_is_no_change() -> None:
    outcomes = call_all(lambda x: x + 1, [Case("", (torch.tensor([torch.nan, 1.0]),))])
    assert outcomes[0].changed == ()


def test_something_that_is_no_function_is_named(cards: list[Card]) -> None:
    Lab(1).check("1.1", (0, 255))
    assert "integer_range is a tuple now; expected your function." in repr(cards[0])


@pytest.mark.parametrize("name", ["1.99", "2.1", "", None])
def test_an_unknown_exercise_names_the_known_ones(name: str) -> None:
    with pytest.raises(ValueError, match=r"lab 1 has no exercise .*; expected one of 1\.1, 1\.2"):
        Lab(1).check(name, right)


def test_an_exercise_without_quotes_is_told_to_have_some() -> None:
    with pytest.raises(ValueError, match=r'no exercise 1\.3; .* Write it in quotes: "1\.3"\.'):
        Lab(1).hint(1.3)


def test_hints_come_one_by_one_and_stop_at_the_last(cards: list[Card]) -> None:
    checked = Lab(1)
    for _ in range(4):
        checked.hint("1.1")
    assert [repr(card).count("Hint ") for card in cards] == [1, 2, 3, 3]
    assert "That was the last hint." in repr(cards[3])
    assert cards[1]._repr_html_().count("<details open>") == 1


def test_progress_keeps_the_best_over_restarts(cards: list[Card], tmp_path: Path) -> None:
    Lab(1).check("1.1", right)
    again = Lab(1)
    again.progress()
    assert f"1 of {MOST} points" in repr(cards[-1])
    again.check("1.1", not_started)
    assert "You passed exercise 1.1 before." in repr(cards[-1])
    stored = json.loads((tmp_path / "progress" / "lab1.json").read_text())
    assert stored == {"best": {"1.1": 1.0}}
    assert [p.name for p in (tmp_path / "progress").iterdir()] == ["lab1.json"]


@pytest.mark.parametrize("content", ["{", "[]", '{"best": 3}', '{"best": {"1.1": "x"}}', "\x00"])
def test_a_broken_progress_file_is_kept_aside(
    content: str, cards: list[Card], tmp_path: Path
) -> None:
    folder = tmp_path / "progress"
    folder.mkdir()
    (folder / "lab1.json").write_text(content)
    checked = Lab(1)
    checked.progress()
    assert "it is kept as lab1.broken.json" in repr(cards[0])
    assert (folder / "lab1.broken.json").read_text() == content
    checked.check("1.1", right)
    assert json.loads((folder / "lab1.json").read_text())["best"] == {"1.1": 1.0}


def test_progress_that_cannot_be_written_is_said_and_nothing_is_lost(
    cards: list[Card], tmp_path: Path
) -> None:
    (tmp_path / "progress").write_text("a file where the folder should be")
    checked = Lab(1)
    checked.check("1.1", right)
    checked.progress()
    assert f"1 of {MOST} points" in repr(cards[-1])
    assert "could not be" in repr(cards[-1])


def test_nbgrader_gets_an_exception_for_a_wrong_answer(
    cards: list[Card], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    assert Lab(1).check("1.1", right) is right
    with pytest.raises(CheckFailed, match="Not started"):
        Lab(1).check("1.1", not_started)


def test_nbgrader_gets_half_the_points_as_the_cells_result(
    cards: list[Card], monkeypatch: pytest.MonkeyPatch
) -> None:
    shell = Mock(user_ns={})
    monkeypatch.setattr("IPython.core.getipython.get_ipython", lambda: shell)
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    exercise = exercises(1)[2]
    wrong = next(m.wrong for m in exercise.misconceptions if m.name == "does not clamp")
    assert Lab(1).check("1.3", wrong) is exercise.reference
    shell.displayhook.assert_called_once_with(exercise.points / 2)
    assert shell.user_ns["quantize"] is exercise.reference


def test_nbgrader_has_a_reference_for_an_answer_that_did_not_run_and_no_points(
    cards: list[Card], monkeypatch: pytest.MonkeyPatch
) -> None:
    shell = Mock(user_ns={})
    monkeypatch.setattr("IPython.core.getipython.get_ipython", lambda: shell)
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    checked = Lab(1)
    with pytest.raises(CheckFailed, match="is the reference now"):
        checked.check("1.3", shell.user_ns["quantize"])
    with pytest.raises(CheckFailed, match="is a int now"):
        checked.check("1.3", 5)


def test_the_reference_that_a_check_gave_is_no_answer(cards: list[Card]) -> None:
    checked = Lab(1)
    given = checked.check("1.1", not_started)
    checked.check("1.1", given)
    assert repr(cards[-1]).startswith("○ Not started")
    checked.check("1.1", exercises(1)[0].reference)
    assert "integer_range is the reference now; expected your function." in repr(cards[-1])
    checked.progress()
    assert f"0 of {MOST} points" in repr(cards[-1])


def test_a_prediction_stands_beside_what_was_measured(cards: list[Card]) -> None:
    checked = Lab(1)
    checked.reveal("SQNR in dB", 30, 37.5)
    checked.reveal("SQNR in dB", None, 37.5)
    assert "your prediction     30" in repr(cards[0])
    assert "Off by 7.5." in repr(cards[0])
    assert "No prediction yet" in repr(cards[1])


def test_a_prediction_in_words_is_told_to_be_a_number() -> None:
    with pytest.raises(TypeError, match="the prediction is '30 dB'; expected a number"):
        Lab(1).reveal("SQNR in dB", "30 dB", 37.5)


def endless(x):
    while True:
        pass


def endless_and_stubborn(x):
    while True:
        try:
            while True:
                pass
        except BaseException as error:
            if time.monotonic() > STUBBORN_UNTIL:
                raise error from None


def asleep(x):
    AWAKE.wait(60)


STUBBORN_UNTIL = 0.0
AWAKE = threading.Event()


@pytest.mark.parametrize("answer", [endless, endless_and_stubborn, asleep])
def test_an_answer_without_end_is_stopped(answer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "STUBBORN_UNTIL", time.monotonic() + 1)
    monkeypatch.setattr(sys.modules[__name__], "AWAKE", threading.Event())
    start = time.monotonic()
    outcomes = call_all(answer, ONE * 3, seconds=0.5)
    assert time.monotonic() - start < 30
    assert [o.status for o in outcomes] == ["stopped", "not called", "not called"]
    assert "ran for more than 0.5 seconds" in outcomes[0].message
    # While an exception waits for a thread, Python 3.11 does not get on where calls are watched.
    AWAKE.set()


@pytest.mark.skipif(not hasattr(time, "pthread_getcpuclockid"), reason="no clocks of threads here")
def test_a_busy_machine_stops_nobody() -> None:
    # What is on the clock but not computed, as where other programs take their turns.
    (outcome,) = call_all(lambda x: time.sleep(1.0), ONE, seconds=0.5)
    assert outcome.status == "returned"


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda x: sys.exit(3), "SystemExit: 3"),
        (lambda x: (_ for _ in ()).throw(KeyboardInterrupt), "KeyboardInterrupt"),
        (lambda x: recurse(x), "RecursionError: maximum recursion depth exceeded"),
        (lambda x: x.item(), "RuntimeError: a Tensor with 2 elements cannot be converted"),
        (lambda: None, "TypeError: "),
    ],
)
def test_whatever_an_answer_raises_is_an_outcome(answer, message: str) -> None:
    outcome = call_all(answer, ONE)[0]
    assert outcome.status == "raised"
    assert outcome.message.startswith(message)


def recurse(x):
    return recurse(x)


def test_what_an_answer_prints_is_kept_short() -> None:
    outcome = call_all(lambda x: print("word " * 10**6), ONE)[0]
    assert outcome.printed.startswith("word word")
    assert len(outcome.printed) < console.PRINTED + 10


def test_each_call_gets_its_own_copy_of_the_inputs() -> None:
    kept = ONE[0].args[0].clone()
    call_all(lambda x: x.zero_(), ONE * 2)
    assert torch.equal(ONE[0].args[0], kept)


def test_a_card_says_the_same_in_html_and_in_text_and_escapes_what_it_shows() -> None:
    nasty = "<script>alert(1)</script> & <style>*{}</style>"
    card = Card(
        "bad",
        nasty,
        (Text(nasty), Code(nasty, nasty), Table((nasty,), ((nasty,),)), Fold(nasty, nasty)),
    )
    html, text = card._repr_html_(), repr(card)
    assert "<script" not in html
    assert "<style" not in html
    assert html.count("&lt;script&gt;") == text.count("<script>") == 8


def test_an_endless_print_runs_out_of_time_and_not_of_memory() -> None:
    def flood(x):
        while True:
            print("x" * 10**6)

    (outcome,) = call_all(flood, ONE, 0.5)
    assert outcome.status == "stopped"


def test_an_error_inside_the_standard_library_names_the_students_line() -> None:
    import random

    def draws(x):
        return random.choice([])

    (outcome,) = call_all(draws, ONE)
    assert "of draws: return random.choice([])" in outcome.message


def test_input_is_an_error_that_says_what_to_do() -> None:
    (outcome,) = call_all(lambda x: input("n? "), ONE)
    assert outcome.status == "raised"
    assert "nobody does while it is checked" in outcome.message


def test_only_a_stub_is_not_started() -> None:
    def todo(x):
        raise NotImplementedError("to do")

    (outcome,) = call_all(todo, ONE)
    assert outcome.message.startswith("NotImplementedError: to do")
