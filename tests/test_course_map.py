"""The map of the course: what the notebooks and the exercises say, and nothing stale."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from labkit.checks import registry
from labkit.grading.course_map import EXERCISE_MINUTES, Effort, course_map

pytestmark = pytest.mark.slow

LABS = Path(__file__).parents[1] / "labs"
LONGEST = 150  # minutes; what one sitting can hold


def lab(*cells):
    return new_notebook(cells=[new_markdown_cell("word " * 370), *cells])


def minutes(number):
    return new_markdown_cell(f"**Goal:** a thing. *{number} minutes.\nDone when it is there.*")


def test_reading_and_exercises_are_counted():
    cells = [minutes(5), new_code_cell("x = 1  # " + "word " * 900), minutes(12)]
    assert Effort.of(lab(*cells)) == Effort(reading=2, exercises=17)


def test_a_lab_is_one_row_with_all_its_exercises():
    start = new_markdown_cell("**You need** a pipe | and\npaper. **Time:** some.")
    text = course_map({1: lab(start, minutes(5))})
    (row,) = [line for line in text.splitlines() if line.startswith("| [")]
    exercises = registry.exercises(1)
    assert row.startswith("| [1 Linear quantization](lab1_linear.ipynb) | ")
    assert " · ".join(exercise.title for exercise in exercises) in row
    assert r"| a pipe \| and paper |" in row
    assert "| 7: 2 + 5 |" in row
    assert row.endswith(f"| {sum(exercise.points for exercise in exercises)} |")


@pytest.mark.parametrize("path", sorted(LABS.glob("lab*.ipynb")), ids=lambda path: path.stem)
def test_every_lab_says_what_it_needs_and_how_long_each_exercise_takes(path):
    notebook = nbformat.read(path, as_version=4)
    number = next(number for number, stem in registry.STEMS.items() if stem == path.stem)
    row = next(line for line in course_map({number: notebook}).splitlines() if "| [" in line)
    need = row.split(" | ")[2]
    assert need.strip()
    text = " ".join(" ".join(c.source for c in notebook.cells).split())
    assert len(EXERCISE_MINUTES.findall(text)) == len(registry.exercises(number))
    assert Effort.of(notebook).total <= LONGEST


@pytest.mark.parametrize("name", ["README.md", "index.ipynb"])
def test_the_map_in_the_folder_links_to_every_lab_there_is(name):
    text = (LABS / name).read_text(encoding="utf-8")
    for path in LABS.glob("lab*.ipynb"):
        assert f"]({path.name})" in text


def test_the_index_shows_the_students_own_progress(tmp_path, monkeypatch):
    (tmp_path / "lab1.json").write_text('{"best": {"1.1": 1}}')
    monkeypatch.setenv("LABKIT_PROGRESS", str(tmp_path))
    notebook = nbformat.read(LABS / "index.ipynb", as_version=4)
    NotebookClient(notebook).execute()
    (card,) = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    assert "1 of 24" in card.data["text/plain"]
