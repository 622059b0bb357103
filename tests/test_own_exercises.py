"""Exercises from a class's own folder: labs, checks, grading and the students' zip follow."""

import csv
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

import grading_support as support
import nbformat
import pytest

from labkit.checks import own, registry, selection
from labkit.grading.releasing.release import ANSWER, grade_id
from labkit.grading.releasing.taking import own_cells
from labkit.grading.sandbox.bubblewrap import problem
from labkit.teaching import skeleton
from labkit.teaching.new_exercise import NewExercise, new_exercise

ROOT = Path(__file__).parents[1]
STEM = registry.STEMS[1]
NUMBER = "1.100"
NEW = NewExercise(NUMBER, "Row magnitudes", "row_magnitudes")
COURSE = """exercises = "ours"

[labs.1]
leave_out = ["1.10"]
"""
POINTS = 'points = {"1.100" = 3}\n'
ADDED = f"exercise-{NUMBER.replace('.', '-')}"


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a course with an exercise of its own, as the commands make it."""
    folder = tmp_path_factory.mktemp("course")
    (folder / "ours").mkdir()
    (folder / "course.toml").write_text(COURSE, "utf-8")
    labkit(folder, "new-exercise", NUMBER, NEW.title)
    (folder / "course.toml").write_text(COURSE + POINTS, "utf-8")
    labkit(folder, "release", "--bundle", str(folder / "students.zip"))
    return folder


def labkit(folder: Path, *arguments: str) -> str:
    around = os.environ | {"LABKIT_COURSE": str(folder / "course.toml")}
    return run(ROOT, around, "-m", "labkit.cli", *arguments)


def run(folder: Path, around: Mapping[str, str], *arguments: str) -> str:
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=folder, env=around, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def solved(folder: Path) -> dict:
    """Return the class's lab 1 with all its answers."""
    lab = json.loads((folder / "labs" / f"{STEM}.ipynb").read_text("utf-8"))
    answers = support.solved_notebook()["cells"]
    sources = {grade_id(cell): cell["source"] for cell in answers if grade_id(cell)}
    sources[ADDED] = "def row_magnitudes(x):\n    return x.abs().amax(dim=1)"
    for cell in lab["cells"]:
        if grade_id(cell).startswith(ANSWER):
            cell["source"] = sources[grade_id(cell)]
    return lab


@pytest.mark.slow
def test_the_lab_of_the_class_has_it_behind_the_others(course: Path) -> None:
    lab = nbformat.read(course / "labs" / f"{STEM}.ipynb", as_version=4)
    keys = [grade_id(cell) for cell in lab.cells if grade_id(cell).startswith(ANSWER)]
    assert keys[-1] == ADDED
    assert "exercise-1-10" not in keys
    texts = [cell.source for cell in lab.cells]
    assert sum(text.startswith(f"## {NUMBER} ") for text in texts) == 1
    assert not any(skeleton.TO_TRY_IT in text for text in texts)
    assert "*Row magnitudes*" in (course / "labs" / "README.md").read_text("utf-8")
    assert not list((ROOT / "labs").glob("*ours*"))
    assert labkit(course, "release", "--check").startswith("labs/ and solutions/ agree")


@pytest.mark.slow
def test_the_tests_of_exercises_take_it(course: Path) -> None:
    own = {"LABKIT_COURSE": str(course / "course.toml"), "PYTEST_ADDOPTS": ""}
    around = os.environ | own
    quiet = ("-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider")
    said = run(ROOT, around, *quiet, "tests/test_exercises.py", "-k", NUMBER, "--tb=short", "-rA")
    for style in skeleton.STYLES:
        assert f"{NUMBER}-row_magnitudes_{style}" in said


@pytest.mark.slow
def test_the_dry_run_judges_it_and_goes_on_from_its_reference(course: Path, tmp_path) -> None:
    lab = solved(course)
    cell = next(cell for cell in lab["cells"] if grade_id(cell) == ADDED)
    cell["source"] = "def row_magnitudes(x):\n    return x.amax(dim=1)"
    support.save(tmp_path, lab)
    said = labkit(course, "check", str(tmp_path / f"{STEM}.ipynb"))
    assert "Your code takes the largest value, not the largest magnitude." in said


@pytest.mark.slow
@pytest.mark.skipif(bool(problem()), reason=f"no sandbox: {problem()}")
def test_the_grader_gives_its_points(course: Path, tmp_path: Path) -> None:
    support.save(tmp_path / "class" / "ada", solved(course))
    labkit(course, "grade", str(tmp_path / "class"), "--lab", "1", "--out", str(tmp_path / "out"))
    text = (tmp_path / "out" / "gradebook.csv").read_text("utf-8")
    (points,) = csv.DictReader(text.splitlines())
    assert points[NUMBER] == "3"
    assert NUMBER not in points["outcomes"]


@pytest.mark.slow
def test_students_get_it_without_a_variable_and_without_solutions(course: Path, tmp_path) -> None:
    with zipfile.ZipFile(course / "students.zip") as archive:
        archive.extractall(tmp_path)
    root = tmp_path / "quantization-labs"
    assert {path.name for path in root.glob("labs/lab*.ipynb")} == {f"{STEM}.ipynb"}
    assert not list(root.glob("labkit/data/ours/**/*.ipynb"))
    assert not list(root.glob("labkit/data/ours/**/right_answers.py"))
    around = {key: value for key, value in os.environ.items() if key != "LABKIT_COURSE"}
    code = "from labkit.checks import registry; print(registry.exercises(1)[-1].id)"
    assert run(root, around, "-c", code).strip() == NUMBER


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder of own exercises, for lab 1."""
    monkeypatch.setattr(own, "FOLDER", tmp_path)
    monkeypatch.setattr(own, "__path__", [str(tmp_path)])
    own.declared.cache_clear()
    (tmp_path / "lab1").mkdir()
    yield tmp_path / "lab1"
    own.declared.cache_clear()
    for name in [name for name in sys.modules if name.startswith(f"{own.__name__}.")]:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("exercise", "reason"),
    [
        ("raise OSError('no')", r"a\.py cannot be used: OSError: no"),
        ("def f(:", r"a\.py cannot be used: SyntaxError"),
        (NEW.filled(skeleton.EXERCISE).replace(NUMBER, "1.14"), r"'1\.14'; expected 1\.100 or a"),
        (NEW.filled(skeleton.EXERCISE).replace(NUMBER, "2.100"), r"'2\.100'; expected 1\.100 or"),
        (
            NEW.filled(skeleton.EXERCISE).replace("row_magnitudes", "quantize"),
            r"asks for quantize; exercise 1\.3 asks for quantize already",
        ),
        (
            NEW.filled(skeleton.EXERCISE) + "\nfrom dataclasses import replace\n"
            "OTHER = replace(ROW_MAGNITUDES, id='1.101')\n",
            r"declares the exercises \['1\.100', '1\.101'\]; expected one a file",
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_named(folder: Path, exercise: str, reason: str) -> None:
    (folder / "a.py").write_text(exercise, "utf-8")
    with pytest.raises(ValueError, match=reason):
        own.joined(registry.module(1).EXERCISES, 1)


def test_helpers_declare_nothing_and_an_exercise_needs_its_cells(folder: Path) -> None:
    (folder / "helpers.py").write_text("HELP = 3\n", "utf-8")
    (folder / "a.py").write_text(
        f"from labkit.checks.own.lab1.helpers import HELP\n{NEW.filled(skeleton.EXERCISE)}", "utf-8"
    )
    assert own.joined(registry.module(1).EXERCISES, 1)[-1].id == NUMBER
    with pytest.raises(ValueError, match=r"a\.ipynb is missing; it holds the cells of exercise"):
        own_cells(1)
    nbformat.write(nbformat.v4.new_notebook(), folder / "a.ipynb")
    with pytest.raises(ValueError, match=r"has no cell that begins with '## 1\.100 '"):
        own_cells(1)


@pytest.mark.parametrize("named", ["3", "''", "'../ours'", "'nowhere'"])
def test_the_folder_lies_beside_the_file(tmp_path: Path, monkeypatch, named: str) -> None:
    (tmp_path / "course.toml").write_text(f"exercises = {named}\n", "utf-8")
    monkeypatch.setenv("LABKIT_COURSE", str(tmp_path / "course.toml"))
    with pytest.raises(ValueError, match=r"expected a name like|is no folder"):
        selection.own_folder()


def test_own_numbers_need_a_folder() -> None:
    if own.FOLDER is None:
        with pytest.raises(ValueError, match=r"numbers from 1\.100 on are for exercises of your"):
            new_exercise(ROOT, "1.150", "Something new")
