"""What a student does, in a real browser."""

import os
import time

import pytest

from labkit.checks import registry

ANSWER = """
def integer_range(bits: int, signed: bool, narrow: bool) -> tuple[int, int]:
    lowest = -(2 ** (bits - 1)) if signed else 0
    highest = 2 ** (bits - 1){one} if signed else 2**bits - 1
    return lowest + narrow, highest
"""
WRONG, RIGHT = ANSWER.format(one=""), ANSWER.format(one=" - 1")


FIRST_ANSWER_SECONDS = 15


def busy():
    """How many processes each core has, at least 1: a busy machine gets more time."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


@pytest.mark.parametrize("number", registry.STEMS)
def test_an_unsolved_lab_runs_from_top_to_bottom(number, open_lab):
    start = time.monotonic()
    desk = open_lab(f"{registry.STEMS[number]}.ipynb")
    first = next(i for i, cell in enumerate(desk.cells()) if cell[0] == "code")
    desk.run(first)
    assert time.monotonic() - start < FIRST_ANSWER_SECONDS * busy()
    assert desk.run_all()
    assert desk.tracebacks() == []
    assert desk.console_errors == []


def test_a_wrong_answer_is_diagnosed_hints_help_and_the_right_one_counts(open_lab):
    desk = open_lab("lab1_linear.ipynb")
    code = [i for i, cell in enumerate(desk.cells()) if cell[0] == "code"]
    desk.run(code[0])
    answer, check = desk.index("exercise-1-1"), desk.index("check-1-1")
    assert "def integer_range" in desk.cells()[answer][1]

    desk.type_into(answer, WRONG)
    desk.run(answer)
    card = desk.run(check)
    assert "Not yet" in card or "Almost" in card
    assert "Exercise 1.1" in card
    assert "Exercise 1.1" in desk.shown_html(check)

    hints = desk.insert_below(check, 'lab.hint("1.1")')
    first, second = desk.run(hints), desk.run(hints)
    assert "1" in first
    assert len(second) > len(first)

    desk.type_into(answer, RIGHT)
    desk.run(answer)
    assert "Passed" in desk.run(check)
    progress = desk.insert_below(hints, "lab.progress()")
    assert "1 of 1" in desk.run(progress)

    desk.restart()
    assert desk.run_all()
    assert "1 of 1" in desk.output(progress)
    assert desk.console_errors == []


def test_after_a_restart_a_later_cell_says_what_to_run(open_lab):
    desk = open_lab("lab1_linear.ipynb")
    cells = desk.cells()
    setup = next(i for i, cell in enumerate(cells) if "lab = Lab(1)" in cell[1])
    later = next(i for i, cell in enumerate(cells) if "numel()" in cell[1]) + 1
    later = desk.insert_below(later, "robust.eval()")
    desk.restart()
    desk.run(setup)
    shown = desk.run(later)
    assert "The cell that makes `robust` has not run since the kernel started" in shown
    assert "Run > Run All Above Selected Cell" in shown


def test_the_notebook_can_be_downloaded(open_lab):
    desk = open_lab("lab1_linear.ipynb")
    with desk.page.expect_download() as download:
        desk.command("docmanager:download")
    assert download.value.suggested_filename == "lab1_linear.ipynb"


def test_no_request_leaves_the_machine(open_lab):
    desk = open_lab("lab0_formats.ipynb")
    assert "127.0.0.1" in desk.hosts
    assert desk.hosts <= {"127.0.0.1", ""}
