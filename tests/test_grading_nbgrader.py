"""nbgrader gives the points that `labkit grade` gives.

Here with a lab without prose; `tests/benchmarks/grading_nbgrader.py` takes the real notebooks.
"""

from pathlib import Path

import grading_support as support
import nbgrader_course
import pytest

from labkit.grading import grade
from labkit.grading.sandbox.bubblewrap import problem

pytestmark = [
    pytest.mark.skipif(bool(problem()), reason=f"no sandbox: {problem()}"),
    pytest.mark.skipif(bool(nbgrader_course.missing()), reason=nbgrader_course.missing()),
]


def test_scores_are_equal(tmp_path: Path) -> None:
    solved = support.solved_notebook()
    handed_in = nbgrader_course.submissions(solved, support.released_notebook(), support.LAB)
    course = nbgrader_course.NbgraderCourse(tmp_path / "nbgrader")
    course.grade(support.STEM, solved, handed_in)
    for student, notebook in handed_in.items():
        support.save(tmp_path / "submissions" / student, notebook)
    solutions = support.solutions_folder(tmp_path / "solutions")
    records = grade(tmp_path / "submissions", support.LAB, tmp_path / "out", solutions)
    ours = {r.student: {g.exercise: g.points for g in r.graded} for r in records}
    assert course.scores() == ours
    totals = {record.student: record.total for record in records}
    assert course.exported() == totals
    assert totals["right"] == support.FULL
    assert totals["half"] == support.FULL / 2
    assert totals["wrong"] == totals["raises"] == totals["no python"] == totals["unsolved"] == 0
    assert 0 < totals["mixed"] < support.FULL / 2
