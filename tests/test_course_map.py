"""The map of the course: what the notebooks and the exercises say, and nothing stale."""

import base64
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from labkit.checks import registry
from labkit.checks.plan import minutes, plan_card
from labkit.grading.releasing.course_map import course_map, pictures, reading_minutes

pytestmark = pytest.mark.slow

LABS = Path(__file__).parents[1] / "labs"
SOLUTIONS = LABS.parent / "solutions"
CORE_PATH = 90  # minutes; what one sitting can hold


def lab(*cells):
    return new_notebook(cells=[new_markdown_cell("word " * 370), *cells])


def test_reading_is_counted_in_markdown_only():
    cells = [new_markdown_cell("word " * 30), new_code_cell("x = 1  # " + "word " * 900)]
    assert reading_minutes(lab(*cells)) == 2
    extra = new_markdown_cell("## 1.5 An extra\n\n" + "word " * 600 + "\n\n## 1.6 The next")
    assert reading_minutes(lab(*cells, extra)) == 5
    assert reading_minutes(lab(*cells, extra), ["1.5"]) == 2


@pytest.mark.parametrize("number", registry.STEMS)
def test_the_core_path_fits_one_sitting_and_is_shown_as_declared(number):
    notebook = nbformat.read(LABS / f"{registry.STEMS[number]}.ipynb", as_version=4)
    knows_torch, first_time = minutes(number, core=True)
    assert knows_torch < first_time
    extras = [exercise.id for exercise in registry.exercises(number) if exercise.extra]
    assert first_time + reading_minutes(notebook, extras) <= CORE_PATH
    assert any(cell.source == "lab.plan()" for cell in notebook.cells)
    card = repr(plan_card(number))
    for exercise in registry.exercises(number):
        kind = "extra" if exercise.extra else "core"
        row = rf"{re.escape(exercise.id)} .*{kind} +{exercise.minutes[0]} +{exercise.minutes[1]}"
        assert re.search(row, card), exercise.id


def test_a_lab_is_one_row_and_its_exercises_are_folded():
    start = new_markdown_cell("**You need** a pipe | and\npaper. **Lecture:** some.")
    text = course_map({1: lab(start)})
    (row,) = [line for line in text.splitlines() if line.startswith("|  | **")]
    assert "**[1 Linear quantization](lab1_linear.ipynb)**" in row
    assert registry.sentence(1) in row
    assert r"*You need* a pipe \| and paper." in row
    known, first = minutes(1)
    assert row.endswith(f"| {first + 2} min ({known + 2}) |")
    (item,) = [line for line in text.splitlines() if line.startswith("- **1 ")]
    exercises = registry.exercises(1)
    assert f"({sum(exercise.points for exercise in exercises)} points)" in item
    for exercise in exercises:
        assert (f"*{exercise.title}*" if exercise.extra else exercise.title) in item
    assert text.index("<details>") < text.index(item) < text.index("</details>")


@pytest.mark.parametrize("path", sorted(LABS.glob("lab*.ipynb")), ids=lambda path: path.stem)
def test_every_lab_says_what_it_needs(path):
    notebook = nbformat.read(path, as_version=4)
    number = next(number for number, stem in registry.STEMS.items() if stem == path.stem)
    row = next(x for x in course_map({number: notebook}).splitlines() if "](lab" in x)
    assert re.search(r"\*You need\* \w", row)


def test_each_picture_of_the_map_is_there_and_is_one():
    for name in ("README.md", "index.ipynb"):
        found = re.findall(r'src=\\?"(pictures/[^"\\]+)', (LABS / name).read_text("utf-8"))
        assert len(found) == len(registry.STEMS)
        for picture in found:
            assert (LABS / picture).read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("number", registry.STEMS)
def test_the_words_for_a_labs_picture_are_those_of_one(number):
    solved = nbformat.read(SOLUTIONS / f"{registry.STEMS[number]}.ipynb", as_version=4)
    drawn = [
        output.data
        for cell in solved.cells
        for output in cell.get("outputs", ())
        if "image/png" in output.get("data", {})
    ]
    (found,) = [data for data in drawn if registry.picture(number) in data["text/plain"]]
    (shown,) = pictures({number: solved}).values()
    assert shown == base64.b64decode(found["image/png"])


def test_a_lab_without_a_picture_has_none():
    assert pictures({1: lab(new_code_cell("1 + 1"))}) == {}
    assert "<img" not in course_map({1: lab()})


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
    points = sum(exercise.points for exercise in registry.exercises(1))
    assert re.search(rf" 1 of {points}\b", card.data["text/plain"])
