"""A class takes a part of the course: its labs, points and paths follow one file everywhere."""

import json
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import nbformat
import pytest

from labkit import Lab
from labkit.checks import registry, selection
from labkit.checks.plan import plan_card
from labkit.checks.selection import Selected
from labkit.grading.course import Course, course_from, course_key, released_course
from labkit.grading.releasing.release import bundle, release, release_notebook
from labkit.grading.releasing.taking import read_taken, taken

ROOT = Path(__file__).parents[1]
STEM = registry.STEMS[1]
SOLVED = (ROOT / "solutions" / f"{STEM}.ipynb").read_text("utf-8")
LABS = (0, 1, 4)
CHOSEN = Selected(
    leave_out=("1.3", "1.10"),
    points={"1.4": 5},
    extra=("1.2",),
    core=("1.11",),
    due=date(2027, 3, 1),
)


@pytest.fixture
def choose(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Selected], None]]:
    def choose(selected: Selected) -> None:
        monkeypatch.setitem(registry._SELECTED, 1, selected)
        registry.exercises.cache_clear()

    yield choose
    monkeypatch.undo()
    registry.exercises.cache_clear()


def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> dict[int, Selected]:
    path = tmp_path / "course.toml"
    path.write_text(text, "utf-8")
    monkeypatch.setenv("LABKIT_COURSE", str(path))
    return selection.selection(LABS)


def test_without_a_file_the_course_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LABKIT_COURSE", raising=False)
    assert selection.selection(LABS) == {lab: Selected() for lab in LABS}


def test_the_file_says_what_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (
        '[labs.4]\n[labs.1]\ndue = 2027-03-01\nleave_out = ["1.3", "1.10"]\n'
        'points = {"1.4" = 5}\nextra = ["1.2"]\ncore = ["1.11"]\n'
    )
    assert read(tmp_path, monkeypatch, text) == {1: CHOSEN, 4: Selected()}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "has nothing in it"),
        ("labs = 3", "has labs = 3; expected tables"),
        ("[labs", "is no TOML file"),
        ("title = 'x'\n[labs.1]", "has \\['title'\\]; expected tables"),
        ("[labs.7]", "has \\[labs.7\\]; expected one of"),
        ("[labs.one]", "has \\[labs.one\\]"),
        ("labs.1 = 3", "has \\[labs.1\\]"),
        ("[labs.1]\ndue = '2027-03-01'", "a date like 2027-03-01, without quotes"),
        ("[labs.1]\ndue = 2027-03-01T10:00:00", "a date like"),
        ("[labs.1]\nleave_out = '1.3'", 'a list like \\["1.3"\\]'),
        ("[labs.1]\nleave_out = [1.3]", "a list like"),
        ("[labs.1]\npoints = {'1.3' = 0}", "whole numbers like"),
        ("[labs.1]\npoints = {'1.3' = true}", "whole numbers like"),
        ("[labs.1]\nleaveout = ['1.3']", "'leaveout'; expected some of due, leave_out"),
        ("[labs.1]\nextra = ['1.3']\ncore = ['1.3']", "cannot be both extra and core"),
    ],
)
def test_what_makes_no_sense_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        read(tmp_path, monkeypatch, text)


def test_a_file_that_is_not_there_is_named(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABKIT_COURSE", str(tmp_path / "none.toml"))
    with pytest.raises(ValueError, match="which is no file"):
        selection.selection(LABS)


def test_exercises_have_the_points_and_paths_of_the_class(choose) -> None:
    before = {e.id: e for e in registry.exercises(1)}
    choose(CHOSEN)
    after = {e.id: e for e in registry.exercises(1)}
    assert [*after] == [key for key in before if key not in CHOSEN.leave_out]
    assert after["1.4"].points == 5 != before["1.4"].points
    assert (after["1.2"].extra, after["1.11"].extra) == (True, False)
    assert after["1.6"] == before["1.6"]
    assert "Hand it in by 2027-03-01." in repr(plan_card(1))


@pytest.mark.parametrize(
    ("selected", "reason"),
    [
        (Selected(leave_out=("1.99",)), "names exercise '1.99'"),
        (Selected(points={"2.1": 3}), "names exercise '2.1'"),
        (Selected(leave_out=tuple(e.id for e in registry.exercises(1))), "leaves out all"),
    ],
)
def test_exercises_that_are_not_there_are_named(choose, selected: Selected, reason: str) -> None:
    choose(selected)
    with pytest.raises(ValueError, match=reason):
        registry.exercises(1)


def by_grade_id(notebook) -> dict[str, dict]:
    keys = (c["metadata"].get("nbgrader", {}).get("grade_id", c["id"]) for c in notebook["cells"])
    return dict(zip(keys, notebook["cells"], strict=True))


def test_what_is_left_out_is_given_in_the_lab(choose) -> None:
    choose(CHOSEN)
    lab = release_notebook(read_taken(SOLVED, f"{STEM}.ipynb"), STEM)
    found = by_grade_id(lab)
    assert not {"exercise-1-3", "check-1-3", "exercise-1-10", "check-1-10"} & set(found)
    given = next(c.source for c in lab.cells if c.source.startswith("def quantize("))
    assert "NotImplementedError" not in given
    assert "###" not in given
    heading = next(c.source for c in lab.cells if c.source.startswith("## 1.3 "))
    assert "In this course the function is given" in heading
    assert found["check-1-4"]["metadata"]["nbgrader"]["points"] == 5
    assert "raise NotImplementedError" in found["exercise-1-4"]["source"]
    assert json.loads(SOLVED)["cells"][25]["metadata"] != {}  # what was read is not changed


def test_links_to_labs_that_are_not_taken_are_words(choose, monkeypatch) -> None:
    choose(Selected())
    others = {number: stem for number, stem in registry.STEMS.items() if number != 2}
    monkeypatch.setattr(registry, "STEMS", others)
    text = "\n".join(c["source"] for c in read_taken(SOLVED, f"{STEM}.ipynb")["cells"])
    assert "(lab2_calibration.ipynb)" not in text
    assert "lab 2, calibration" in text


def graded(course: Course) -> dict[str, int]:
    return {task.exercise.id: task.exercise.points for task in course.tasks}


def test_grading_and_the_dry_run_follow(choose) -> None:
    whole = course_from(1, SOLVED)
    choose(CHOSEN)
    course = course_from(1, SOLVED)
    expected = {key: points for key, points in graded(whole).items() if key not in CHOSEN.leave_out}
    assert graded(course) == expected | {"1.4": 5}
    assert "def quantize(" in course.setup
    assert course_key(course, 1) != course_key(whole, 1)
    lab = json.dumps(release_notebook(read_taken(SOLVED, f"{STEM}.ipynb"), STEM))
    assert graded(released_course(1, lab)) == graded(course)


def test_the_students_checks_follow(choose, monkeypatch, tmp_path: Path, capsys) -> None:
    monkeypatch.setenv("LABKIT_PROGRESS", str(tmp_path))
    choose(CHOSEN)
    lab = Lab(1)
    exercise = next(e for e in registry.exercises(1) if e.id == "1.4")
    lab.check("1.4", lambda q, scale, zero_point: (q.to(int) - zero_point) * scale)
    assert "5 of 5 points" in capsys.readouterr().out
    with pytest.raises(ValueError, match=r"has no exercise '1\.3'"):
        lab.check("1.3", exercise.reference)


def test_the_front_page_of_the_site_shows_nothing_that_is_left_out(choose, tmp_path: Path) -> None:
    pytest.importorskip("sphinx")
    from labkit.site.front import front_page
    from labkit.site.notebooks import page

    choose(Selected(leave_out=("1.3", "1.4", "1.8")))
    solution = nbformat.reads(SOLVED, as_version=4)
    solution.cells = taken(solution.cells, STEM)
    text = front_page({1: page(solution, STEM, tmp_path)})
    assert f'href="{STEM}.html">Look into lab 1</a>' in text
    assert "lab0_formats" not in text
    assert "<figcaption>" not in text
    assert text.count("<img ") == 1


def test_labs_that_are_not_taken_are_neither_released_nor_bundled(monkeypatch, tmp_path) -> None:
    for folder in ("solutions", "labs"):
        (tmp_path / folder).mkdir()
        for number in (0, 1):
            name = f"{registry.STEMS[number]}.ipynb"
            (tmp_path / folder / name).write_bytes((ROOT / folder / name).read_bytes())
    others = {number: stem for number, stem in registry.STEMS.items() if number != 0}
    monkeypatch.setattr(registry, "STEMS", others)
    (left,) = release(tmp_path)
    assert (left.name, left.reason) == ("lab0_formats.ipynb", "is no part of the course")
    names = bundle(tmp_path, tmp_path / "lab.zip")
    assert f"labs/{STEM}.ipynb" in names
    assert "labs/lab0_formats.ipynb" not in names
    with pytest.raises(ValueError, match="lab 0 is no part of this course"):
        registry.module(0)
