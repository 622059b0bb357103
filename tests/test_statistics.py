"""What learners get wrong over many classes: counted right, and no student named."""

import re
from pathlib import Path

import pytest

from labkit.cli import main
from labkit.grading.grades import RECORD
from labkit.grading.judging.results import Graded, Outcome, Record, to_json
from labkit.teaching.statistics import statistics_page, write_statistics

CASTS = "converts to integers before it clamps"


def record(
    student: str, outcome: Outcome, misconception: str = "", exercise: str = "1.3"
) -> Record:
    points = 2.0 if outcome is Outcome.RIGHT else 0.0
    graded = Graded(
        exercise, "Quantize", "quantize", outcome, points, 2, misconception=misconception
    )
    return Record(student, (graded,))


OLD = [record(f"old{i}", Outcome.RIGHT) for i in range(3)]
OLD += [record("old3", Outcome.WRONG, CASTS)]
NEW = [record("new0", Outcome.WRONG, CASTS), record("new1", Outcome.ERROR)]


def results(folder: Path, records: list[Record]) -> Path:
    for one in records:
        (folder / one.student).mkdir(parents=True)
        (folder / one.student / RECORD).write_text(f"digest\n{to_json(one)}\n", "utf-8")
    return folder


def rows(page: str, heading: str) -> list[list[str]]:
    section = page.split(f"<h2>{heading}</h2>")[1].split("<h2>")[0]
    cells = [re.findall(r"<td>(.*?)</td>", row) for row in re.findall(r"<tr>(.*?)</tr>", section)]
    return [[cell for cell in row if "<svg" not in cell] for row in cells if row]


def test_shares_are_of_each_class_and_of_all() -> None:
    page = statistics_page(1, {"2025": OLD, "2026": NEW})
    assert rows(page, "Exercises") == [["1.3 Quantize", "50 ± 18 %", "75 ± 19 %", "0 ± 22 %"]]
    (found,) = rows(page, "Known misconceptions")
    assert found == ["1.3", f"The code {CASTS}.", "33 ± 17 %", "25 ± 19 %", "50 ± 25 %"]
    assert rows(page, "Not explained") == [["1.3", "3", "1"]]
    assert "old0" not in page
    assert "new1" not in page


def test_an_exercise_that_came_later_has_a_dash_where_nobody_had_it() -> None:
    later = record("x", Outcome.RIGHT, exercise="1.12")
    page = statistics_page(1, {"2025": OLD, "2026": [later]})
    assert [row[2:] for row in rows(page, "Exercises")] == [
        ["75 ± 19 %", "&ndash;"],
        ["&ndash;", "100 ± 27 %"],
    ]


def test_there_is_a_page_for_each_lab_and_classes_are_told_apart(tmp_path: Path, capsys) -> None:
    folders = [results(tmp_path / "2025" / "lab1", OLD), results(tmp_path / "2026" / "lab1", NEW)]
    folders.append(results(tmp_path / "lab2", [record("x", Outcome.RIGHT, exercise="2.1")]))
    assert main(["statistics", *map(str, folders), "--out", str(tmp_path / "pages")]) == 0
    assert capsys.readouterr().out.split() == [
        str(tmp_path / "pages" / f"lab{n}.html") for n in (1, 2)
    ]
    page = (tmp_path / "pages" / "lab1.html").read_text("utf-8")
    assert "2025/lab1" in page
    assert "2026/lab1" in page


def test_a_folder_without_results_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no results"):
        write_statistics([tmp_path], tmp_path / "out")
