"""What a student does, in a real browser.

nbval runs the labs as they are, unsolved, on all pictures. Here they are half solved, so that cells
of every kind follow right, wrong and no answers, and it is seen that JupyterLab can show it: that
each cell gets its turn in the page, no script fails and nothing is asked of another host.
That depends on what is shown, and not on how many pictures it was computed from: the cells run on
few of them (`small_data.py`), and the labs follow one another in one JupyterLab, as a student
goes from one to the next.
"""

import shutil
from contextlib import suppress

import nbformat
import psutil
import pytest
from half_solved import half_solved

from labkit.checks import registry
from labkit.grading.releasing.release import CHECK, exercise_id, grade_id

ANSWER = """
def integer_range(bits: int, signed: bool, narrow: bool) -> tuple[int, int]:
    lowest = -(2 ** (bits - 1)) if signed else 0
    highest = 2 ** (bits - 1){one} if signed else 2**bits - 1
    return lowest + narrow, highest
"""
WRONG, RIGHT = ANSWER.format(one=""), ANSWER.format(one=" - 1")
FIRST_ANSWER_SECONDS = 15

pytestmark = pytest.mark.slow


def cpu_seconds():
    """CPU seconds of all that this process started: on a busy machine they stay what they are."""
    total = 0.0
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            total += sum(process.cpu_times()[:2])
    return total


@pytest.mark.parametrize("number", registry.STEMS)
def test_a_half_solved_and_wrongly_solved_lab_runs_to_the_end(number, labs, request):
    notebook, expected = half_solved(number)
    name = f"half_solved_{registry.STEMS[number]}.ipynb"
    nbformat.write(notebook, labs / name)
    before = cpu_seconds()  # before the first of them JupyterLab starts as well
    desk = request.getfixturevalue("open_lab")(name)
    desk.run(desk.setup_cell())
    assert cpu_seconds() - before < 2 * FIRST_ANSWER_SECONDS  # on two cores
    assert desk.run_all()
    assert desk.tracebacks() == []
    checks = {
        i: exercise_id(cell)
        for i, cell in enumerate(notebook.cells)
        if grade_id(cell).startswith(CHECK)
    }
    assert {key: desk.output(i).split(" · ")[0] for i, key in checks.items()} == expected
    assert desk.console_errors == []
    assert "127.0.0.1" in desk.hosts
    assert desk.hosts <= {"127.0.0.1", ""}  # no request leaves the machine


def test_a_wrong_answer_is_diagnosed_hints_help_and_the_right_one_counts(open_lab, labs):
    shutil.rmtree(labs / ".labkit", ignore_errors=True)  # what other tests have solved
    desk = open_lab("lab1_linear.ipynb")
    desk.run(desk.setup_cell())
    answer, check = desk.index("exercise-1-1"), desk.index("check-1-1")
    assert "def integer_range" in desk.cells()[answer][1]

    desk.type_into(answer, WRONG)
    desk.run(answer)
    card = desk.run(check)
    assert card.startswith("◐ Almost · Exercise 1.1")
    assert "leaves out `- 1`" in card
    assert "Almost" in desk.shows(check, "Exercise 1.1")

    desk.type_into(answer, RIGHT)  # and forget to run it
    assert "was checked last time. If you have edited it since, run" in desk.run(check)

    hints = desk.insert_below(check, 'lab.hint("1.1")')
    first, second = desk.run(hints), desk.run(hints)
    assert "Hint 1 of 3" in first
    assert "Hint 2 of 3" not in first
    assert "Hint 2 of 3" in second

    desk.run(answer)
    assert desk.run(check).startswith("✓ Passed")
    assert "passed before" in desk.run(check)  # nothing was run in between
    progress = desk.insert_below(hints, "lab.progress()")
    assert "1 of 1" in desk.run(progress)

    desk.restart()  # and what the card says that asks for a cell above
    assert desk.run_all_above(progress)
    assert "1 of 1" in desk.run(progress)
    assert desk.tracebacks() == []
    assert desk.console_errors == []

    with desk.page.expect_download() as download:
        desk.command("docmanager:download")
    assert download.value.suggested_filename == "lab1_linear.ipynb"


@pytest.mark.parametrize(
    ("source", "line"),
    [("lab.progress()", "lab = Lab(1)"), ("print(w)", "w = robust.stage2.conv1.weight.detach()")],
)
def test_after_a_restart_any_cell_says_what_to_run(source, line, restarted):
    cell = restarted.insert_below(2, source)
    shown = restarted.run(cell)
    assert "has not run since the kernel started" in shown
    assert line in shown
    assert "Run > Run All Above Selected Cell" in shown
    assert "NameError" in shown.splitlines()[-1]
    assert "Traceback" not in restarted.shows(cell, line)


@pytest.fixture(scope="module")
def restarted(one_desk):
    """A lab whose kernel has just been restarted in mid-lab."""
    desk = one_desk.turn_to("lab1_linear.ipynb")
    desk.run(desk.setup_cell())
    desk.restart()
    return desk


def test_what_is_typed_is_what_runs(open_lab):
    """With the keyboard, as a student does: the other tests put text into cells at once."""
    desk = open_lab("lab1_linear.ipynb")
    cell = desk.insert_below(desk.setup_cell(), "")
    editor = desk.page.locator(".jp-mod-active .cm-content")
    editor.click()
    editor.press_sequentially("print(6 * 7)")
    editor.press("Shift+Enter")
    desk.cell(cell).get_by_text("42", exact=True).wait_for()
    assert desk.output(cell) == "42\n"


def test_the_index_shows_the_way(open_lab):
    desk = open_lab("index.ipynb")
    shown = desk.run(desk.setup_cell())
    assert "Go on with lab" in shown
    desk.page.get_by_role("link", name="0 Number formats").click()
    desk.page.wait_for_function(
        "window.jupyterapp.shell.currentWidget.context?.path == 'lab0_formats.ipynb'"
    )
    desk.command("application:close")
