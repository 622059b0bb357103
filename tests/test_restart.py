"""A kernel restarted in mid-lab: what a student reads who runs a later cell first."""

import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from labkit.checks import registry
from labkit.checks.restart import first_definition
from labkit.start import LABS

pytestmark = pytest.mark.slow

LAB_1 = LABS / f"{registry.STEMS[1]}.ipynb"
SETUP = "from labkit import Lab\nlab = Lab(1)"


def run(sources, folder):
    """Return what each cell of a notebook shows, run in a kernel of its own."""
    notebook = new_notebook(cells=[new_code_cell(source) for source in sources])
    where = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, allow_errors=True, resources=where).execute()
    return [cell.outputs for cell in notebook.cells]


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """Give what a notebook shows in which nothing but the first cell has run, for each cell."""
    sources = [SETUP, "robust.eval()", "print(tyop)", "def f():\n    print(w)\n\nf()", "1 / 0"]
    return run(sources, tmp_path_factory.mktemp("restarted"))


@pytest.mark.parametrize(
    ("position", "name", "line"),
    [
        (1, "robust", 'robust = zoo.load_model("resnet")'),
        (3, "w", "w = robust.stage2.conv1.weight.detach()"),
    ],
)
def test_a_name_of_a_cell_above_gets_a_card_and_one_line(outputs, position, name, line):
    card, error = outputs[position]
    text = card.data["text/plain"]
    assert text.startswith(f"○ The cell that makes `{name}` has not run since the kernel started")
    assert line in text
    assert "Run > Run All Above Selected Cell" in text
    assert error.ename == "NameError"
    assert "Traceback" not in "".join(error.traceback)


@pytest.mark.parametrize(("position", "kind"), [(2, "NameError"), (4, "ZeroDivisionError")])
def test_every_other_error_stays_as_it_is(outputs, position, kind):
    (error,) = outputs[position]
    assert error.ename == kind
    assert "Traceback" in "".join(error.traceback)


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("import a.b", "a"),
        ("from a import b as c", "c"),
        ("x, (y, *z) = f()", "z"),
        ("for i in f():\n    pass", "i"),
        ("class C:\n    inner = 1", "C"),
        ("if (n := f()):\n    pass", "n"),
    ],
)
def test_every_way_to_bind_a_name_is_found(source, name, tmp_path):
    path = tmp_path / "notebook.ipynb"
    cells = [new_code_cell("import labkit"), new_code_cell(source)]
    nbformat.write(new_notebook(cells=cells), path)
    assert first_definition(path, name) == source.splitlines()[0]
    assert first_definition(path, "inner") is None


def test_every_exercise_is_found_in_its_lab():
    for exercise in registry.exercises(1):
        assert first_definition(LAB_1, exercise.function).startswith(f"def {exercise.function}(")


def test_without_the_lab_no_line_is_found(tmp_path):
    assert first_definition(tmp_path / "nowhere.ipynb", "w") is None
    (tmp_path / "half.ipynb").write_text('{"cells": [')
    assert first_definition(tmp_path / "half.ipynb", "w") is None
    nbformat.write(new_notebook(cells=[new_code_cell("w = 1")]), tmp_path / "other.ipynb")
    assert first_definition(tmp_path / "other.ipynb", "w") is None


def test_cells_that_are_not_finished_are_passed_over(tmp_path):
    sources = ["import labkit", "def f(:", "%matplotlib inline", "w = 1  # mine"]
    path = tmp_path / "mine.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell(source) for source in sources]), path)
    assert first_definition(path, "w") == "w = 1  # mine"


def test_even_the_first_cell_may_be_missing(tmp_path, monkeypatch):
    """With the extension that labkit installs for every kernel of its environment."""
    path = tmp_path / LAB_1.name
    path.write_bytes(LAB_1.read_bytes())
    monkeypatch.setenv("JPY_SESSION_NAME", str(path))
    load = "%load_ext labkit.checks.restart"
    _, *others = run([load, "lab.progress()", 'quantize = lab.check("1.3", quantize)'], tmp_path)
    for card, error in others:
        assert "lab = Lab(1)" in card.data["text/plain"]
        assert error.ename == "NameError"


# An exercise, what its answer cell holds, and what its check then says.
WHY = [
    ("1.3", "def quantize(x, scale, zero_point, qmin, qmax):\n    return (x", "in SyntaxError"),
    ("1.4", "def dequantise(q, scale, zero_point):\n    return q", "but a `def dequantise`"),
    ("1.5", "1 / 0\ndef round_half_even(x):\n    return 0", "ended in ZeroDivisionError"),
    ("1.7", "", "has not run since the kernel started"),
]


def test_why_an_answer_is_not_there(tmp_path):
    functions = {exercise.id: exercise.function for exercise in registry.exercises(1)}
    sources = [SETUP]
    for key, answer, _ in WHY:
        sources += [answer, f'{functions[key]} = lab.check("{key}", {functions[key]})']
    checks = run(sources, tmp_path)[2::2]
    for (_, _, told), (card, error) in zip(WHY, checks, strict=True):
        assert told in card.data["text/plain"]
        assert error.ename == "NameError"


def test_the_extension_is_installed_for_every_kernel_and_loads_quickly():
    configuration = Path(sys.prefix) / "etc" / "ipython" / "ipython_config.py"
    source = LABS.parent / "etc" / "ipython" / "ipython_config.py"
    assert configuration.read_text() == source.read_text(), "run pip install -e . again"
    heavy = "import sys, labkit.checks.restart; print({'torch', 'numpy'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", heavy], text=True) == "set()\n"
